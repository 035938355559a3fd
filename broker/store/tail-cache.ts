// The newest bytes of the log in memory: appends are encoded straight into it, the writer writes
// from it, tail reads get views of it. Bounded; chunks are allocated when needed.
import { assert } from "../../base/index.ts";
import { allocateRecordBuffer, isHeadedAs, type RecordBuffer, RecordView } from "./record.ts";

/** A run of the log in memory: bytes `[start, end)` of one segment. */
export interface TailChunk {
  readonly buffer: RecordBuffer;
  readonly start: number;
  /** Start of the segment these bytes belong to. */
  readonly segmentStart: number;
  end: number;
  /** Somebody may hold views: its memory must not be used again. */
  isShared: boolean;
}

const chunkSizeMin = 65_536;
const chunkSizeMax = 1_048_576;
const spareCountMax = 4;
/** Appended between two looks by a broker that counts as idle, bytes. */
const idleSizeMax = 1_048_576;

/** Chunks of the log's tail, ascending and without gaps. */
export class TailCache {
  readonly #sizeMax: number;
  readonly #chunks: TailChunk[] = [];
  readonly #spares: RecordBuffer[] = [];
  #sizeBytes = 0;
  #nextChunkSize = chunkSizeMin;
  /** Where the tail ended at the last look for idleness. */
  #idleEnd = 0;

  /** `sizeMax`: bytes kept of what is written and dispatched; what is not yet is kept in addition. */
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  /** Memory of the chunks, bytes. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The chunk that takes `size` bytes at `position` of the segment that starts at `segmentStart`. */
  reserve(position: number, size: number, segmentStart: number): TailChunk {
    const last = this.#chunks.at(-1);
    if (
      last !== undefined &&
      last.segmentStart === segmentStart &&
      last.end - last.start + size <= last.buffer.bytes.length
    ) {
      assert(last.end === position, "the tail cache has a gap");
      return last;
    }
    const chunk: TailChunk = {
      buffer: this.#allocate(size),
      start: position,
      segmentStart,
      end: position,
      isShared: false,
    };
    this.#chunks.push(chunk);
    this.#sizeBytes += chunk.buffer.bytes.length;
    return chunk;
  }

  /** The record at `position`, surely a record's start; undefined when not in memory. */
  recordAt(position: number): RecordView | undefined {
    const chunk = this.#find(position);
    if (chunk === undefined) return undefined;
    chunk.isShared = true;
    return new RecordView(chunk.buffer, position - chunk.start);
  }

  /** The record of `size` bytes at `position`; undefined when not in memory, or when there is no such record. */
  read(position: number, size: number): RecordView | undefined {
    const chunk = this.#find(position);
    if (chunk === undefined) return undefined;
    const range = { start: position - chunk.start, end: chunk.end - chunk.start };
    if (!isHeadedAs(chunk.buffer, range, { position, size })) return undefined;
    chunk.isShared = true;
    return new RecordView(chunk.buffer, range.start);
  }

  /** Bytes from `from` on, at most `sizeMax`, before `to`; undefined when not in memory. They stay valid as long as they are held. */
  view(from: number, to: number, sizeMax: number): Buffer | undefined {
    const chunk = this.#find(from);
    if (chunk === undefined) return undefined;
    chunk.isShared = true;
    const end = Math.min(chunk.end, to, from + sizeMax);
    return chunk.buffer.bytes.subarray(from - chunk.start, end - chunk.start);
  }

  /** Runs of bytes that cover `[from, to)`, in order, one a segment; to be written before the next `evict`. */
  *runs(from: number, to: number): Generator<TailRun> {
    for (let place = from; place < to; ) {
      const run = this.#runAt(place, to);
      yield run;
      place = run.end;
    }
  }

  /** Forgets the oldest chunks beyond the bound that end at or before `below`. */
  evict(below: number): void {
    while (this.#sizeBytes > this.#sizeMax && this.#chunks.length > 1) {
      const first = this.#chunks[0];
      if (first === undefined || first.end > below) return;
      this.#chunks.shift();
      this.#sizeBytes -= first.buffer.bytes.length;
      const isStandard = first.buffer.bytes.length === chunkSizeMax;
      if (isStandard && !first.isShared && this.#spares.length < spareCountMax) {
        this.#spares.push(first.buffer);
      }
    }
  }

  /** Cuts the tail at `end`: bytes behind it were never seen by anybody. */
  truncate(end: number): void {
    for (let last = this.#chunks.at(-1); last !== undefined; last = this.#chunks.at(-1)) {
      if (last.start < end) {
        last.end = Math.min(last.end, end);
        return;
      }
      this.#chunks.pop();
      this.#sizeBytes -= last.buffer.bytes.length;
    }
  }

  /** Gives back memory that is only kept for reuse, when little has been appended since the last call. */
  releaseWhenIdle(): void {
    const end = this.#chunks.at(-1)?.end ?? 0;
    const isIdle = end - this.#idleEnd < idleSizeMax;
    this.#idleEnd = end;
    if (!isIdle) return;
    this.#spares.length = 0;
    this.#nextChunkSize = chunkSizeMin;
  }

  #runAt(position: number, to: number): TailRun {
    const parts: Uint8Array[] = [];
    let end = position;
    let segmentStart: number | undefined;
    while (end < to) {
      const chunk = this.#find(end);
      assert(chunk !== undefined, "bytes to be written left the tail cache");
      segmentStart ??= chunk.segmentStart;
      if (chunk.segmentStart !== segmentStart) break;
      const chunkEnd = Math.min(chunk.end, to);
      parts.push(chunk.buffer.bytes.subarray(end - chunk.start, chunkEnd - chunk.start));
      end = chunkEnd;
    }
    return { position, end, parts, segmentStart: segmentStart ?? position };
  }

  #allocate(size: number): RecordBuffer {
    if (size <= chunkSizeMax && this.#nextChunkSize === chunkSizeMax) {
      const spare = this.#spares.pop();
      if (spare !== undefined) return spare;
    }
    const chunkSize = Math.max(size, this.#nextChunkSize);
    this.#nextChunkSize = Math.min(this.#nextChunkSize * 2, chunkSizeMax);
    return allocateRecordBuffer(chunkSize);
  }

  #find(position: number): TailChunk | undefined {
    const last = this.#chunks.at(-1);
    if (last === undefined || position >= last.end) return undefined;
    let low = 0;
    let high = this.#chunks.length - 1;
    if (position >= last.start) return last;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle];
      if (chunk !== undefined && chunk.end <= position) low = middle + 1;
      else high = middle;
    }
    const found = this.#chunks[low];
    return found !== undefined && found.start <= position ? found : undefined;
  }
}

/** Bytes of the tail that belong to one segment: views, each behind the one before. */
export interface TailRun {
  readonly position: number;
  /** Exclusive. */
  readonly end: number;
  readonly parts: readonly Uint8Array[];
  readonly segmentStart: number;
}
