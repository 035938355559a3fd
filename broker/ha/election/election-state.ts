// What one broker knows and does in the election of its group: the state of the pure core, what happens to it, and what
// it wants done. How one follows from the other: election.ts.
import type { MqError } from "../../../base/index.ts";
import type { ChangeOutcome, GroupChange, GroupView } from "./coordinator.ts";
import type { Lease } from "./lease-time.ts";

/** What does not change. */
export interface ElectionSettings {
  readonly brokerId: number;
  /** `controllerLeaseSeconds`: what is asked for; etcd may give more. */
  readonly leaseSeconds: number;
  readonly uncleanElection: boolean;
}

/** Another broker as the election knows it. */
export interface ElectedPlace {
  readonly brokerId: number;
  readonly grpcAddress: string;
  readonly haAddress: string;
}

/** This broker rules. */
export interface Reign {
  readonly kind: "master";
  readonly epoch: number;
  /** Of the record that this reign stands on. */
  readonly revision: number;
  /** The set in that record. */
  readonly inSync: readonly number[];
  /** Members of sets that were sent to etcd and may stand there by now. Acknowledgements wait for these as well. */
  readonly atRisk: readonly number[];
  /** A change of this revision was sent and its outcome is not known: it may take effect at any time until another does. */
  readonly unsure: boolean;
  readonly joining: readonly number[];
  readonly leaving: readonly number[];
  /** The set that the host was told last. */
  readonly told: readonly number[];
  readonly handOver:
    | { readonly toId: number; readonly isLeaving: boolean; readonly giveUpAtMs: number }
    | undefined;
}

/** What this broker is: a master, or one that follows, campaigns or waits. */
export type ElectionRole = Reign | { readonly kind: "none" };

/** Why a change was sent. */
export type ChangePurpose = "campaign" | "resume" | "release" | "inSync" | "handOver" | "fence";

/** Calls to etcd of which one at a time is under way. */
export type CallKind = "lease" | "read" | "announce" | "commit";

/** Everything that the core remembers. */
export interface ElectionState {
  readonly settings: ElectionSettings;
  readonly lease: Lease | undefined;
  /** A lease that could not be renewed in its time, and is to be ended when etcd answers again. */
  readonly abandoned: string | undefined;
  readonly busy: Readonly<Record<CallKind, boolean>>;
  /** When the next call of that kind may be made. */
  readonly dueMs: Readonly<Record<CallKind, number>>;
  readonly view: GroupView | undefined;
  /** The view was asked for after the last change of ours had ended. */
  readonly isViewFresh: boolean;
  /** The group has changed since the read that is under way was sent. */
  readonly changedSinceRead: boolean;
  /** Changes that have ended: a read that was sent before the last one says nothing. */
  readonly endedCommits: number;
  readonly role: ElectionRole;
  /** The newest epoch in which this process has ruled; 0: none. */
  readonly lastReign: number;
  /** Since when nobody rules, and the election that follows. */
  readonly vacancy:
    | { readonly sinceMs: number; readonly round: number; readonly reported: boolean }
    | undefined;
  readonly followed: (ElectedPlace & { readonly masterEpoch: number }) | undefined;
  readonly announced: { readonly leaseId: string; readonly round: number } | undefined;
  /** Since when another process has this broker's entry. */
  readonly takenSinceMs: number | undefined;
  readonly restUntilMs: number;
  readonly resigned: boolean;
}

/** What happens. */
export type ElectionEvent =
  | { readonly kind: "tick" }
  /** A lease was granted or renewed. */
  | { readonly kind: "leased"; readonly lease: Lease }
  | { readonly kind: "leaseGone"; readonly leaseId: string }
  | { readonly kind: "callFailed"; readonly call: Exclude<CallKind, "commit"> }
  | { readonly kind: "viewed"; readonly view: GroupView; readonly askedAfter: number }
  /** The watch says that something is new. */
  | { readonly kind: "groupChanged" }
  | {
      readonly kind: "announced";
      readonly outcome: "done" | "taken";
      readonly leaseId: string;
      readonly round: number;
    }
  | {
      readonly kind: "committed";
      readonly purpose: ChangePurpose;
      readonly change: GroupChange;
      /** Unknown: it may have taken effect, or do so yet. */
      readonly outcome: ChangeOutcome | { readonly kind: "unknown" };
    }
  | { readonly kind: "slaveCaughtUp"; readonly brokerId: number }
  | { readonly kind: "slaveBehind"; readonly brokerId: number; readonly reason: string }
  | { readonly kind: "handOverWanted"; readonly toId: number; readonly isLeaving: boolean }
  /** The host cannot rule: it lets others try. */
  | { readonly kind: "unfit"; readonly reason: string }
  | { readonly kind: "resigned" };

/** What is to be done, in this order. */
export type ElectionAction =
  | { readonly kind: "grantLease"; readonly ttlSeconds: number }
  | { readonly kind: "renewLease"; readonly lease: Lease }
  | { readonly kind: "revokeLease"; readonly leaseId: string }
  | { readonly kind: "read"; readonly askedAfter: number }
  | { readonly kind: "announce"; readonly leaseId: string; readonly round: number }
  | { readonly kind: "commit"; readonly purpose: ChangePurpose; readonly change: GroupChange }
  | { readonly kind: "becomeMaster"; readonly epoch: number; readonly inSync: readonly number[] }
  | { readonly kind: "follow"; readonly master: ElectedPlace; readonly epoch: number }
  | { readonly kind: "stopServing"; readonly reason: string }
  | { readonly kind: "inSyncChanged"; readonly inSync: readonly number[]; readonly epoch: number }
  /** The hand-over that was wanted is over. */
  | { readonly kind: "handOverEnded"; readonly failure: MqError | undefined }
  | {
      readonly kind: "log";
      readonly level: "error" | "warn" | "info";
      readonly message: string;
      readonly fields: Readonly<Record<string, string | number>>;
    };

/** A broker that has just started. */
export function initialState(settings: ElectionSettings): ElectionState {
  return {
    settings,
    lease: undefined,
    abandoned: undefined,
    busy: { lease: false, read: false, announce: false, commit: false },
    dueMs: { lease: 0, read: 0, announce: 0, commit: 0 },
    view: undefined,
    isViewFresh: false,
    changedSinceRead: false,
    endedCommits: 0,
    role: { kind: "none" },
    lastReign: 0,
    vacancy: undefined,
    followed: undefined,
    announced: undefined,
    takenSinceMs: undefined,
    restUntilMs: 0,
    resigned: false,
  };
}
