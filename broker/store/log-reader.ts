// Reads the log where it is: records and raw bytes, from memory or from the files.
import type { ColdReader, RecordPlace } from "./cold-reader.ts";
import type { RecordView } from "./record.ts";
import type { Segments } from "./segments.ts";
import type { TailCache } from "./tail-cache.ts";

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

  /** At most `size` bytes from `from` on; undefined when they have expired. See `Store.readLog`. */
  async bytes(from: number, size: number): Promise<Buffer | undefined> {
    if (size <= 0) return noBytes;
    const held = this.#tail.view(from, from + size, size);
    if (held !== undefined) return held;
    if (this.#segments.find(from) === undefined) return undefined;
    const bytes = Buffer.allocUnsafeSlow(size);
    const count = await this.#segments.read(from, bytes);
    return bytes.subarray(0, count);
  }
}
