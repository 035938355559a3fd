// What has changed in the state since it was last taken for writing.
import type { KeyRange } from "./state-keys.ts";

/** What one write to the database does: first the ranges go, then the keys are set or removed, all at once. */
export interface StateWrite {
  readonly cleared: readonly KeyRange[];
  /** Key and sealed value; undefined removes the key. */
  readonly entries: ReadonlyMap<string, Uint8Array | undefined>;
}

/** Joins a write that failed with the changes made since, which win. */
export function mergeWrites(older: StateWrite, newer: StateWrite): StateWrite {
  const entries = new Map(older.entries);
  for (const range of newer.cleared) {
    for (const key of entries.keys()) {
      if (key >= range.gte && key < range.lt) entries.delete(key);
    }
  }
  for (const [key, value] of newer.entries) entries.set(key, value);
  return { cleared: [...older.cleared, ...newer.cleared], entries };
}
