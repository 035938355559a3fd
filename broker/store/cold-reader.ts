// Reads records that have left the memory. Reads runs of the log and keeps the newest of them for a
// while: consumers that drain a backlog together read neighbouring records.
import { assert, type CancelTimer, type Clock, limits } from "../../base/index.ts";
import { corruptError } from "./log-scanner.ts";
import {
  asRecordBuffer,
  checkRecord,
  type RecordBuffer,
  type RecordFault,
  RecordView,
  recordHeaderSize,
} from "./record.ts";
import type { Segments } from "./segments.ts";

/** Where a record lies. */
export interface RecordPlace {
  readonly position: number;
  /** Bytes, as the queue entry says. */
  readonly size: number;
}

interface Extent {
  readonly start: number;
  readonly end: number;
  readonly buffer: RecordBuffer;
}

const extentSize = 262_144;
/** Read when nothing says that neighbours will be wanted. */
const extentSizeAlone = 16_384;
const keepMs = 5_000;

/** The cold side of reading. Bounded: `coldReadsAtOnceMax` reads at the disk, `cacheSizeMax` bytes kept. */
export class ColdReader {
  readonly #segments: Segments;
  readonly #clock: Clock;
  readonly #extentsMax: number;
  /** Newest first. */
  readonly #extents: Extent[] = [];
  readonly #loading = new Map<number, Promise<Extent | undefined>>();
  readonly #waiting: (() => void)[] = [];
  #atOnce = 0;
  #usedMs = 0;
  #cancelForget: CancelTimer | undefined;

  constructor(segments: Segments, clock: Clock, cacheSizeMax: number) {
    this.#segments = segments;
    this.#clock = clock;
    this.#extentsMax = Math.max(1, Math.floor(cacheSizeMax / extentSize));
  }

  /** The record from what was read before; undefined when it has to be loaded. Throws CORRUPT. */
  cached(place: RecordPlace): RecordView | undefined {
    const extent = this.#find(place);
    return extent === undefined ? undefined : this.#record(extent, place);
  }

  /**
   * Reads records in the given order; undefined for those that have expired. Throws CORRUPT when
   * stored bytes are damaged, and what the disk throws. Callers bound the sizes they ask for.
   */
  async read(places: readonly RecordPlace[]): Promise<(RecordView | undefined)[]> {
    const records: (RecordView | undefined)[] = [];
    for (const place of places) {
      const extent = this.#find(place) ?? (await this.#load(place));
      records.push(extent === undefined ? undefined : this.#record(extent, place));
    }
    return records;
  }

  /** Store time of the record at `position` without reading its body; undefined when it has expired. Throws CORRUPT. */
  async storeTime(position: number): Promise<number | undefined> {
    const head = asRecordBuffer(Buffer.alloc(recordHeaderSize));
    let fault: number | RecordFault;
    try {
      const count = await this.#segments.read(position, head.bytes);
      fault = checkRecord(head, 0, count, position);
      // Only the head was read: `short` means that it is good.
      const isGood = typeof fault === "number" || fault === "short";
      if (isGood && count === recordHeaderSize) return new RecordView(head, 0).storeTimeMs;
    } catch (error) {
      if (position < this.#segments.start) return undefined;
      throw error;
    }
    if (position < this.#segments.start || typeof fault === "number") return undefined;
    throw this.#corrupt(position, fault);
  }

  /** Gives the kept memory back. */
  close(): void {
    this.#extents.length = 0;
    this.#cancelForget?.();
  }

  #find(place: RecordPlace): Extent | undefined {
    const end = place.position + place.size;
    const index = this.#extents.findIndex(
      (extent) => extent.start <= place.position && end <= extent.end,
    );
    const found = this.#extents[index];
    if (found === undefined) return undefined;
    if (index > 0) {
      this.#extents.splice(index, 1);
      this.#extents.unshift(found);
    }
    return found;
  }

  /** The extent from the record on; reads asked for twice at once are done once. */
  async #load(place: RecordPlace): Promise<Extent | undefined> {
    const running = this.#loading.get(place.position);
    if (running !== undefined) return running;
    const loading = this.#readExtent(place).finally(() => this.#loading.delete(place.position));
    this.#loading.set(place.position, loading);
    return loading;
  }

  async #readExtent(place: RecordPlace): Promise<Extent | undefined> {
    await this.#enter();
    try {
      const segment = this.#segments.find(place.position);
      if (segment === undefined) return undefined;
      const wanted = Math.max(this.#extentSizeAt(place.position), place.size);
      const size = Math.min(wanted, segment.end - place.position);
      const bytes = Buffer.allocUnsafeSlow(size);
      const count = await this.#segments.read(place.position, bytes);
      const end = place.position + count;
      const extent = { start: place.position, end, buffer: asRecordBuffer(bytes) };
      if (count < place.size) throw this.#corrupt(place.position, "short");
      this.#keep(extent);
      return extent;
    } catch (error) {
      // Retention may have removed the file under the read.
      if (place.position < this.#segments.start) return undefined;
      throw error;
    } finally {
      this.#leave();
    }
  }

  // Reading goes on where it ended before: somebody reads forward, and will want more.
  #extentSizeAt(position: number): number {
    const goesOn = this.#extents.some(
      (extent) => extent.start < position && position - extent.end < extentSizeAlone,
    );
    return goesOn ? extentSize : extentSizeAlone;
  }

  #record(extent: Extent, place: RecordPlace): RecordView {
    const start = place.position - extent.start;
    const found = checkRecord(extent.buffer, start, extent.end - extent.start, place.position);
    if (typeof found === "string") throw this.#corrupt(place.position, found);
    if (found !== place.size) throw this.#corrupt(place.position, "length");
    return new RecordView(extent.buffer, start);
  }

  #corrupt(position: number, fault: RecordFault): Error {
    const file = this.#segments.find(position)?.path ?? this.#segments.folder;
    return corruptError({ position, file, fault });
  }

  #keep(extent: Extent): void {
    this.#extents.unshift(extent);
    this.#extents.length = Math.min(this.#extents.length, this.#extentsMax);
    this.#usedMs = this.#clock.monotonicMs();
    if (this.#cancelForget === undefined) this.#forgetLater();
  }

  #forgetLater(): void {
    const forget = (): void => {
      this.#cancelForget = undefined;
      if (this.#clock.monotonicMs() - this.#usedMs >= keepMs) this.#extents.length = 0;
      else this.#forgetLater();
    };
    this.#cancelForget = this.#clock.after(keepMs, forget, { unref: true });
  }

  async #enter(): Promise<void> {
    if (this.#atOnce >= limits.coldReadsAtOnceMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return;
    }
    this.#atOnce += 1;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) return next();
    this.#atOnce -= 1;
    assert(this.#atOnce >= 0, "a cold read left twice");
  }
}
