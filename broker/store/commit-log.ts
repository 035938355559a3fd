// The front of the commit log: gives each record its place and encodes it into the tail,
// synchronously. docs/format/commit-log.md. The writer brings it to the disk.
import {
  type Clock,
  limits,
  MqError,
  position as toPosition,
  queueOffset as toQueueOffset,
} from "../../base/index.ts";
import type { Appended } from "./ack-line.ts";
import type { ConsumeQueue } from "./consume-queue.ts";
import type { ConsumeQueues } from "./consume-queues.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { encodeRecord, type RecordDraft, type RecordStamp, recordSize } from "./record.ts";
import { isQueued } from "./recovery.ts";
import type { TailCache } from "./tail-cache.ts";

/** What the log works on. */
export interface CommitLogParts {
  readonly tail: TailCache;
  readonly queues: ConsumeQueues;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** A segment that has reached this size is followed by a new one. */
  readonly segmentSizeBytes: number;
}

/** Where appending goes on. */
export interface CommitLogStart {
  readonly end: number;
  /** Start of the newest segment; `end` when there is none. */
  readonly segmentStart: number;
  readonly storeTimeMs: number;
}

const topicsKeptMax = 65_536;
const topicSizeMax = 65_535;

/** Encodes groups of records at the log's end. */
export class CommitLog {
  readonly #parts: CommitLogParts;
  readonly #topics = new Map<string, Uint8Array>();
  readonly #stamp: RecordStamp;
  readonly #entry = { position: 0, size: 0, tagHash: 0, messageGroupHash: 0 };
  #end: number;
  #segmentStart: number;
  #storeTimeMs: number;

  constructor(parts: CommitLogParts, start: CommitLogStart) {
    this.#parts = parts;
    this.#end = start.end;
    this.#segmentStart = start.segmentStart;
    this.#storeTimeMs = start.storeTimeMs;
    this.#stamp = { position: 0, queueOffset: 0, epoch: 0, storeTimeMs: 0, groupRest: 0 };
  }

  /** Behind the last record, written or not. */
  get end(): number {
    return this.#end;
  }

  /** Throws MESSAGE_BODY_TOO_LARGE when a draft cannot become a record. To be called before `append`. */
  check(group: readonly RecordDraft[]): void {
    for (const draft of group) {
      const topicBytes = this.#topicBytes(draft.topic);
      const size = recordSize(draft, topicBytes.length);
      if (size <= limits.recordSizeMax && topicBytes.length <= topicSizeMax) continue;
      throw new MqError(
        "MESSAGE_BODY_TOO_LARGE",
        `a record of ${size} bytes is larger than ${limits.recordSizeMax}`,
        { facts: { size, sizeMax: limits.recordSizeMax } },
      );
    }
  }

  /** Encodes one atomic group; copies all its bytes. */
  append(group: readonly RecordDraft[], epoch: number): readonly Appended[] {
    const stamp = this.#stamp;
    // Clocks may jump back; store times never do, so that they can be searched.
    this.#storeTimeMs = Math.max(this.#storeTimeMs, this.#parts.clock.now());
    stamp.storeTimeMs = this.#storeTimeMs;
    stamp.epoch = epoch;
    stamp.groupRest = group.length;
    const appended: Appended[] = [];
    for (const draft of group) {
      stamp.groupRest -= 1;
      appended.push(this.#appendOne(draft));
    }
    return appended;
  }

  /** Goes back to `end`; the newest segment starts at `segmentStart` then. */
  takeBack(end: number, segmentStart: number): void {
    this.#end = end;
    this.#segmentStart = segmentStart;
  }

  #appendOne(draft: RecordDraft): Appended {
    const { tail, dispatcher, segmentSizeBytes } = this.#parts;
    const topicBytes = this.#topicBytes(draft.topic);
    const size = recordSize(draft, topicBytes.length);
    const position = this.#end;
    if (position + size > this.#segmentStart + segmentSizeBytes) this.#segmentStart = position;
    const queue = this.#enqueue(draft, position, size);
    const stamp = this.#stamp;
    stamp.position = position;
    stamp.queueOffset = queue === undefined ? 0 : queue.nextOffset - 1;
    const chunk = tail.reserve(position, size, this.#segmentStart);
    encodeRecord(chunk.buffer, position - chunk.start, { draft, topicBytes }, stamp);
    this.#end = position + size;
    chunk.end = this.#end;
    dispatcher.appended(this.#end, draft.type, queue);
    return {
      position: toPosition(position),
      size,
      queueOffset: toQueueOffset(stamp.queueOffset),
      storeTimeMs: stamp.storeTimeMs,
    };
  }

  #enqueue(draft: RecordDraft, position: number, size: number): ConsumeQueue | undefined {
    if (!isQueued(draft.type)) return undefined;
    const queue = this.#parts.queues.ensure(draft.topic, draft.queueId);
    const entry = this.#entry;
    entry.position = position;
    entry.size = size;
    entry.tagHash = draft.tagHash ?? 0;
    entry.messageGroupHash = draft.messageGroupHash ?? 0;
    queue.add(entry);
    return queue;
  }

  #topicBytes(topic: string): Uint8Array {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    if (this.#topics.size >= topicsKeptMax) this.#topics.clear();
    const bytes = new Uint8Array(Buffer.from(topic, "utf8"));
    this.#topics.set(topic, bytes);
    return bytes;
  }
}
