// What the brokers of a simulated group have confirmed: one log, the same bytes at every broker and for ever. Reads it
// as clients were promised it: which message is where, and what a consumer is done with.
import {
  decodeProgress,
  givenUpTopic,
  type PendingEntry,
  pendingFlags,
} from "../../broker/metadata/index.ts";
import { asRecordBuffer, checkRecord, RecordType, RecordView } from "../../broker/store/record.ts";
import { DelayedLog, delayedTopic } from "./delayed-log.ts";
import { TransactionLog, transactionTopic } from "./transaction-log.ts";

/** Where a message stands. */
export interface Place {
  readonly queueId: number;
  readonly offset: number;
  readonly position: number;
  /** 0 without one. */
  readonly messageGroupHash: number;
}

/** One group's place in one queue. */
interface Lane {
  cursor: number;
  /** Pending messages and anchors. */
  readonly entries: Map<number, PendingEntry>;
  /** Behind which nothing is known to be done, below the cursor and not pending: passed over. */
  open: Set<number>;
}

/** The log that nobody may take back. */
export class ConfirmedLog {
  /** Messages of topic `t` by their bodies. */
  readonly messages: Map<string, Place> = new Map();
  /** Behind the record with which group `g` was done with a message, by `queue/offset`. */
  readonly doneAt: Map<string, number> = new Map();
  /** Delayed messages, which have a topic of their own. */
  readonly delayed: DelayedLog;
  readonly transactions: TransactionLog;
  readonly #problems: string[];
  readonly #nextOffsets = new Map<number, number>();
  readonly #lanes = new Map<number, Lane>();
  /** Message groups by queue and offset. */
  readonly #groups = new Map<number, Map<number, number>>();
  #bytes = Buffer.alloc(2 ** 20);
  #end = 0;
  #parsed = 0;

  constructor(problems: string[]) {
    this.#problems = problems;
    this.delayed = new DelayedLog(problems);
    this.transactions = new TransactionLog(problems);
  }

  get end(): number {
    return this.#end;
  }

  /**
   * A broker has confirmed these bytes at `from`, whole records. Gives false when they are not what was confirmed
   * before.
   */
  take(from: number, bytes: Buffer): boolean {
    const known = Math.max(0, Math.min(this.#end - from, bytes.length));
    if (bytes.compare(this.#bytes, from, from + known, 0, known) !== 0) return false;
    if (from > this.#end || known === bytes.length) return true;
    while (this.#bytes.length < from + bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    }
    bytes.copy(this.#bytes, this.#end, known);
    this.#end = from + bytes.length;
    this.#parse();
    return true;
  }

  /** The first position at which `bytes`, which begin at `from`, are not what was confirmed, or where one of both ends. */
  commonUpTo(from: number, bytes: Buffer): number {
    const size = Math.max(0, Math.min(this.#end - from, bytes.length));
    if (bytes.compare(this.#bytes, from, from + size, 0, size) === 0) return from + size;
    let at = 0;
    while (bytes[at] === this.#bytes[from + at]) at += 1;
    return from + at;
  }

  #parse(): void {
    const source = asRecordBuffer(this.#bytes);
    while (this.#parsed < this.#end) {
      const size = checkRecord(source, this.#parsed, this.#end, this.#parsed);
      if (typeof size === "string") {
        this.#problems.push(`what is confirmed ends inside a record at ${this.#parsed}: ${size}`);
        this.#parsed = this.#end;
        return;
      }
      this.#note(new RecordView(source, this.#parsed));
      this.#parsed += size;
    }
  }

  #note(record: RecordView): void {
    if (record.type === RecordType.progress) return this.#noteProgress(record);
    if (record.topic === delayedTopic) return this.delayed.note(record);
    if (record.topic === transactionTopic || record.topic === givenUpTopic) {
      return this.transactions.note(record);
    }
    if (record.type !== RecordType.message || record.topic !== "t") return;
    const { queueId, queueOffset, position } = record;
    const next = this.#nextOffsets.get(queueId) ?? 0;
    if (queueOffset !== next) {
      this.#problems.push(`queue ${queueId} goes from ${next - 1} to ${queueOffset}`);
    }
    this.#nextOffsets.set(queueId, queueOffset + 1);
    const body = Buffer.from(record.body).toString().trim();
    if (this.messages.has(body)) this.#problems.push(`${body} is in the log twice`);
    const { messageGroupHash } = record;
    this.messages.set(body, { queueId, offset: queueOffset, position, messageGroupHash });
    const groups = this.#groups.get(queueId) ?? new Map<number, number>();
    this.#groups.set(queueId, groups.set(queueOffset, messageGroupHash));
  }

  #noteProgress(record: RecordView): void {
    const end = record.position + record.size;
    for (const change of decodeProgress(record.body)) {
      if (change.topic !== "t") continue;
      const { queueId, cursor, upserts, removals } = change;
      const lane = this.#lanes.get(queueId) ?? { cursor: 0, entries: new Map(), open: new Set() };
      this.#lanes.set(queueId, lane);
      if (cursor < lane.cursor) {
        this.#problems.push(`the cursor of queue ${queueId} goes back: ${lane.cursor} > ${cursor}`);
      }
      for (const entry of upserts) {
        lane.entries.set(entry.offset, entry);
        if (!isPending(entry)) lane.open.add(entry.offset);
        else if (this.doneAt.has(`${queueId}/${entry.offset}`)) {
          this.#problems.push(
            `${queueId}/${entry.offset} was done with, and is pending at ${end} again`,
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
  }

  /** Of what lies below the cursor all is done but what is pending, and what was passed over behind that. */
  #noteDone(queueId: number, lane: Lane, end: number): void {
    const ends = new Map<number, number>();
    for (const { order } of lane.entries.values()) {
      if (order === undefined) continue;
      const { messageGroupHash, from } = order;
      ends.set(messageGroupHash, Math.max(from, ends.get(messageGroupHash) ?? 0));
    }
    const groups = this.#groups.get(queueId);
    for (const offset of lane.open) {
      const entry = lane.entries.get(offset);
      const isPassed = offset >= (ends.get(groups?.get(offset) ?? 0) ?? Number.POSITIVE_INFINITY);
      if (isPassed) continue;
      lane.open.delete(offset);
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
