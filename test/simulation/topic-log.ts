// What the confirmed log of a simulated group says of one topic and its consumer group: which message is where, and what
// the group is done with.
import {
  type PendingEntry,
  type ProgressChange,
  pendingFlags,
} from "../../broker/metadata/index.ts";
import { RecordType, type RecordView } from "../../broker/store/record.ts";

/** Where a message stands. */
export interface Place {
  readonly queueId: number;
  readonly offset: number;
  readonly position: number;
  /** Of its message group or lite topic; 0 without one. */
  readonly messageGroupHash: number;
  readonly storeTimeMs: number;
}

/** The group's place in one queue. */
interface Lane {
  cursor: number;
  /** Pending messages and anchors. */
  readonly entries: Map<number, PendingEntry>;
  /** What may be done one day, and is not: nothing behind the cursor where that alone counts. */
  readonly open: Set<number>;
}

/** Reads the records of one topic in log order. */
export class TopicLog {
  /** By their texts. */
  readonly messages: Map<string, Place> = new Map();
  /** Behind the record with which the group was done with a message, by `queue/offset`. */
  readonly doneAt: Map<string, number> = new Map();
  readonly topic: string;
  readonly #isLite: boolean;
  readonly #problems: string[];
  readonly #nextOffsets = new Map<number, number>();
  readonly #lanes = new Map<number, Lane>();
  /** Message groups, or lite topics, by queue and offset. */
  readonly #groups = new Map<number, Map<number, number>>();

  /** `isLite`: each lite topic has its own place, before or behind the cursor of its queue. */
  constructor(problems: string[], { topic, isLite = false }: { topic: string; isLite?: boolean }) {
    this.#problems = problems;
    this.topic = topic;
    this.#isLite = isLite;
  }

  note(record: RecordView): void {
    if (record.type !== RecordType.message) return;
    const { queueId, queueOffset, position, messageGroupHash, storeTimeMs } = record;
    const queue = `${this.topic}/${queueId}`;
    const next = this.#nextOffsets.get(queueId) ?? 0;
    if (queueOffset !== next) {
      this.#problems.push(`queue ${queue} goes from ${next - 1} to ${queueOffset}`);
    }
    this.#nextOffsets.set(queueId, queueOffset + 1);
    const body = Buffer.from(record.body).toString().trim();
    if (this.messages.has(body)) this.#problems.push(`${body} is in the log twice`);
    const place = { queueId, offset: queueOffset, position, messageGroupHash, storeTimeMs };
    this.messages.set(body, place);
    const groups = this.#groups.get(queueId) ?? new Map<number, number>();
    this.#groups.set(queueId, groups.set(queueOffset, messageGroupHash));
    if (this.#isLite) this.#laneOf(queueId).open.add(queueOffset);
  }

  /** Takes a change of the group's progress, whose record ends at `end`. */
  noteProgress({ queueId, cursor, upserts, removals }: ProgressChange, end: number): void {
    const lane = this.#laneOf(queueId);
    const queue = `${this.topic}/${queueId}`;
    if (cursor < lane.cursor) {
      this.#problems.push(`the cursor of queue ${queue} goes back: ${lane.cursor} > ${cursor}`);
    }
    for (const entry of upserts) {
      lane.entries.set(entry.offset, entry);
      if (!isPending(entry)) lane.open.add(entry.offset);
      else if (this.doneAt.has(`${queueId}/${entry.offset}`)) {
        this.#problems.push(
          `${queue}/${entry.offset} was done with, and is pending at ${end} again`,
        );
      }
    }
    for (const offset of removals) {
      lane.entries.delete(offset);
      lane.open.add(offset);
    }
    for (let offset = lane.cursor; offset < cursor; offset += 1) lane.open.add(offset);
    lane.cursor = Math.max(cursor, lane.cursor);
    this.#noteDone(queueId, lane, end);
  }

  /** Whether a message has been taken out of its queue, and is not done. */
  isOut(queueId: number, offset: number): boolean {
    const entry = this.#lanes.get(queueId)?.entries.get(offset);
    return entry !== undefined && isPending(entry);
  }

  #laneOf(queueId: number): Lane {
    const lane = this.#lanes.get(queueId) ?? { cursor: 0, entries: new Map(), open: new Set() };
    this.#lanes.set(queueId, lane);
    return lane;
  }

  /** Of what lies below the cursor all is done but what is pending, and what was passed over behind that. */
  #noteDone(queueId: number, lane: Lane, end: number): void {
    const ends = new Map<number, number>();
    for (const entry of lane.entries.values()) {
      if (entry.order === undefined) continue;
      const { messageGroupHash, from } = entry.order;
      const taken = isPending(entry) && this.#isLite ? Math.max(from, entry.offset + 1) : from;
      ends.set(messageGroupHash, Math.max(taken, ends.get(messageGroupHash) ?? 0));
    }
    const groups = this.#groups.get(queueId);
    // A lite topic without a word of its own stands at the cursor.
    const otherwise = this.#isLite ? lane.cursor : Number.POSITIVE_INFINITY;
    for (const offset of lane.open) {
      const entry = lane.entries.get(offset);
      const isPassed = offset >= (ends.get(groups?.get(offset) ?? 0) ?? otherwise);
      if (isPassed) continue;
      lane.open.delete(offset);
      // An acknowledgement of it comes as a removal.
      if (entry !== undefined && isPending(entry)) continue;
      const key = `${queueId}/${offset}`;
      if (!this.doneAt.has(key)) this.doneAt.set(key, end);
    }
  }
}

/** Whether a message is out; an anchor is done. */
function isPending({ flags }: PendingEntry): boolean {
  return (flags & pendingFlags.anchor) === 0;
}
