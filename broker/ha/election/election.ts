// The pure core of an election: what happened and what time it is, in; the new state and what is to be done, out. It
// makes no call and reads no clock: election-runner.ts does. The rules and why they are safe: docs/election.md.
import { beginReign, seekRole } from "./candidacy.ts";
import type { ElectionAction, ElectionEvent, ElectionState } from "./election-state.ts";
import { renewEveryMs, serveUntilMs } from "./lease-time.ts";
import { admit, beginHandOver, checkReign, dismiss, rule, settle } from "./reign.ts";
import { timings } from "./timings.ts";
import { Turn } from "./turn.ts";

/** What follows from an event. */
export interface ElectionStep {
  readonly state: ElectionState;
  readonly actions: readonly ElectionAction[];
  /** When the next tick is due at the latest, `monotonicMs`. */
  readonly wakeAtMs: number;
}

/** One step of the election. */
export function step(state: ElectionState, event: ElectionEvent, nowMs: number): ElectionStep {
  const turn = new Turn(state, nowMs);
  if (!state.resigned) {
    checkLease(turn);
    take(turn, event);
    if (!turn.state.resigned) decide(turn);
  }
  return { state: turn.state, actions: turn.actions, wakeAtMs: turn.wakeAtMs };
}

/** Whether this broker may serve as master at that moment. Ask again before each answer: time passes. */
export function mayServe(state: ElectionState, nowMs: number): boolean {
  const { role, lease } = state;
  if (role.kind !== "master" || role.handOver !== undefined || lease === undefined) return false;
  return nowMs < serveUntilMs(lease);
}

/** A master whose lease may be over stops before anything else is considered. */
function checkLease(turn: Turn): void {
  if (turn.reign === undefined) return;
  const { lease } = turn.state;
  if (turn.sureLease === undefined) turn.endReign("the lease could not be renewed in time");
  else if (lease !== undefined) turn.wakeBy(serveUntilMs(lease));
}

function take(turn: Turn, event: ElectionEvent): void {
  switch (event.kind) {
    case "tick":
      return;
    case "leased":
      return takeLease(turn, event);
    case "leaseGone":
      return loseLease(turn, event.leaseId);
    case "callFailed":
      return turn.end(event.call, turn.nowMs + timings.retryMs);
    case "viewed":
      return takeView(turn, event);
    case "groupChanged":
      return turn.readSoon();
    case "announced":
      return takeAnnouncement(turn, event);
    case "committed":
      return takeOutcome(turn, event);
    case "slaveCaughtUp":
      return admit(turn, event.brokerId);
    case "slaveBehind":
      return dismiss(turn, event.brokerId, event.reason);
    case "handOverWanted":
      return beginHandOver(turn, event);
    case "unfit":
      turn.endReign(event.reason);
      return turn.change({ restUntilMs: turn.nowMs + timings.restMs });
    case "resigned":
      return resign(turn);
  }
}

type EventOf<Kind extends ElectionEvent["kind"]> = Extract<ElectionEvent, { kind: Kind }>;

function takeLease(turn: Turn, { lease }: EventOf<"leased">): void {
  const { lease: old, abandoned } = turn.state;
  if (old !== undefined && old.id !== lease.id) return;
  if (old === undefined && abandoned === lease.id) return turn.end("lease", turn.nowMs);
  const nextAtMs = lease.sentAtMs + renewEveryMs(lease.ttlSeconds);
  turn.change({ lease });
  turn.end("lease", nextAtMs);
  if (old !== undefined) return;
  if (abandoned !== undefined) turn.act({ kind: "revokeLease", leaseId: abandoned });
  turn.change({ abandoned: undefined });
  turn.readSoon();
}

function loseLease(turn: Turn, leaseId: string): void {
  turn.end("lease", turn.nowMs);
  if (turn.state.lease?.id !== leaseId) return;
  turn.endReign("its lease has ended in etcd");
  turn.change({ lease: undefined, announced: undefined });
  turn.readSoon();
}

function takeView(turn: Turn, { view, askedAfter }: EventOf<"viewed">): void {
  const { changedSinceRead, endedCommits } = turn.state;
  const isStale = askedAfter !== endedCommits;
  turn.end("read", turn.nowMs + (isStale || changedSinceRead ? 0 : timings.pollMs));
  if (isStale) return;
  turn.change({ view, isViewFresh: true });
  // Somebody has removed this broker's entry, or a call that was given up has come late and put an older one there.
  const { announced } = turn.state;
  const entry = view.members.find((member) => member.leaseId === announced?.leaseId);
  if ((entry?.round ?? -1) < (announced?.round ?? 0)) turn.change({ announced: undefined });
  checkReign(turn, view);
}

function takeAnnouncement(turn: Turn, event: EventOf<"announced">): void {
  const { settings, takenSinceMs } = turn.state;
  const { leaseId, round } = event;
  if (event.outcome === "done") {
    turn.end("announce", turn.nowMs);
    turn.change({ announced: { leaseId, round }, takenSinceMs: undefined });
    return turn.readSoon();
  }
  turn.end("announce", turn.nowMs + timings.retryMs);
  const sinceMs = takenSinceMs ?? turn.nowMs;
  // A process that has just died keeps its entry until its lease ends; a living one keeps it for good.
  const isLong = turn.nowMs - sinceMs > settings.leaseSeconds * 3_000;
  turn.change({ takenSinceMs: isLong ? turn.nowMs : sinceMs });
  if (!isLong) return;
  turn.log("error", "another running broker of this brokerName has the same brokerId", {
    brokerId: settings.brokerId,
  });
}

function takeOutcome(turn: Turn, event: EventOf<"committed">): void {
  const { purpose, change, outcome } = event;
  const { role, lastReign, endedCommits, view, lease } = turn.state;
  const isDone = outcome.kind === "done";
  turn.end("commit", isDone ? turn.nowMs : turn.nowMs + timings.retryMs / 4);
  turn.change({ endedCommits: endedCommits + 1, isViewFresh: false });
  turn.readSoon();
  if (isDone && view !== undefined) {
    const held = change.holder === "nobody" ? undefined : change.holder;
    const holder = held === "same" ? view.holder : held;
    const record = { value: change.record, revision: outcome.revision };
    turn.change({ view: { ...view, record, holder } });
  }
  if (purpose !== "campaign" && purpose !== "resume") return settle(turn, event);
  // The view may have said so already; and a lease that has ended since says that it is over.
  if (!isDone || role.kind === "master" || change.record.epoch <= lastReign) return;
  const isOurs = purpose === "resume" ? change.ifHolder === lease?.id : turn.isHolder;
  if (isOurs && turn.sureLease !== undefined) beginReign(turn, change.record, outcome.revision);
}

function resign(turn: Turn): void {
  turn.endReign("it leaves the group");
  turn.change({ resigned: true, lease: undefined });
}

/** Everything that follows from the state alone. */
function decide(turn: Turn): void {
  checkLease(turn);
  keepLease(turn);
  seekRole(turn);
  rule(turn);
  announce(turn);
  read(turn);
}

function keepLease(turn: Turn): void {
  if (!turn.mayCall("lease")) return;
  turn.begin("lease");
  abandonLease(turn);
  const { lease, settings } = turn.state;
  if (lease === undefined) turn.act({ kind: "grantLease", ttlSeconds: settings.leaseSeconds });
  else turn.act({ kind: "renewLease", lease });
}

/**
 * A lease whose renewals may arrive although their answers do not must not keep the group from the others: after its time
 * this broker asks for another, and ends the old one as soon as it can.
 */
function abandonLease(turn: Turn): void {
  const { lease } = turn.state;
  if (lease === undefined) return;
  const lifeMs = lease.ttlSeconds * 1_000 * timings.clockRateRatioMax;
  if (turn.nowMs < lease.sentAtMs + lifeMs) return;
  turn.change({ lease: undefined, abandoned: lease.id, announced: undefined });
}

/** The others hear where this broker is, and at an election how long its log is now. */
function announce(turn: Turn): void {
  const { lease, announced, vacancy, view } = turn.state;
  if (lease === undefined || view === undefined) return;
  const round = vacancy?.round ?? 0;
  if (announced?.leaseId === lease.id && announced.round >= round) return;
  if (!turn.mayCall("announce")) return;
  turn.begin("announce");
  turn.act({ kind: "announce", leaseId: lease.id, round });
}

function read(turn: Turn): void {
  if (!turn.mayCall("read")) return;
  turn.begin("read");
  turn.change({ changedSinceRead: false });
  turn.act({ kind: "read", askedAfter: turn.state.endedCommits });
}
