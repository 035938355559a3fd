// The segment files of the commit log: `<20-digit start position>`, each ending where the next
// starts. Knows sizes and files, not records.
import { limits, MqError } from "../../base/index.ts";
import { type Disk, type DiskFile, errorCode, reading } from "./disk.ts";
import { FileCache } from "./file-cache.ts";

/** One file of the log: bytes `[start, end)`. */
export interface Segment {
  readonly start: number;
  readonly path: string;
  /** Exclusive; the next segment's start, or the log's end. */
  end: number;
}

const namePattern = /^\d{20}$/;

/** Name of the file that starts at `start`: 20 digits. */
export function startName(start: number): string {
  return String(start).padStart(20, "0");
}

/** The files of one log folder, ascending. Only the writer changes it. */
export class Segments {
  readonly folder: string;
  readonly #disk: Disk;
  readonly #files: FileCache;
  readonly #list: Segment[] = [];

  private constructor(disk: Disk, folder: string) {
    this.folder = folder;
    this.#disk = disk;
    this.#files = new FileCache(disk, limits.segmentFilesOpenMax);
  }

  /**
   * Lists the folder (made when missing). A gap between
   * two files stays one: the reader stops there. Throws CORRUPT when files overlap.
   */
  static async open(disk: Disk, folder: string): Promise<Segments> {
    await disk.makeFolder(folder);
    const segments = new Segments(disk, folder);
    await segments.refresh();
    return segments;
  }

  /** Reads the folder again: for followers of a log that another thread writes. Throws as `open` does. */
  async refresh(): Promise<void> {
    const names = (await this.#disk.list(this.folder)).filter((name) => namePattern.test(name));
    const found: Segment[] = [];
    for (const name of names) {
      const start = Number(name);
      const path = `${this.folder}/${name}`;
      const size = await this.#sizeOf(path);
      if (size === undefined) continue;
      const last = found.at(-1);
      if (last !== undefined && last.end > start) throw overlapError(last, start);
      found.push({ start, path, end: start + size });
    }
    this.#list.splice(0, this.#list.length, ...found);
  }

  get all(): readonly Segment[] {
    return this.#list;
  }

  /** First byte kept; 0 without segments. */
  get start(): number {
    return this.#list[0]?.start ?? 0;
  }

  /** Behind the last byte; 0 without segments. */
  get end(): number {
    return this.#list.at(-1)?.end ?? 0;
  }

  /** The segment that holds the byte at `position`. */
  find(position: number): Segment | undefined {
    let low = 0;
    let high = this.#list.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const segment = this.#list[middle];
      if (segment !== undefined && segment.end <= position) low = middle + 1;
      else high = middle;
    }
    const found = this.#list[low];
    return found !== undefined && found.start <= position ? found : undefined;
  }

  /** Reads from `position` to the end of `target` or of the segment. Gives the bytes read; 0 when no segment holds it. */
  async read(position: number, target: Uint8Array): Promise<number> {
    const segment = this.find(position);
    if (segment === undefined) return 0;
    const size = Math.min(target.length, segment.end - position);
    return reading(segment.path, () =>
      this.#files.use(segment.path, { create: false }, (file) =>
        file.read(target.subarray(0, size), position - segment.start),
      ),
    );
  }

  /** Runs `task` with a segment's file. */
  use<T>(segment: Segment, task: (file: DiskFile) => Promise<T>): Promise<T> {
    return this.#files.use(segment.path, { create: false }, task);
  }

  /** Makes all bytes behind `from` durable, and every file by its name. */
  async sync(from: number): Promise<void> {
    for (const segment of this.#list) {
      if (segment.end > from) await this.use(segment, (file) => file.datasync());
    }
    await this.#disk.syncFolder(this.folder);
  }

  /**
   * Makes all bytes behind `from` durable also when a flush of theirs has failed before: the system
   * may hold such bytes for clean, and would not write them by itself again. Every file is durable by its name then:
   * a process that died while it made the newest one may not have come so far.
   */
  async writeAgain(from: number): Promise<void> {
    for (const segment of this.#list) {
      if (segment.end <= from) continue;
      const end = segment.end - segment.start;
      await this.use(segment, async (file) => {
        for (let at = Math.max(0, from - segment.start); at < end; at += limits.logReadSize) {
          const bytes = Buffer.allocUnsafeSlow(Math.min(limits.logReadSize, end - at));
          const count = await file.read(bytes, at);
          await file.write(bytes.subarray(0, count), at);
        }
        await file.datasync();
      });
    }
    await this.#disk.syncFolder(this.folder);
  }

  /** Starts a new file at `start`, durable by name. */
  async add(start: number): Promise<Segment> {
    const path = `${this.folder}/${startName(start)}`;
    const segment = { start, path, end: start };
    // Listed first: when making it fails half way, `truncate` removes what there is of it.
    this.#list.push(segment);
    await this.#files.use(path, { create: true }, (file) => file.truncate(0));
    await this.#disk.syncFolder(this.folder);
    return segment;
  }

  /** Cuts the log at `end`, durably. A segment that starts there or behind goes, newest first. */
  async truncate(end: number): Promise<void> {
    for (let last = this.#list.at(-1); last !== undefined; last = this.#list.at(-1)) {
      if (last.start < end || (last.start === end && this.#list.length === 1)) break;
      this.#list.pop();
      await this.#remove(last);
    }
    await this.#disk.syncFolder(this.folder);
    const last = this.#list.at(-1);
    if (last === undefined) return;
    await this.#files.use(last.path, { create: true }, async (file) => {
      if ((await file.size()) !== end - last.start) await file.truncate(end - last.start);
      await file.datasync();
    });
    last.end = end;
  }

  /** Removes whole segments that end at or before `position`, oldest first, never the last one, durably. Gives the bytes removed. */
  async removeBelow(position: number): Promise<number> {
    let removed = 0;
    while (this.#list.length > 1) {
      const first = this.#list[0];
      if (first === undefined || first.end > position) break;
      this.#list.shift();
      await this.#remove(first);
      // One by one: a power cut must not take a later file and leave an earlier one, a hole.
      await this.#disk.syncFolder(this.folder);
      removed += first.end - first.start;
    }
    return removed;
  }

  /** Closes the files. */
  close(): Promise<void> {
    return this.#files.close();
  }

  /** Bytes of a file; undefined when retention has removed it since it was listed. */
  async #sizeOf(path: string): Promise<number | undefined> {
    try {
      return await this.#files.use(path, { create: false }, (file) => file.size());
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async #remove(segment: Segment): Promise<void> {
    await this.#files.drop(segment.path);
    await this.#disk.remove(segment.path);
  }
}

function overlapError(last: Segment, start: number): MqError {
  return new MqError(
    "CORRUPT",
    `the log file ${last.path} ends at position ${last.end}, but the next one starts at ${start}`,
    { facts: { file: last.path, position: last.end } },
  );
}
