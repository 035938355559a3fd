// Records that come in together from another broker's log, on their way into the tail: each gets its place by itself,
// their bytes are copied as far as possible at once.
import type { RecordBuffer } from "./record.ts";
import type { TailCache, TailChunk } from "./tail-cache.ts";

/** A block of records that is taken over from its first byte on. */
export class IncomingRun {
  readonly block: RecordBuffer;
  readonly #tail: TailCache;
  /** Log position of the block's first byte. */
  readonly #start: number;
  #chunk: TailChunk | undefined;
  /** Place in the block up to which bytes are in the tail. */
  #copied = 0;
  #place = 0;

  constructor(tail: TailCache, block: RecordBuffer, start: number) {
    this.#tail = tail;
    this.block = block;
    this.#start = start;
  }

  /** Behind the last record taken, in the block. */
  get place(): number {
    return this.#place;
  }

  /** Takes the next record, of `size` bytes, into the segment that starts at `segmentStart`. */
  take(size: number, segmentStart: number): void {
    const chunk = this.#tail.reserve(this.#start + this.#place, size, segmentStart);
    if (chunk !== this.#chunk) this.copy();
    this.#chunk = chunk;
    this.#place += size;
    chunk.end = this.#start + this.#place;
  }

  /** Copies what was taken and is not in the tail yet; to be called before anybody reads it. */
  copy(): void {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    const target = this.#start + this.#copied - chunk.start;
    this.block.bytes.copy(chunk.buffer.bytes, target, this.#copied, this.#place);
    this.#copied = this.#place;
  }
}
