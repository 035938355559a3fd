// Joins what an acting master has noted of consumers with what the master's own log says. Pure: docs/replication.md.
import {
  type PendingEntry,
  type ProgressChange,
  pendingFlags,
  type QueueProgress,
} from "../metadata/index.ts";

/** What was noted of one group on one queue, the newest word for each message. */
export interface NotedLane {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  cursor: number;
  /** By queue offset; undefined: it is done. */
  readonly entries: Map<number, PendingEntry | undefined>;
}

/** Notes of many lanes. */
export class NotedProgress {
  readonly #lanes = new Map<string, NotedLane>();

  /** Lanes that have a note. */
  get count(): number {
    return this.#lanes.size;
  }

  /** Adds a change that is newer than all before. */
  add(change: ProgressChange): void {
    const lane = this.#lane(change);
    lane.cursor = Math.max(lane.cursor, change.cursor);
    for (const entry of change.upserts) lane.entries.set(entry.offset, entry);
    for (const offset of change.removals) lane.entries.set(offset, undefined);
  }

  /** The notes of one lane. */
  get(place: Pick<QueueProgress, "group" | "topic" | "queueId">): NotedLane | undefined {
    return this.#lanes.get(keyOf(place));
  }

  /** All lanes. */
  all(): Iterable<NotedLane> {
    return this.#lanes.values();
  }

  #lane(change: ProgressChange): NotedLane {
    const key = keyOf(change);
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      const { group, topic, queueId } = change;
      lane = { group, topic, queueId, cursor: 0, entries: new Map() };
      this.#lanes.set(key, lane);
    }
    return lane;
  }
}

/** Only the notes of messages before `end`: another log may hold other messages behind it. */
export function notedUpTo(lane: NotedLane, end: number): NotedLane {
  const entries = new Map<number, PendingEntry | undefined>();
  for (const [offset, entry] of lane.entries) {
    if (offset >= end) continue;
    if (entry?.order === undefined) entries.set(offset, entry);
    else {
      const order = { ...entry.order, from: Math.min(entry.order.from, end) };
      entries.set(offset, { ...entry, order });
    }
  }
  return { ...lane, cursor: Math.min(lane.cursor, end), entries };
}

/**
 * What has to be changed in `known` for it to have the notes too; undefined when nothing. A message that is done
 * in either is done: what the log of the master has acknowledged stays so, whatever the acting master did not know.
 */
export function missingProgress(
  known: QueueProgress | undefined,
  noted: NotedLane,
): ProgressChange | undefined {
  const { group, topic, queueId } = noted;
  const cursorBefore = known?.cursor ?? 0;
  const cursor = Math.max(cursorBefore, noted.cursor);
  const pending = new Map((known?.pending ?? []).map((entry) => [entry.offset, entry]));
  const upserts: PendingEntry[] = [];
  const removals: number[] = [];
  const ends = handedOutEnds(known?.pending ?? []);
  const ended: PendingEntry[] = [];
  for (const [offset, entry] of noted.entries) {
    const before = pending.get(offset);
    const end = ends.get(entry?.order?.messageGroupHash ?? -1) ?? cursorBefore;
    if (before === undefined && offset < end) {
      if (entry !== undefined) ended.push(endOf(entry, end));
    } else if (entry === undefined) {
      if (before === undefined) continue;
      removals.push(offset);
      pending.delete(offset);
      ended.push(endOf(before, noted.cursor));
    } else if (isNewer(entry, before)) {
      const newest = joined(entry, before);
      upserts.push(newest);
      pending.set(offset, newest);
    }
  }
  for (const anchor of anchorsOf(ended, pending.values())) {
    upserts.push(anchor);
    const index = removals.indexOf(anchor.offset);
    if (index >= 0) removals.splice(index, 1);
  }
  if (cursor === cursorBefore && upserts.length === 0 && removals.length === 0) return undefined;
  return { group, topic, queueId, cursor, upserts, removals };
}

/** `known` with the notes joined: what a slave goes on with when it acts again. */
export function joinedProgress(known: QueueProgress, noted: NotedLane | undefined): QueueProgress {
  const change = noted === undefined ? undefined : missingProgress(known, noted);
  if (change === undefined) return known;
  const pending = new Map(known.pending.map((entry) => [entry.offset, entry]));
  for (const entry of change.upserts) pending.set(entry.offset, entry);
  for (const offset of change.removals) pending.delete(offset);
  const entries = [...pending.values()].sort((one, other) => one.offset - other.offset);
  return { ...known, cursor: change.cursor, pending: entries };
}

/** By message group: nothing of it at that queue offset and behind has been handed out, whatever the cursor says. */
function handedOutEnds(pending: readonly PendingEntry[]): Map<number, number> {
  const ends = new Map<number, number>();
  for (const { order } of pending) {
    if (order === undefined) continue;
    const { messageGroupHash, from } = order;
    ends.set(messageGroupHash, Math.max(from, ends.get(messageGroupHash) ?? 0));
  }
  return ends;
}

/** `entry` once it is done, in a log that has handed out all of its message group before `end`. */
function endOf(entry: PendingEntry, end: number): PendingEntry {
  const order = entry.order && { ...entry.order, from: Math.max(entry.order.from, end) };
  return { ...entry, attempt: 0, visibleAtMs: 0, flags: pendingFlags.anchor, order };
}

/**
 * What has to stay of messages that are done, for message groups of which nothing is `left`: only one of both sides may
 * know that others were passed over behind them.
 */
function anchorsOf(
  ended: readonly PendingEntry[],
  left: Iterable<PendingEntry>,
): Iterable<PendingEntry> {
  const anchors = new Map<number, PendingEntry>();
  for (const entry of ended) {
    if (entry.order === undefined) continue;
    const { messageGroupHash, from } = entry.order;
    if ((anchors.get(messageGroupHash)?.order?.from ?? -1) < from) {
      anchors.set(messageGroupHash, entry);
    }
  }
  for (const { order } of left) if (order !== undefined) anchors.delete(order.messageGroupHash);
  return anchors.values();
}

/** An anchor is of a message that is done. */
function isDone({ flags }: PendingEntry): boolean {
  return (flags & pendingFlags.anchor) !== 0;
}

function endOfOrder({ order }: PendingEntry): number {
  return order?.from ?? 0;
}

/** Whether `entry` says more than what is known: it may be an older copy of notes that have been taken over already. */
function isNewer(entry: PendingEntry, known: PendingEntry | undefined): boolean {
  if (known === undefined) return true;
  if (isDone(known)) return endOfOrder(entry) > endOfOrder(known);
  return isDone(entry) || entry.deliveryNumber >= known.deliveryNumber;
}

/** What both say of one message: it is done when it is in either, and its message group was handed out as far as in either. */
function joined(entry: PendingEntry, known: PendingEntry | undefined): PendingEntry {
  if (known === undefined) return entry;
  const latest = isDone(known) && !isDone(entry) ? known : entry;
  if (latest.order === undefined) return latest;
  const from = Math.max(endOfOrder(entry), endOfOrder(known));
  return { ...latest, order: { ...latest.order, from } };
}

function keyOf({
  group,
  topic,
  queueId,
}: Pick<QueueProgress, "group" | "topic" | "queueId">): string {
  return `${group}\n${topic}\n${queueId}`;
}
