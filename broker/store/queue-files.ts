// The files of consume queues: `<topic>/<queueId>.<20-digit first entry>`, a fixed number of
// entries each (one folder a topic: making folders is dear). Which entries are valid is known elsewhere: bytes outside mean nothing.
import { limits } from "../../base/index.ts";
import { type Disk, reading } from "./disk.ts";
import { FileCache } from "./file-cache.ts";
import { queueEntrySize } from "./queue-entries.ts";
import { startName } from "./segments.ts";

/** Names one consume queue. */
export interface QueueName {
  readonly topic: string;
  readonly queueId: number;
}

/** Reads and writes entries of any queue; bounds the open files. */
export class QueueFiles {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #entriesPerFile: number;
  readonly #files: FileCache;
  /** Folders known to exist. */
  readonly #made = new Set<string>();
  /** Written since the last `sync`. */
  readonly #dirty = new Set<string>();
  readonly #newNames = new Set<string>();

  constructor(disk: Disk, folder: string, entriesPerFile: number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#entriesPerFile = entriesPerFile;
    this.#files = new FileCache(disk, limits.queueFilesOpenMax);
  }

  /** Files open now. */
  get openCount(): number {
    return this.#files.count;
  }

  /** Writes whole entries that start at queue offset `from`. */
  async write(queue: QueueName, from: number, bytes: Uint8Array): Promise<void> {
    const folder = this.#folderOf(queue.topic);
    if (!this.#made.has(folder)) {
      await this.#disk.makeFolder(folder);
      this.#made.add(folder);
      this.#newNames.add(folder);
    }
    for (const part of this.#parts(from, bytes.length / queueEntrySize)) {
      const path = this.#pathOf(queue, part.fileStart);
      const slice = bytes.subarray(part.index * queueEntrySize, part.indexEnd * queueEntrySize);
      const at = (from + part.index - part.fileStart) * queueEntrySize;
      if (at === 0) this.#newNames.add(folder);
      await this.#files.use(path, { create: true }, (file) => file.write(slice, at));
      this.#dirty.add(path);
    }
  }

  /** Reads entries `[from, from + count)`, which have been written. The caller owns the bytes. */
  async read(queue: QueueName, from: number, count: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(count * queueEntrySize);
    for (const part of this.#parts(from, count)) {
      const path = this.#pathOf(queue, part.fileStart);
      const slice = bytes.subarray(part.index * queueEntrySize, part.indexEnd * queueEntrySize);
      const at = (from + part.index - part.fileStart) * queueEntrySize;
      const size = await reading(path, () =>
        this.#files.use(path, { create: false }, (file) => file.read(slice, at)),
      );
      if (size < slice.length) slice.fill(0, size);
    }
    return bytes;
  }

  /** Makes all that was written durable. */
  async sync(): Promise<void> {
    const dirty = [...this.#dirty];
    if (dirty.length > limits.filesSyncedAloneMax && (await this.#disk.syncAll(this.#folder))) {
      for (const path of dirty) this.#dirty.delete(path);
      this.#newNames.clear();
      return;
    }
    for (const path of dirty) {
      await this.#files.use(path, { create: false }, (file) => file.datasync());
      this.#dirty.delete(path);
    }
    if (this.#newNames.size === 0) return;
    await this.#disk.syncFolder(this.#folder);
    for (const folder of this.#newNames) await this.#disk.syncFolder(folder);
    this.#newNames.clear();
  }

  /**
   * Removes the files of a topic that hold only entries below the minimum offset of their queue, those
   * too that a start before has left behind. `minOffset` gives undefined for queues unknown.
   */
  async removeExpired(
    topic: string,
    minOffset: (queueId: number) => number | undefined,
  ): Promise<void> {
    const folder = this.#folderOf(topic);
    for (const name of await this.#disk.list(folder)) {
      const [queueId, start] = name.split(".").map(Number);
      if (queueId === undefined || start === undefined) continue;
      if (start + this.#entriesPerFile > (minOffset(queueId) ?? 0)) continue;
      await this.#remove(`${folder}/${name}`);
    }
  }

  /** The folder of the first of these queues that has entries and none; undefined when all have theirs. */
  async missingFolder(
    queues: Iterable<QueueName & { readonly minOffset: number; readonly nextOffset: number }>,
  ): Promise<string | undefined> {
    const names = new Set(await this.#disk.list(this.#folder));
    for (const { topic, minOffset, nextOffset } of queues) {
      if (minOffset < nextOffset && !names.has(folderName(topic))) return this.#folderOf(topic);
    }
    return undefined;
  }

  /** Removes all files of a queue. */
  async removeQueue(queue: QueueName): Promise<void> {
    const folder = this.#folderOf(queue.topic);
    for (const name of await this.#disk.list(folder)) {
      if (name.startsWith(`${queue.queueId}.`)) await this.#remove(`${folder}/${name}`);
    }
  }

  /** Removes the files of all queues. */
  async removeAll(): Promise<void> {
    await this.#files.close();
    await this.#disk.removeFolder(this.#folder);
    await this.#disk.makeFolder(this.#folder);
    this.#made.clear();
    this.#dirty.clear();
    this.#newNames.clear();
  }

  /** Closes the files. */
  close(): Promise<void> {
    return this.#files.close();
  }

  async #remove(path: string): Promise<void> {
    this.#dirty.delete(path);
    await this.#files.drop(path);
    await this.#disk.remove(path);
  }

  #fileStart(offset: number): number {
    return offset - (offset % this.#entriesPerFile);
  }

  #folderOf(topic: string): string {
    return `${this.#folder}/${folderName(topic)}`;
  }

  #pathOf(queue: QueueName, fileStart: number): string {
    return `${this.#folderOf(queue.topic)}/${queue.queueId}.${startName(fileStart)}`;
  }

  /** Splits `count` entries from `from` at file borders; indexes count from `from`. */
  *#parts(from: number, count: number): Generator<FilePart> {
    for (let index = 0; index < count; ) {
      const fileStart = this.#fileStart(from + index);
      const indexEnd = Math.min(count, fileStart + this.#entriesPerFile - from);
      yield { fileStart, index, indexEnd };
      index = indexEnd;
    }
  }
}

interface FilePart {
  readonly fileStart: number;
  readonly index: number;
  readonly indexEnd: number;
}

// Topic names are checked where they come in; whatever else is stored must not leave the folder.
function folderName(topic: string): string {
  return topic.replace(/[^\w%|-]/gu, (letter) => `~${Buffer.from(letter, "utf8").toString("hex")}`);
}
