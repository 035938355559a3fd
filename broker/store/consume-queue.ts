// One consume queue: which log positions hold the messages of one topic and queue, in order. Its
// newest entries are in memory, the rest in files.
import { assert, limits } from "../../base/index.ts";
import { EntryChunk, QueueEntries, type QueueEntry, queueEntrySize } from "./queue-entries.ts";
import type { QueueFiles, QueueName } from "./queue-files.ts";

const chunkEntriesMax = 256;

/** What all queues share. */
export interface QueueSurroundings {
  readonly files: QueueFiles;
  /** Store time of the record at a position; undefined when it has expired. */
  storeTime(position: number): Promise<number | undefined>;
  /** Messages have entered queues, or are taken back out of them (negative). */
  entered(count: number): void;
  /** Memory of chunks was taken (positive) or given back; a new chunk comes with its queue. */
  memory(sizeBytes: number, chunk?: EntryChunk, queue?: ConsumeQueue): void;
}

/** Messages `[minOffset, endOffset)` of one topic and queue can be read; `[endOffset, nextOffset)` are not confirmed yet. */
export class ConsumeQueue implements QueueName {
  readonly topic: string;
  readonly queueId: number;
  readonly #shared: QueueSurroundings;
  readonly #chunks: EntryChunk[] = [];
  #cold: EntryChunk | undefined;
  #minOffset: number;
  #endOffset: number;
  #nextOffset: number;
  #savedOffset: number;
  #isDropped = false;
  /** In the set of queues with entries to be saved; kept by `ConsumeQueues`. */
  isDirty = false;
  /** Last dispatcher round that touched this queue; kept by the dispatcher. */
  round = 0;

  constructor(
    name: QueueName,
    bounds: { readonly minOffset: number; readonly nextOffset: number },
    shared: QueueSurroundings,
  ) {
    this.topic = name.topic;
    this.queueId = name.queueId;
    this.#shared = shared;
    this.#minOffset = bounds.minOffset;
    this.#endOffset = bounds.nextOffset;
    this.#nextOffset = bounds.nextOffset;
    this.#savedOffset = bounds.nextOffset;
    shared.entered(bounds.nextOffset);
  }

  /** First message kept. Equal to `endOffset` when there is none. */
  get minOffset(): number {
    return this.#minOffset;
  }

  /** Behind the last message that may be seen. */
  get endOffset(): number {
    return this.#endOffset;
  }

  /** Offset that the next appended message gets. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Entries below it are in the files. */
  get savedOffset(): number {
    return this.#savedOffset;
  }

  /** Confirmed entries that are not in the files yet. */
  get unsavedCount(): number {
    return this.#endOffset - this.#savedOffset;
  }

  /**
   * Up to `countMax` visible entries from `from`, when they are in memory: fewer than asked when a
   * run of memory ends, none behind the end. Undefined: not in memory, `load` them. `from` below
   * `minOffset` starts there.
   */
  entries(from: number, countMax: number): QueueEntries | undefined {
    const start = Math.max(from, this.#minOffset);
    if (start >= this.#endOffset) return noEntries(start);
    const chunk = this.#find(start);
    if (chunk === undefined) return undefined;
    return chunk.entries(start, Math.min(start + countMax, chunk.end, this.#endOffset));
  }

  /** As `entries`, from the files when needed; gives at least one entry when there is one. */
  async load(from: number, countMax: number): Promise<QueueEntries> {
    const found = this.entries(from, countMax);
    if (found !== undefined) return found;
    const start = Math.max(from, this.#minOffset);
    const end = Math.min(start + limits.queueReadCount, this.#savedOffset);
    assert(end > start, "an unsaved queue entry left the memory");
    try {
      const bytes = await this.#shared.files.read(this, start, end - start);
      const chunk = EntryChunk.over(bytes, start);
      this.#keepCold(chunk);
      return chunk.entries(start, Math.min(start + countMax, chunk.end));
    } catch (error) {
      // The file may have gone because its entries have expired meanwhile.
      if (start < this.#minOffset) return this.load(from, countMax);
      throw error;
    }
  }

  /** Store time of the message at `offset`, milliseconds; undefined outside `[minOffset, endOffset)`. */
  async storeTimeAt(offset: number): Promise<number | undefined> {
    if (offset < this.#minOffset || offset >= this.#endOffset) return undefined;
    const entry = await this.load(offset, 1);
    if (entry.count === 0 || entry.from !== offset) return undefined;
    return this.#shared.storeTime(entry.position(0));
  }

  /** Offset of the first message stored at `timeMs` or later; `endOffset` when there is none. */
  async offsetByTime(timeMs: number): Promise<number> {
    let low = this.#minOffset;
    let high = this.#endOffset;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const found = await this.storeTimeAt(middle);
      if (found === undefined || found < timeMs) low = middle + 1;
      else high = middle;
    }
    return Math.max(low, this.#minOffset);
  }

  /** Offset of the first entry at log position `below` or behind; `endOffset` when there is none. */
  async offsetByPosition(below: number): Promise<number> {
    let low = this.#minOffset;
    let high = this.#endOffset;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = await this.load(middle, 1);
      if (entry.position(0) < below) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Appends an entry that is not visible yet. */
  add(entry: QueueEntry): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.count >= chunkEntriesMax) {
      chunk = new EntryChunk(this.#nextOffset);
      this.#chunks.push(chunk);
      this.#shared.memory(chunk.sizeBytes, chunk, this);
    }
    const before = chunk.sizeBytes;
    chunk.add(entry);
    if (chunk.sizeBytes !== before) this.#shared.memory(chunk.sizeBytes - before);
    this.#nextOffset += 1;
    this.#shared.entered(1);
  }

  /** Makes the next entry visible. */
  confirmOne(): void {
    if (this.#isDropped) return;
    assert(this.#endOffset < this.#nextOffset, "a queue entry is confirmed before it is appended");
    this.#endOffset += 1;
  }

  /** Takes the last entry back, which was never visible. */
  takeBackOne(): void {
    if (this.#isDropped) return;
    assert(this.#endOffset < this.#nextOffset, "a confirmed queue entry is taken back");
    this.#nextOffset -= 1;
    this.#shared.entered(-1);
    const chunk = this.#chunks.at(-1);
    assert(chunk !== undefined, "an unconfirmed queue entry left the memory");
    chunk.count -= 1;
    if (chunk.count > 0) return;
    this.#chunks.pop();
    this.#shared.memory(-chunk.sizeBytes);
  }

  /** Writes what is confirmed and not saved to the files. One call at a time. */
  async save(): Promise<void> {
    const from = Math.max(this.#savedOffset, this.#minOffset);
    const to = this.#endOffset;
    if (from === to || this.#isDropped) return;
    const bytes = Buffer.allocUnsafe((to - from) * queueEntrySize);
    let place = 0;
    for (const chunk of this.#chunks) {
      const start = Math.max(from, chunk.from);
      const end = Math.min(to, chunk.end);
      if (start >= end) continue;
      bytes.set(chunk.bytes(start, end), place);
      place += (end - start) * queueEntrySize;
    }
    assert(place === bytes.length, "an unsaved queue entry left the memory");
    await this.#shared.files.write(this, from, bytes);
    this.#savedOffset = to;
  }

  /** Forgets the memory of a chunk; false when it is needed still. */
  forget(chunk: EntryChunk): boolean {
    if (this.#cold === chunk) {
      this.#cold = undefined;
      this.#shared.memory(-chunk.sizeBytes);
      return true;
    }
    const index = this.#chunks.indexOf(chunk);
    if (index === -1) return true;
    if (chunk.end > this.#savedOffset) return false;
    this.#chunks.splice(index, 1);
    this.#shared.memory(-chunk.sizeBytes);
    return true;
  }

  /** Moves `minOffset` up: what was below has expired. */
  expire(minOffset: number): void {
    this.#minOffset = Math.max(this.#minOffset, Math.min(minOffset, this.#endOffset));
  }

  /** Continues an empty queue at `nextOffset`: its messages up to there have expired. */
  continueAt(nextOffset: number): void {
    assert(this.#minOffset === this.#nextOffset, "a queue with messages cannot be moved");
    this.#shared.entered(nextOffset - this.#nextOffset);
    this.#minOffset = nextOffset;
    this.#endOffset = nextOffset;
    this.#nextOffset = nextOffset;
    this.#savedOffset = nextOffset;
  }

  /** Gives all memory back; the queue is not used any more. */
  drop(): void {
    if (!this.#isDropped) this.#shared.entered(-this.#nextOffset);
    this.#isDropped = true;
    this.#endOffset = this.#nextOffset;
    this.#savedOffset = this.#nextOffset;
    this.#minOffset = this.#nextOffset;
    for (const chunk of this.#chunks) this.#shared.memory(-chunk.sizeBytes);
    this.#chunks.length = 0;
    if (this.#cold !== undefined) this.forget(this.#cold);
  }

  #keepCold(chunk: EntryChunk): void {
    if (this.#cold !== undefined) this.forget(this.#cold);
    this.#cold = chunk;
    this.#shared.memory(chunk.sizeBytes, chunk, this);
  }

  #find(offset: number): EntryChunk | undefined {
    const last = this.#chunks.at(-1);
    if (last !== undefined && offset >= last.from) return last;
    const cold = this.#cold;
    if (cold !== undefined && offset >= cold.from && offset < cold.end) return cold;
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle];
      if (chunk !== undefined && chunk.end <= offset) low = middle + 1;
      else high = middle;
    }
    const found = this.#chunks[low];
    return found !== undefined && found.from <= offset ? found : undefined;
  }
}

function noEntries(from: number): QueueEntries {
  return new QueueEntries(emptyView, 0, { from, count: 0 });
}

const emptyView = new DataView(new ArrayBuffer(0));
