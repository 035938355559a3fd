// The front of the commit log: gives each record its place and encodes it into the tail,
// synchronously. docs/format/commit-log.md. The writer brings it to the disk.
import {
  assert,
  type Clock,
  type Epoch,
  limits,
  MqError,
  epoch as toEpoch,
  position as toPosition,
  queueOffset as toQueueOffset,
} from "../../base/index.ts";
import type { Appended } from "./ack-line.ts";
import type { EpochStart } from "./checkpoint.ts";
import type { ConsumeQueue } from "./consume-queue.ts";
import type { ConsumeQueues } from "./consume-queues.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { IncomingRun } from "./incoming-run.ts";
import { LogIntake } from "./log-intake.ts";
import { continueQueue } from "./queue-continuation.ts";
import {
  checkRecord,
  encodeRecord,
  isQueued,
  type RecordDraft,
  type RecordFault,
  type RecordStamp,
  RecordView,
  recordSize,
} from "./record.ts";
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
  /** Ascending. */
  readonly epochs: readonly EpochStart[];
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
  readonly #epochs: EpochStart[];
  #intake = new LogIntake();
  /** Of the record that came in last. */
  #topicBefore: { readonly topic: string; readonly bytes: Uint8Array } = {
    topic: "",
    bytes: new Uint8Array(0),
  };
  #segmentStart: number;
  #storeTimeMs: number;

  constructor(parts: CommitLogParts, start: CommitLogStart) {
    this.#parts = parts;
    this.#end = start.end;
    this.#segmentStart = start.segmentStart;
    this.#storeTimeMs = start.storeTimeMs;
    this.#epochs = [...start.epochs];
    this.#stamp = { position: 0, queueOffset: 0, epoch: 0, storeTimeMs: 0, groupRest: 0 };
  }

  /** Behind the last record, written or not. */
  get end(): number {
    return this.#end;
  }

  /** Every epoch known and where it starts, ascending. */
  get epochs(): readonly EpochStart[] {
    return this.#epochs;
  }

  /** Store time of the newest record, milliseconds since 1970; 0 without one. */
  get storeTimeMs(): number {
    return this.#storeTimeMs;
  }

  /** MESSAGE_BODY_TOO_LARGE when a draft cannot become a record. To be asked before `append`. */
  refusal(group: readonly RecordDraft[]): MqError | undefined {
    for (const draft of group) {
      const topicBytes = this.#topicBytes(draft.topic);
      const size = recordSize(draft, topicBytes.length);
      if (size <= limits.recordSizeMax && topicBytes.length <= topicSizeMax) continue;
      return new MqError(
        "MESSAGE_BODY_TOO_LARGE",
        `a record of ${size} bytes is larger than ${limits.recordSizeMax}`,
        { facts: { size, sizeMax: limits.recordSizeMax } },
      );
    }
    return undefined;
  }

  /** Encodes one atomic group; copies all its bytes. */
  append(group: readonly RecordDraft[]): readonly Appended[] {
    const stamp = this.#stamp;
    // Clocks may jump back; store times never do, so that they can be searched.
    this.#storeTimeMs = Math.max(this.#storeTimeMs, this.#parts.clock.now());
    stamp.storeTimeMs = this.#storeTimeMs;
    stamp.epoch = this.epoch;
    stamp.groupRest = group.length;
    const appended: Appended[] = [];
    for (const draft of group) {
      stamp.groupRest -= 1;
      appended.push(this.#appendOne(draft));
    }
    return appended;
  }

  /** The newest epoch; 0 before the first. */
  get epoch(): Epoch {
    return this.epochs.at(-1)?.epoch ?? toEpoch(0);
  }

  /** Records appended from now on are of `epoch`, which is newer than all before. */
  openEpoch(epoch: number): void {
    assert(epoch > this.epoch, "a reign is newer than those before it");
    // What has not come whole from the former master never will.
    this.#intake = new LogIntake();
    this.#epochs.push({ epoch: toEpoch(epoch), position: toPosition(this.#end) });
  }

  /** Behind the last byte that `ingest` has taken: `end`, and what waits for the rest of its group. */
  get taken(): number {
    return this.#end + this.#intake.waitingBytes;
  }

  /**
   * Takes the next bytes of another broker's log, cut anywhere, and copies them. Each record of a whole group is checked
   * and gets the same place here. Throws CORRUPT at the first that does not continue this log; what came before it is
   * taken.
   */
  ingest(bytes: Buffer): void {
    const block = this.#intake.push(bytes);
    if (block === undefined) return;
    const run = new IncomingRun(this.#parts.tail, block, this.#end);
    try {
      while (run.place < block.bytes.length) this.#takeOver(run);
    } finally {
      run.copy();
    }
  }

  /** Moves the end of an empty log to where a copy of another log begins. */
  startAt(position: number): void {
    this.#end = position;
    this.#segmentStart = position;
  }

  #takeOver(run: IncomingRun): void {
    const { block, place } = run;
    const position = this.#end;
    const size = checkRecord(block, place, block.bytes.length, position);
    if (typeof size === "string") throw foreignRecord(position, size);
    const record = new RecordView(block, place);
    const { type, epoch } = record;
    if (epoch !== this.epoch) this.#epochs.push({ epoch, position: toPosition(position) });
    const queue = isQueued(type) ? this.#queueOf(record) : undefined;
    run.take(size, this.#segmentFor(position, size));
    this.#end = position + size;
    this.#storeTimeMs = Math.max(this.#storeTimeMs, record.storeTimeMs);
    this.#parts.dispatcher.appended(this.#end, type, queue);
  }

  /** The queue of a record that comes in, with its entry. */
  #queueOf(record: RecordView): ConsumeQueue {
    // Neighbours are often of one topic.
    if (!record.hasTopic(this.#topicBefore.bytes)) {
      const { topic } = record;
      this.#topicBefore = { topic, bytes: this.#topicBytes(topic) };
    }
    const queue = this.#parts.queues.ensure(this.#topicBefore.topic, record.queueId);
    continueQueue(queue, record);
    queue.add(record);
    return queue;
  }

  #segmentFor(position: number, size: number): number {
    const { segmentSizeBytes } = this.#parts;
    if (position + size > this.#segmentStart + segmentSizeBytes) this.#segmentStart = position;
    return this.#segmentStart;
  }

  /** Goes back to `end`; the newest segment starts at `segmentStart` then. */
  takeBack(end: number, segmentStart: number): void {
    this.#end = end;
    this.#segmentStart = segmentStart;
    this.#intake = new LogIntake();
    while ((this.#epochs.at(-1)?.position ?? -1) >= end) this.#epochs.pop();
  }

  #appendOne(draft: RecordDraft): Appended {
    const { tail, dispatcher } = this.#parts;
    const topicBytes = this.#topicBytes(draft.topic);
    const size = recordSize(draft, topicBytes.length);
    const position = this.#end;
    const segmentStart = this.#segmentFor(position, size);
    const queue = this.#enqueue(draft, position, size);
    const stamp = this.#stamp;
    stamp.position = position;
    stamp.queueOffset = queue === undefined ? 0 : queue.nextOffset - 1;
    const chunk = tail.reserve(position, size, segmentStart);
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

function foreignRecord(position: number, fault: RecordFault): MqError {
  return new MqError(
    "CORRUPT",
    `what the master sent for position ${position} is not a record of that place: its ${fault} is wrong`,
    { facts: { position } },
  );
}
