// Reads the log where it is: records and raw bytes, from memory or from the files.
import type { ColdReader, RecordPlace } from "./cold-reader.ts";
import { asRecordBuffer, type RecordView } from "./record.ts";
import type { Segments } from "./segments.ts";
import type { TailCache } from "./tail-cache.ts";
import { wholeGroups } from "./whole-groups.ts";

/** How much of the log is wanted. */
export interface LogReadWish {
  /** Bytes, at most. */
  readonly sizeMax: number;
  /** Asked for the memory of bytes that come from the files, `sizeMax` of them at least; fresh memory by default. */
  readonly memory?: () => Buffer;
}

const noBytes = Buffer.alloc(0);

/** The reading side of a store. */
export class LogReader {
  readonly #tail: TailCache;
  readonly #cold: ColdReader;
  readonly #segments: Segments;

  constructor(tail: TailCache, cold: ColdReader, segments: Segments) {
    this.#tail = tail;
    this.#cold = cold;
    this.#segments = segments;
  }

  /** See `Store.readCold`. */
  async records(places: readonly RecordPlace[]): Promise<readonly (RecordView | undefined)[]> {
    const records: (RecordView | undefined)[] = [];
    for (const place of places) {
      const held = this.#tail.read(place.position, place.size);
      if (held === undefined) records.push(...(await this.#cold.read([place])));
      else records.push(held);
    }
    return records;
  }

  /** Bytes of `[from, to)`. See `Store.readLog`. */
  async bytes(
    from: number,
    to: number,
    { sizeMax, memory }: LogReadWish,
  ): Promise<Buffer | undefined> {
    const size = Math.min(sizeMax, to - from);
    if (size <= 0) return noBytes;
    const held = this.#tail.view(from, to, size);
    if (held !== undefined) return held;
    if (this.#segments.find(from) === undefined) return undefined;
    const target = memory?.().subarray(0, size) ?? Buffer.allocUnsafeSlow(size);
    const count = await this.#segments.read(from, target);
    const read = target.subarray(0, count);
    // Cut at the end of a group, so that a slave need not put one together from two reads.
    const { end } = wholeGroups(asRecordBuffer(read));
    return end === 0 ? read : read.subarray(0, end);
  }
}
