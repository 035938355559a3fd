// A database in memory for tests of the state: can be copied as it is, and made to fail.
import { MemoryLevel } from "memory-level";
import { type LevelSource, levelEncodings, type StateLevel } from "../state-database.ts";

/** One database in memory. */
export class MemorySource implements LevelSource {
  #level = new MemoryLevel<string, Uint8Array>(levelEncodings);
  /** Opens, including those after a failure. */
  openCount = 0;
  /** When set, every write of a batch fails with it. */
  writeFailure: Error | undefined;

  async open(): Promise<StateLevel> {
    await this.#level.open();
    return this.#wrap(this.#level);
  }

  async destroy(): Promise<void> {
    this.#level = new MemoryLevel(levelEncodings);
  }

  /** The keys and values as they are now. */
  async content(): Promise<Map<string, Uint8Array>> {
    await this.#level.open();
    return new Map(await this.#level.iterator().all());
  }

  /** A database of its own with these keys and values. */
  static async of(content: ReadonlyMap<string, Uint8Array>): Promise<MemorySource> {
    const source = new MemorySource();
    await source.#level.open();
    const batch = source.#level.batch();
    for (const [key, value] of content) batch.put(key, value);
    await batch.write();
    return source;
  }

  /** Loses a key, as a damaged database does. */
  remove(key: string): Promise<void> {
    return this.#level.del(key);
  }

  #wrap(level: MemoryLevel<string, Uint8Array>): StateLevel {
    return {
      open: async () => {
        this.openCount += 1;
        await level.open();
      },
      close: () => level.close(),
      get: (key) => level.get(key),
      getMany: (keys) => level.getMany(keys),
      iterator: (range) => level.iterator(range ?? {}),
      keys: (options) => level.keys(options),
      batch: () => {
        const batch = level.batch();
        return {
          put: (key, value) => batch.put(key, value),
          del: (key) => batch.del(key),
          write: async () => {
            if (this.writeFailure === undefined) return batch.write();
            await batch.close();
            throw this.writeFailure;
          },
        };
      },
    };
  }
}
