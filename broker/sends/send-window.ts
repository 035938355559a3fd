// Which messages clients have sent to this master lately, so that one that comes again is stored once. The table knows
// where each went; the record there says whether it is the same. docs/decisions/0008-idempotent-sends.md.
import { readMessageProperties } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import {
  type Appended,
  type RecordDraft,
  type RecordPlace,
  RecordType,
  type RecordView,
  type SendPlaces,
} from "../store/index.ts";
import type { IdHash } from "./id-hash.ts";
import { IdTable } from "./id-table.ts";

/** How far the window reaches back. */
export interface SendWindowOptions {
  /** Messages at most. */
  readonly countMax: number;
  /** Milliseconds. */
  readonly ageMs: number;
  /** Says which ids count, too. */
  readonly hash: IdHash;
}

/** A message that is sent. */
export interface Sent {
  readonly topic: string;
  readonly messageId: string;
}

/** Records that have been read, by position; undefined for one that has expired. */
export type ReadRecords = ReadonlyMap<number, RecordView | undefined>;

/** The ids of one master since its reign began, and of the log's tail before. */
export class SendWindow implements SendPlaces {
  readonly #options: SendWindowOptions;
  readonly #table: IdTable;
  /** Behind what a deleted topic had. */
  readonly #deletedAt = new Map<string, number>();
  /** Hashes of the send that is under way: two numbers a message. */
  #hashes = new Int32Array(64);
  /** Which messages of that send count, by index. */
  #counts = new Uint8Array(32);

  constructor(options: SendWindowOptions) {
    this.#options = options;
    this.#table = new IdTable(options.countMax);
  }

  /** Messages in the window. */
  get count(): number {
    return this.#table.count;
  }

  /** Memory for them, bytes. */
  get sizeBytes(): number {
    return this.#table.sizeBytes;
  }

  /**
   * Whether one of `messages` may have been sent before: `records` tells. When none is, their places are to come next.
   * Throws ILLEGAL_MESSAGE_ID for an id that is there twice.
   */
  mayRepeat(messages: readonly Sent[], nowMs: number): boolean {
    this.#table.expire(nowMs - this.#options.ageMs);
    this.prepare(messages);
    let found = false;
    for (let index = 0; index < messages.length; index += 1) {
      if (this.#counts[index] === 0) continue;
      const low = this.#hashes[index * 2] ?? 0;
      if (this.#table.find(low, this.#hashes[index * 2 + 1] ?? 0) >= 0) found = true;
    }
    if (messages.length > 1) checkTwins(messages, this.#counts);
    return found;
  }

  /** Lets the places of `messages` come next. */
  prepare(messages: readonly Sent[]): void {
    if (messages.length > this.#counts.length) {
      this.#counts = new Uint8Array(messages.length);
      this.#hashes = new Int32Array(messages.length * 2);
    }
    for (let index = 0; index < messages.length; index += 1) {
      const message = messages[index];
      if (message === undefined) continue;
      const { topic, messageId } = message;
      this.#counts[index] = this.#options.hash(topic, messageId, this.#hashes, index * 2) ? 1 : 0;
    }
  }

  placed(appended: readonly Appended[]): void {
    for (let index = 0; index < appended.length; index += 1) {
      const place = appended[index];
      if (place === undefined || this.#counts[index] === 0) continue;
      this.#table.add(this.#hashes[index * 2] ?? 0, this.#hashes[index * 2 + 1] ?? 0, place);
    }
  }

  /** Places at which `message` may lie, any number of them; mostly none, then one. */
  places(message: Sent): readonly RecordPlace[] {
    const found: RecordPlace[] = [];
    const hash = new Int32Array(2);
    if (!this.#options.hash(message.topic, message.messageId, hash, 0)) return found;
    const [low = 0, high = 0] = hash;
    const deletedAt = this.#deletedAt.get(message.topic) ?? 0;
    for (let slot = this.#table.find(low, high); slot >= 0; ) {
      const place = this.#table.placeAt(slot);
      if (place.position >= deletedAt) found.push(place);
      slot = this.#table.find(low, high, slot);
    }
    return found;
  }

  /** What a record of the log that was read at a start adds. */
  recall(record: RecordView, messageId: string): void {
    const { topic } = record;
    this.prepare([{ topic, messageId }]);
    if (this.#counts[0] === 1) {
      const { position, size, storeTimeMs } = record;
      const [low = 0, high = 0] = this.#hashes;
      this.#table.add(low, high, { position, size, storeTimeMs });
    }
  }

  /** A topic is gone, and with it what lies before `end`. */
  topicDeleted(topic: string, end: number): void {
    const { oldestPosition } = this.#table;
    for (const [name, deletedAt] of this.#deletedAt) {
      if (deletedAt <= oldestPosition) this.#deletedAt.delete(name);
    }
    this.#deletedAt.set(topic, end);
  }

  /** What was appended behind `end` is not in the log. */
  tookBack(end: number): void {
    this.#table.takeBack(end);
  }
}

/** Whether `record` is of this topic and id. */
export function isRecordOf(record: RecordView, { topic, messageId }: Sent): boolean {
  return (
    record.topic === topic && readMessageProperties(record.systemProperties).messageId === messageId
  );
}

/** Throws ILLEGAL_MESSAGE_ID unless the record holds what the draft, of the same topic and id, would store. */
export function checkSame(record: RecordView, draft: RecordDraft): void {
  const first = readMessageProperties(record.systemProperties);
  const again = readMessageProperties(draft.systemProperties);
  // A delayed message whose time has come meanwhile would be stored as one that is not delayed.
  const isHalf = record.type === RecordType.halfMessage;
  const isSameType =
    first.messageType === again.messageType && isHalf === (draft.type === RecordType.halfMessage);
  const different = !isSameType
    ? "type"
    : (first.messageGroup ?? "") !== (again.messageGroup ?? "")
      ? "message group"
      : Buffer.compare(record.body, draft.body) !== 0
        ? "body"
        : undefined;
  if (different === undefined) return;
  throw new MqError(
    "ILLEGAL_MESSAGE_ID",
    `the message id ${again.messageId} was sent to topic "${draft.topic}" before with another ${different}`,
  );
}

function checkTwins(messages: readonly Sent[], counts: Uint8Array): void {
  const seen = new Set<string>();
  for (const [index, { messageId }] of messages.entries()) {
    if (seen.has(messageId)) {
      throw new MqError(
        "ILLEGAL_MESSAGE_ID",
        `the request holds two messages with the id ${messageId}`,
      );
    }
    if (counts[index] === 1) seen.add(messageId);
  }
}
