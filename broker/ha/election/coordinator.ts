// What an election needs from etcd, and no more: one record and one holder per group, short-lived entries of its members,
// leases, compare-and-swap. Implemented over etcd (etcd-coordinator.ts) and in memory (testkit/modelled-etcd.ts).

/** Who rules a group, since which reign, and who has every acknowledged record. Stands until it is replaced. */
export interface GroupRecord {
  /** `brokerId` of the newest master; it rules only while the group has a holder. */
  readonly master: number;
  /** Grows with each reign and never repeats. */
  readonly epoch: number;
  /** `brokerId`s, ascending. */
  readonly inSync: readonly number[];
}

/** What a broker tells the others of its group. Vanishes with its lease. */
export interface MemberEntry {
  readonly brokerId: number;
  /** `host:port` for clients and operators; empty when not known. */
  readonly grpcAddress: string;
  /** `host:port` for replication; empty when not known. */
  readonly haAddress: string;
  /** Epoch of the newest record of its log. */
  readonly epoch: number;
  /** Where its log ended when the entry was written. */
  readonly logEnd: number;
  /** `brokerElectionPriority`: the smaller wins between equal logs. */
  readonly priority: number;
  /** The election for which `logEnd` was taken: the record's epoch + 1 at that time. */
  readonly round: number;
}

/** An entry as it stands, with the lease that it lives by. */
export interface Member extends MemberEntry {
  readonly leaseId: string;
}

/** Who rules now: exists exactly as long as the lease of the master. */
export interface Holder {
  readonly brokerId: number;
  readonly leaseId: string;
}

/** A group at one moment. */
export interface GroupView {
  readonly record: { readonly value: GroupRecord; readonly revision: number } | undefined;
  readonly holder: Holder | undefined;
  /** Ascending by `brokerId`. */
  readonly members: readonly Member[];
}

/** One atomic change of a group: nothing happens unless every condition holds. */
export interface GroupChange {
  /** The revision that the record must have; 0: there must be no record. */
  readonly ifRevision: number;
  /** The lease that must hold the group; `undefined`: nobody must hold it. */
  readonly ifHolder: string | undefined;
  /** The record afterwards. Its revision changes in any case. */
  readonly record: GroupRecord;
  /** Who holds the group afterwards. A new holder must be a live member with that lease. */
  readonly holder: Holder | "same" | "nobody";
}

/** What became of a change, when that is known. */
export type ChangeOutcome =
  | { readonly kind: "done"; readonly revision: number }
  /** A condition did not hold: nothing was changed. */
  | { readonly kind: "conflict" };

/** A lease as it was granted or renewed. */
export interface LeaseGrant {
  readonly leaseId: string;
  /** What etcd gives, which may be more than what was asked for. */
  readonly ttlSeconds: number;
  /** `monotonicMs` when the request that succeeded was sent: the lease lasts from then on at least. */
  readonly sentAtMs: number;
}

/** A member of the etcd cluster, for operators. */
export interface CoordinatorMember {
  readonly address: string;
  /** Why it does not answer; `undefined` when it does. */
  readonly failure: string | undefined;
  readonly isLeader: boolean;
  readonly version: string;
  readonly dbSizeBytes: number;
}

/** How long a call may take. */
export interface CallDeadline {
  readonly timeoutMs: number;
}

/**
 * The group of one broker in etcd. Every call ends within its deadline. One that gets no clear answer throws
 * COORDINATOR_UNREACHABLE: what it asked for may have happened, or happen yet.
 */
export interface Coordinator {
  /** The group as it is now: whatever was answered to anybody before this call is in it. */
  read(deadline: CallDeadline): Promise<GroupView>;
  /** Applies `change` if all its conditions hold. */
  commit(change: GroupChange, deadline: CallDeadline): Promise<ChangeOutcome>;
  /** Writes the entry under the lease. Taken: the entry lives by another lease. Gone: there is no such lease. */
  announce(
    entry: MemberEntry,
    lease: CallDeadline & { readonly leaseId: string },
  ): Promise<"done" | "taken" | "gone">;
  /** Whole seconds; etcd has a smallest value. */
  grantLease(wanted: CallDeadline & { readonly ttlSeconds: number }): Promise<LeaseGrant>;
  /** Starts the lease anew. Gone: it has expired or was revoked. */
  keepAlive(lease: CallDeadline & { readonly leaseId: string }): Promise<LeaseGrant | "gone">;
  /** Ends the lease and what lives by it; does nothing when it is gone. */
  revoke(lease: CallDeadline & { readonly leaseId: string }): Promise<void>;
  /** Calls `changed` when the group may have changed, and each time the watch had to be started anew. One listener. */
  watch(changed: () => void): void;
  /** All members of the etcd cluster that are configured; never throws for one that is dead. */
  status(deadline: CallDeadline): Promise<readonly CoordinatorMember[]>;
  /** Ends the watch and calls that are under way; leases are left to expire. */
  close(): void;
}
