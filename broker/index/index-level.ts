// The database of the index: text keys and values in level.
import { Level } from "level";
import type { Disk } from "../store/index.ts";
import type { IndexRange } from "./index-keys.ts";

/** The part of `AbstractLevel` that the index uses. */
export interface IndexLevel {
  close(): Promise<void>;
  get(key: string): Promise<string | undefined>;
  iterator(
    options: IndexRange & { readonly reverse: boolean; readonly limit: number },
  ): AsyncIterable<[key: string, value: string]>;
  clear(options: IndexRange & { readonly limit: number }): Promise<void>;
  batch(): IndexBatch;
}

/** Entries that are written together or not at all. */
export interface IndexBatch {
  put(key: string, value: string): unknown;
  write(): Promise<void>;
}

/** Opens a database that can be thrown away. */
export interface IndexSource {
  /** Opens it, made empty when there is none. */
  open(): Promise<IndexLevel>;
  /** Removes it with all it holds. It is not open. */
  destroy(): Promise<void>;
}

/** A database in `folder`, whose parent exists. Takes little memory: it is read seldom. */
export function indexFolder(disk: Disk, folder: string): IndexSource {
  return {
    async open() {
      const level = new Level(folder);
      await level.open({ cacheSize: 1_048_576, writeBufferSize: 2_097_152 });
      return level;
    },
    destroy: () => disk.removeFolder(folder),
  };
}
