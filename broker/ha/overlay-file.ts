// The progress that consumers make at an acting master, durable and apart from the log, until the master has taken it
// over: one file of checked entries, each the body of a progress record. docs/format/overlay.md.
import { crc32 } from "node:zlib";
import { type Logger, limits } from "../../base/index.ts";
import { decodeProgress, encodeProgress, type ProgressChange } from "../metadata/index.ts";
import type { Disk, DiskFile } from "../store/index.ts";
import { NotedProgress } from "./progress-merge.ts";

const fileName = "overlay";
/** Length and CRC32 of the body that follows. */
const headSize = 8;

/** The overlay of one slave. */
export class OverlayFile {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #logger: Logger;
  #file: DiskFile | undefined;
  #size = 0;
  #noted = new NotedProgress();
  #turn: Promise<void> = Promise.resolve();
  /** Hears of what was noted, once it is durable. */
  onNoted: ((changes: readonly ProgressChange[]) => void) | undefined;

  private constructor(disk: Disk, folder: string, logger: Logger) {
    this.#disk = disk;
    this.#folder = folder;
    this.#logger = logger;
  }

  /** Reads what an earlier life has left; a torn end is cut. */
  static async open(disk: Disk, folder: string, logger: Logger): Promise<OverlayFile> {
    const overlay = new OverlayFile(disk, folder, logger);
    if ((await disk.list(folder)).includes(fileName)) await overlay.#read();
    return overlay;
  }

  /** Everything that is noted. */
  get noted(): NotedProgress {
    return this.#noted;
  }

  /** Whether there is anything to hand back. */
  get isEmpty(): boolean {
    return this.#noted.count === 0;
  }

  /** Adds changes; resolves when they survive a power cut. Rejects with what the disk throws: nothing is noted then. */
  append(changes: readonly ProgressChange[]): Promise<void> {
    const run = this.#turn.then(() => this.#append(changes));
    this.#turn = run.catch(() => {});
    return run;
  }

  /** Everything that is noted, as bodies of progress records. */
  *bodies(): Generator<Uint8Array> {
    let part: ProgressChange[] = [];
    let size = 0;
    for (const lane of this.#noted.all()) {
      const upserts = [];
      const removals = [];
      for (const [offset, entry] of lane.entries) {
        if (entry === undefined) removals.push(offset);
        else upserts.push(entry);
      }
      const { group, topic, queueId, cursor } = lane;
      part.push({ group, topic, queueId, cursor, upserts, removals });
      size += 32 + upserts.length * 12 + removals.length * 3;
      if (size < limits.progressRecordSizeMax) continue;
      yield encodeProgress(part);
      part = [];
      size = 0;
    }
    if (part.length > 0) yield encodeProgress(part);
  }

  /** Forgets everything: the master has it. */
  async clear(): Promise<void> {
    await this.#turn;
    await this.#file?.close();
    this.#file = undefined;
    this.#size = 0;
    this.#noted = new NotedProgress();
    await this.#disk.remove(`${this.#folder}/${fileName}`);
    await this.#disk.syncFolder(this.#folder);
  }

  async close(): Promise<void> {
    await this.#turn;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #append(changes: readonly ProgressChange[]): Promise<void> {
    const file = await this.#opened();
    const body = encodeProgress(changes);
    const bytes = Buffer.alloc(headSize + body.length);
    bytes.writeUInt32BE(body.length, 0);
    bytes.writeUInt32BE(crc32(body), 4);
    bytes.set(body, headSize);
    await file.write(bytes, this.#size);
    await file.datasync();
    this.#size += bytes.length;
    for (const change of changes) this.#noted.add(change);
    this.onNoted?.(changes);
  }

  async #opened(): Promise<DiskFile> {
    if (this.#file !== undefined) return this.#file;
    this.#file = await this.#disk.open(`${this.#folder}/${fileName}`, { create: true });
    await this.#disk.syncFolder(this.#folder);
    return this.#file;
  }

  async #read(): Promise<void> {
    const file = await this.#opened();
    const bytes = Buffer.alloc(await file.size());
    const count = await file.read(bytes, 0);
    let place = 0;
    while (count - place >= headSize) {
      const end = place + headSize + bytes.readUInt32BE(place);
      if (end > count) break;
      const body = bytes.subarray(place + headSize, end);
      if (crc32(body) !== bytes.readUInt32BE(place + 4)) break;
      for (const change of decodeProgress(body)) this.#noted.add(change);
      place = end;
    }
    this.#size = place;
    if (place === count) return;
    this.#logger.warn("the overlay's end was not written completely: it is cut", {
      cutBytes: count - place,
    });
    await file.truncate(place);
    await file.datasync();
  }
}
