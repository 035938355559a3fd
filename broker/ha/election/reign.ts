// What a master does with its record: it changes the in-sync set and hands over. Every set that may stand in etcd counts
// for acknowledgements, from before it is sent until it is known that it cannot come to stand there any more.
import { MqError } from "../../../base/index.ts";
import type { ChangeOutcome, GroupChange, GroupView } from "./coordinator.ts";
import type { ChangePurpose, Reign } from "./election-state.ts";
import { sameIds, union, without } from "./ranking.ts";
import { timings } from "./timings.ts";
import type { Turn } from "./turn.ts";

/** Sends what the master wants changed. */
export function rule(turn: Turn): void {
  const { reign } = turn;
  if (reign === undefined) return;
  if (reign.handOver !== undefined) return handOver(turn, reign);
  const target = targetOf(turn, reign);
  if (sameIds(target, reign.inSync) && !reign.unsure) return;
  // What is not known to have failed may still happen. Another change of the same revision ends that.
  if (reign.unsure && !turn.state.isViewFresh) return;
  if (!turn.mayCall("commit")) return;
  changeSet(turn, reign, { purpose: "inSync", target });
}

function targetOf(turn: Turn, reign: Reign): readonly number[] {
  const wanted = without(union(reign.inSync, reign.joining), reign.leaving);
  return union(wanted, [turn.state.settings.brokerId]);
}

function changeSet(
  turn: Turn,
  reign: Reign,
  wanted: { readonly purpose: ChangePurpose; readonly target: readonly number[] },
): void {
  const leaseId = turn.sureLease?.id;
  if (leaseId === undefined) return;
  turn.changeReign({ atRisk: union(reign.atRisk, wanted.target) });
  tell(turn);
  turn.commit(wanted.purpose, {
    ifRevision: reign.revision,
    ifHolder: leaseId,
    record: {
      master: turn.state.settings.brokerId,
      epoch: reign.epoch,
      inSync: wanted.target,
    },
    holder: "same",
  });
}

/** The host hears which set counts, when that has changed. */
function tell(turn: Turn): void {
  const { reign } = turn;
  if (reign === undefined) return;
  const counted = union(reign.inSync, reign.atRisk);
  if (sameIds(counted, reign.told)) return;
  turn.changeReign({ told: counted });
  turn.act({ kind: "inSyncChanged", inSync: counted, epoch: reign.epoch });
}

/** A slave has everything that was acknowledged. It counts from this moment, or has to be reported again. */
export function admit(turn: Turn, brokerId: number): void {
  const { reign } = turn;
  if (reign === undefined) return;
  turn.changeReign({ leaving: without(reign.leaving, [brokerId]) });
  const { busy, lease } = turn.state;
  const canTake = !busy.commit && !reign.unsure && reign.handOver === undefined;
  if (canTake && lease !== undefined && !reign.inSync.includes(brokerId)) {
    turn.changeReign({ joining: union(reign.joining, [brokerId]) });
  }
}

/** A slave is too slow or gone: it leaves the set when etcd says so. */
export function dismiss(turn: Turn, brokerId: number, reason: string): void {
  const { reign } = turn;
  if (reign === undefined || brokerId === turn.state.settings.brokerId) return;
  const joining = without(reign.joining, [brokerId]);
  const counts = union(reign.inSync, reign.atRisk).includes(brokerId);
  if (!counts || reign.leaving.includes(brokerId)) return turn.changeReign({ joining });
  turn.changeReign({ joining, leaving: union(reign.leaving, [brokerId]) });
  turn.log("warn", "a slave leaves the in-sync set", { slave: brokerId, reason });
}

/** Begins a hand-over, or says why there is none. From now on nothing is served until etcd has answered. */
export function beginHandOver(
  turn: Turn,
  { toId, isLeaving }: { readonly toId: number; readonly isLeaving: boolean },
): void {
  const { reign } = turn;
  if (reign?.handOver !== undefined) return;
  const failure = refusal(turn, toId);
  if (reign === undefined || failure !== undefined) {
    return turn.act({ kind: "handOverEnded", failure });
  }
  if (toId === turn.state.settings.brokerId) {
    return turn.act({ kind: "handOverEnded", failure: undefined });
  }
  const giveUpAtMs = turn.nowMs + timings.handOverMaxMs;
  turn.changeReign({ handOver: { toId, isLeaving, giveUpAtMs } });
}

function refusal(turn: Turn, toId: number): MqError | undefined {
  const { reign } = turn;
  if (reign === undefined) return new MqError("NOT_MASTER", "this broker is not the master");
  // One that is about to be in the record is let pass: the hand-over waits for that.
  const inSync = without(union(reign.inSync, reign.atRisk), reign.leaving);
  if (!inSync.includes(toId)) {
    return new MqError(
      "BAD_REQUEST",
      `broker ${toId} is not in sync; allowed are ${inSync.join(", ")}`,
    );
  }
  if (leaseOf(turn, toId) !== undefined) return undefined;
  return new MqError("BAD_REQUEST", `broker ${toId} is not alive, as far as etcd knows`);
}

function leaseOf(turn: Turn, brokerId: number): string | undefined {
  return turn.state.view?.members.find((member) => member.brokerId === brokerId)?.leaseId;
}

function handOver(turn: Turn, reign: Reign): void {
  const leaseId = turn.sureLease?.id;
  if (reign.handOver === undefined || leaseId === undefined) return;
  const { toId, isLeaving, giveUpAtMs } = reign.handOver;
  const { brokerId } = turn.state.settings;
  if (reign.unsure && !turn.state.isViewFresh) return;
  if (!turn.mayCall("commit")) return;
  const isInSync = reign.inSync.includes(toId);
  const toLease = leaseOf(turn, toId);
  if (!isInSync || toLease === undefined || turn.nowMs >= giveUpAtMs) {
    // It may serve again only when the hand-over cannot happen any more.
    if (!reign.unsure) return cancelHandOver(turn, `broker ${toId} is not in sync, or not alive`);
    return changeSet(turn, reign, { purpose: "fence", target: reign.inSync });
  }
  turn.commit("handOver", {
    ifRevision: reign.revision,
    ifHolder: leaseId,
    // Who stops is waited for by nobody: the next master would, until it is late.
    record: {
      master: toId,
      epoch: reign.epoch + 1,
      inSync: isLeaving ? without(reign.inSync, [brokerId]) : reign.inSync,
    },
    holder: { brokerId: toId, leaseId: toLease },
  });
}

function cancelHandOver(turn: Turn, why: string): void {
  turn.changeReign({ handOver: undefined });
  const failure = new MqError("COORDINATOR_UNREACHABLE", `not handed over: ${why}`);
  turn.act({ kind: "handOverEnded", failure });
}

/** What became of a change that this reign has sent. */
export function settle(
  turn: Turn,
  ended: {
    readonly purpose: ChangePurpose;
    readonly change: GroupChange;
    readonly outcome: ChangeOutcome | { readonly kind: "unknown" };
  },
): void {
  const { reign } = turn;
  const { purpose, change, outcome } = ended;
  if (reign === undefined || change.ifRevision !== reign.revision) return;
  if (outcome.kind !== "done") {
    // After a conflict the record or the holder is another: the next view says which.
    const joining = outcome.kind === "conflict" ? [] : reign.joining;
    turn.changeReign({ unsure: true, joining });
    return;
  }
  if (purpose === "handOver") {
    return turn.endReign(`handed over to broker ${change.record.master}`, change.record.master);
  }
  adopt(turn, reign, { revision: outcome.revision, inSync: change.record.inSync });
  if (purpose === "fence") cancelHandOver(turn, "etcd did not answer in time");
}

/** That record stands in etcd: no change of an older revision can happen any more. */
function adopt(
  turn: Turn,
  reign: Reign,
  stands: { readonly revision: number; readonly inSync: readonly number[] },
): void {
  const { revision, inSync } = stands;
  turn.changeReign({
    revision,
    inSync,
    atRisk: [],
    unsure: false,
    joining: [],
    leaving: reign.leaving.filter((id) => inSync.includes(id)),
  });
  tell(turn);
}

/** Compares the reign with what stands in etcd. */
export function checkReign(turn: Turn, view: GroupView): void {
  const { reign } = turn;
  if (reign === undefined) return;
  const record = view.record?.value;
  const { brokerId } = turn.state.settings;
  if (!turn.isHolder || record?.master !== brokerId || record.epoch !== reign.epoch) {
    const ruler = view.holder?.brokerId;
    const reason = ruler === undefined ? "its lease has ended" : `broker ${ruler} rules`;
    return turn.endReign(reason, ruler);
  }
  const revision = view.record?.revision ?? 0;
  if (revision !== reign.revision) adopt(turn, reign, { revision, inSync: record.inSync });
}
