// Where the state is kept: an abstract-level database that can be thrown away and made anew.
import { Level } from "level";
import { limits, MqError } from "../../base/index.ts";
import type { Disk } from "../store/index.ts";
import type { KeyRange } from "./state-keys.ts";

/** The part of `AbstractLevel` that the state uses. Keys are UTF-8 text, values are bytes. */
export interface StateLevel {
  open(): Promise<void>;
  close(): Promise<void>;
  get(key: string): Promise<Uint8Array | undefined>;
  /** The value of each key, undefined where there is none. */
  getMany(keys: string[]): Promise<(Uint8Array | undefined)[]>;
  /** Gives the keys and values of the moment of the call, in the order of the keys. */
  iterator(range?: KeyRange): StateIterator;
  keys(options: { readonly limit: number }): AsyncIterable<string>;
  batch(): StateBatch;
}

/** A view of the database that nothing changes. */
export interface StateIterator extends AsyncIterable<[key: string, value: Uint8Array]> {
  /** The next entries, at most so many; none at the end. */
  nextv(countMax: number): Promise<[key: string, value: Uint8Array][]>;
  close(): Promise<void>;
}

/** Gives the entries in arrays, which is much faster than one by one; closes the iterator. */
export async function* entriesOf(
  iterator: StateIterator,
): AsyncGenerator<[key: string, value: Uint8Array][]> {
  try {
    for (;;) {
      const entries = await iterator.nextv(limits.stateEntriesPerTurn);
      if (entries.length === 0) return;
      yield entries;
    }
  } finally {
    await iterator.close();
  }
}

/** Changes that are written together or not at all. */
export interface StateBatch {
  put(key: string, value: Uint8Array): unknown;
  del(key: string): unknown;
  write(): Promise<void>;
}

/** Opens a database; the folder on disk in production, memory in simulation. */
export interface LevelSource {
  /** Opens it, made empty when there is none. Rejects when it cannot be read. */
  open(): Promise<StateLevel>;
  /** Removes it with all it holds. It is not open. */
  destroy(): Promise<void>;
}

/** The encodings every database of ours is opened with. */
export const levelEncodings = { keyEncoding: "utf8", valueEncoding: "view" } as const;

/** A database in `folder`, whose parent exists. `open` throws FOLDER_IN_USE when another process has it. */
export function levelFolder(disk: Disk, folder: string): LevelSource {
  return {
    async open() {
      const level = new Level<string, Uint8Array>(folder, levelEncodings);
      try {
        await level.open();
      } catch (cause) {
        await level.close();
        if (!isLocked(cause)) throw cause;
        throw new MqError("FOLDER_IN_USE", `another process uses ${folder}`, { cause });
      }
      return level;
    },
    destroy: () => disk.removeFolder(folder),
  };
}

function isLocked(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code: unknown = error.cause instanceof Error && "code" in error.cause && error.cause.code;
  return code === "LEVEL_LOCKED";
}
