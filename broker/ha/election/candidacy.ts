// What a broker does that does not rule: it follows who does, or takes the group when it may.
import type { GroupRecord, GroupView, Member } from "./coordinator.ts";
import type { Lease } from "./lease-time.ts";
import { ranked, without } from "./ranking.ts";
import { timings } from "./timings.ts";
import type { Turn } from "./turn.ts";

/** Decides for a broker without a reign, on what it has seen of its group. */
export function seekRole(turn: Turn): void {
  const { view } = turn.state;
  if (turn.reign !== undefined || view === undefined) return;
  const { record, holder } = view;
  if (holder === undefined || record === undefined) return stand(turn, view);
  turn.change({ vacancy: undefined });
  if (!turn.isHolder) return follow(turn, view);
  const lease = turn.sureLease;
  if (lease !== undefined) takeUp(turn, { record: record.value, revision: record.revision, lease });
}

/** The group is this process's. */
function takeUp(
  turn: Turn,
  held: { readonly record: GroupRecord; readonly revision: number; readonly lease: Lease },
): void {
  const { record, revision, lease } = held;
  const { lastReign, restUntilMs } = turn.state;
  const base = { ifRevision: revision, ifHolder: lease.id, record };
  if (turn.nowMs < restUntilMs) {
    turn.wakeBy(restUntilMs);
    if (turn.mayCall("commit")) turn.commit("release", { ...base, holder: "nobody" });
  } else if (record.epoch > lastReign) {
    beginReign(turn, record, revision);
  } else if (turn.mayCall("commit")) {
    // It could not renew for a while, and nobody else came. An epoch is ruled once only: it takes another.
    const next = { ...record, epoch: nextEpoch(turn) };
    turn.commit("resume", { ...base, record: next, holder: "same" });
  }
}

/** This broker rules by that record. */
export function beginReign(turn: Turn, record: GroupRecord, revision: number): void {
  const { epoch, inSync } = record;
  turn.change({
    role: {
      kind: "master",
      epoch,
      revision,
      inSync,
      atRisk: [],
      unsure: false,
      joining: [],
      leaving: [],
      told: inSync,
      handOver: undefined,
    },
    lastReign: epoch,
    vacancy: undefined,
    followed: undefined,
  });
  turn.act({ kind: "becomeMaster", epoch, inSync });
  turn.log("info", "this broker is the master now", { epoch, inSync: inSync.join(",") });
}

function follow(turn: Turn, view: GroupView): void {
  const { record, holder, members } = view;
  const { settings, followed } = turn.state;
  // An own predecessor whose lease has not ended yet is nobody to follow.
  if (record === undefined || holder === undefined || holder.brokerId === settings.brokerId) return;
  const entry = members.find((member) => member.leaseId === holder.leaseId);
  const master = {
    brokerId: holder.brokerId,
    grpcAddress: entry?.grpcAddress ?? "",
    haAddress: entry?.haAddress ?? "",
  };
  const { epoch } = record.value;
  const isKnown =
    followed?.brokerId === master.brokerId &&
    followed.masterEpoch === epoch &&
    followed.grpcAddress === master.grpcAddress &&
    followed.haAddress === master.haAddress;
  if (isKnown) return;
  turn.change({ followed: { ...master, masterEpoch: epoch } });
  turn.act({ kind: "follow", master, epoch });
  turn.log("info", "following the master", { master: master.brokerId, epoch });
}

/** Nobody rules: this broker stands for election if it may. */
function stand(turn: Turn, view: GroupView): void {
  const round = (view.record?.value.epoch ?? 0) + 1;
  if (turn.state.vacancy?.round !== round) {
    turn.change({ vacancy: { sinceMs: turn.nowMs, round, reported: false } });
  }
  const sinceMs = turn.state.vacancy?.sinceMs ?? turn.nowMs;
  const startAtMs = Math.max(startOf(turn, view, { sinceMs, round }), turn.state.restUntilMs);
  if (startAtMs === Infinity) return;
  if (startAtMs > turn.nowMs) return turn.wakeBy(startAtMs);
  const lease = turn.sureLease;
  if (lease === undefined || !turn.mayCall("commit")) return;
  turn.commit("campaign", {
    ifRevision: view.record?.revision ?? 0,
    ifHolder: undefined,
    record: newRecord(turn, view),
    holder: { brokerId: turn.state.settings.brokerId, leaseId: lease.id },
  });
}

/** When this broker may take the group; Infinity: not as things are. */
function startOf(
  turn: Turn,
  view: GroupView,
  vacancy: { readonly sinceMs: number; readonly round: number },
): number {
  const { record, members } = view;
  const { sinceMs, round } = vacancy;
  const { timing, candidates } = electorate(turn, {
    record: record?.value,
    members,
    round,
  });
  const rank = candidates.findIndex(
    (member) => member.leaseId === turn.state.lease?.id && member.round === round,
  );
  const areAllKnown = candidates.every((member) => member.round === round);
  const windowMs = timing.firstMs + (areAllKnown ? 0 : timings.candidateWindowMs);
  if (rank < 0) return Infinity;
  return sinceMs + windowMs + rank * timings.rankStepMs;
}

interface Electorate {
  readonly record: GroupRecord | undefined;
  readonly members: readonly Member[];
  readonly round: number;
}

/** Who may be elected, best first, and how long all wait before. */
function electorate(
  turn: Turn,
  group: Electorate,
): { readonly timing: { readonly firstMs: number }; readonly candidates: readonly Member[] } {
  const { record, members } = group;
  const { settings } = turn.state;
  if (record === undefined) {
    return { timing: { firstMs: timings.firstElectionWindowMs }, candidates: ranked(members) };
  }
  const inSync = members.filter(
    (member) => record.inSync.includes(member.brokerId) && isTrusted(member, record, group),
  );
  if (inSync.length > 0) return { timing: { firstMs: 0 }, candidates: ranked(inSync) };
  // Whoever has only just lost its lease gets the time of another to come back.
  const patienceMs = settings.leaseSeconds * 1_000;
  reportNobody(turn, record, patienceMs);
  const candidates = settings.uncleanElection ? ranked(members) : [];
  return { timing: { firstMs: patienceMs }, candidates };
}

/**
 * Whether a member of the in-sync set has what that says. One without a log may have a new disk: it is trusted only when
 * the whole set is there, as everybody is, and nobody has a log.
 */
function isTrusted(
  member: Member,
  { inSync }: GroupRecord,
  { members, round }: Electorate,
): boolean {
  if (!isEmpty(member)) return true;
  const isAnswer = (other: Member): boolean => isEmpty(other) && other.round === round;
  const isWhole = inSync.every((id) => members.some(({ brokerId }) => brokerId === id));
  return isWhole && members.every(isAnswer);
}

function isEmpty({ epoch, logEnd }: Member): boolean {
  return epoch === 0 && logEnd === 0;
}

function reportNobody(turn: Turn, record: GroupRecord, patienceMs: number): void {
  const { vacancy, settings } = turn.state;
  if (vacancy === undefined || vacancy.reported) return;
  const reportAtMs = vacancy.sinceMs + patienceMs;
  if (turn.nowMs < reportAtMs) return turn.wakeBy(reportAtMs);
  turn.change({ vacancy: { ...vacancy, reported: true } });
  if (settings.uncleanElection) return;
  turn.log(
    "error",
    "no master can be elected: no broker of the in-sync set is alive and has a log",
    {
      inSync: record.inSync.join(","),
      epoch: record.epoch,
    },
  );
}

/** The record of a reign of this broker. */
function newRecord(turn: Turn, view: GroupView): GroupRecord {
  const { brokerId } = turn.state.settings;
  const epoch = nextEpoch(turn);
  const old = view.record?.value;
  if (old === undefined) return { master: brokerId, epoch, inSync: [brokerId] };
  if (!old.inSync.includes(brokerId)) {
    turn.log("error", "UNCLEAN ELECTION: messages that only the in-sync brokers have are lost", {
      inSync: old.inSync.join(","),
      lastMaster: old.master,
      lastEpoch: old.epoch,
      epoch,
    });
    return { master: brokerId, epoch, inSync: [brokerId] };
  }
  const dead = old.master === brokerId ? [] : [old.master];
  return { master: brokerId, epoch, inSync: without(old.inSync, dead) };
}

/** Larger than every epoch that is known: also than those of logs, when etcd has lost its data. */
function nextEpoch(turn: Turn): number {
  const { view, lastReign } = turn.state;
  const logs = (view?.members ?? []).map((member) => member.epoch);
  return Math.max(view?.record?.value.epoch ?? 0, lastReign, ...logs) + 1;
}
