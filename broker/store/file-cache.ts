// Keeps few of many files open: the least recently used one that nobody uses is closed.
import type { Disk, DiskFile } from "./disk.ts";

interface OpenFile {
  readonly opening: Promise<DiskFile>;
  users: number;
  /** Closed by its last user. */
  isDropped: boolean;
}

/** Opens files on demand and bounds how many are open. */
export class FileCache {
  readonly #disk: Disk;
  readonly #openMax: number;
  /** In order of use, oldest first. */
  readonly #files = new Map<string, OpenFile>();

  constructor(disk: Disk, openMax: number) {
    this.#disk = disk;
    this.#openMax = openMax;
  }

  /** Files open now. */
  get count(): number {
    return this.#files.size;
  }

  /** Runs `task` with the file open; it stays open until `task` is done. Fails with what opening or `task` fails with. */
  async use<T>(
    path: string,
    options: { readonly create: boolean },
    task: (file: DiskFile) => Promise<T>,
  ): Promise<T> {
    const held = this.#take(path, options.create);
    try {
      return await task(await held.opening);
    } finally {
      held.users -= 1;
      if (held.isDropped && held.users === 0) await closeQuietly(held);
      else if (this.#files.size > this.#openMax) await this.#shrink();
    }
  }

  /** Closes one file after its users; for files about to be removed. */
  async drop(path: string): Promise<void> {
    const held = this.#files.get(path);
    if (held === undefined) return;
    this.#files.delete(path);
    held.isDropped = true;
    if (held.users === 0) await closeQuietly(held);
  }

  /** Closes all. Nobody may be using one. */
  async close(): Promise<void> {
    const all = [...this.#files.values()];
    this.#files.clear();
    for (const held of all) await closeQuietly(held);
  }

  #take(path: string, create: boolean): OpenFile {
    let held = this.#files.get(path);
    if (held === undefined) {
      held = { opening: this.#disk.open(path, { create }), users: 0, isDropped: false };
      const opened = held;
      held.opening.catch(() => {
        if (this.#files.get(path) === opened) this.#files.delete(path);
      });
    } else {
      this.#files.delete(path);
    }
    this.#files.set(path, held);
    held.users += 1;
    return held;
  }

  async #shrink(): Promise<void> {
    for (const [path, held] of this.#files) {
      if (this.#files.size <= this.#openMax) return;
      if (held.users > 0) continue;
      this.#files.delete(path);
      await closeQuietly(held);
    }
  }
}

// What was written is made durable by datasync, which reports; a failing close loses nothing.
async function closeQuietly(held: OpenFile): Promise<void> {
  try {
    await (await held.opening).close();
  } catch {
    // Never opened, or already closed.
  }
}
