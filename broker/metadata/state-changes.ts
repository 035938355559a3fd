// What has changed in the state and is not in the database yet.
import { setImmediate } from "node:timers/promises";
import { limits } from "../../base/index.ts";
import type { HeldEntry } from "./held-entry.ts";
import type { PendingEntry } from "./progress-change.ts";
import { type KeyRange, pendingKey } from "./state-keys.ts";
import { type CursorValue, encodeCursor, encodeHeld, encodePending, seal } from "./state-values.ts";

/** The changes of one group on one queue. */
export interface RowChanges extends CursorValue {
  /** Key of the cursor. */
  readonly key: string;
  /** By offset; undefined says that a key in the database has to go. */
  readonly pending: ReadonlyMap<number, PendingEntry | undefined>;
}

/** All changes since the last time: first the ranges go, then keys are set or removed. */
export interface StateChanges {
  readonly cleared: readonly KeyRange[];
  /** Key and sealed value; undefined removes the key. */
  readonly entries: ReadonlyMap<string, Uint8Array | undefined>;
  readonly rows: readonly RowChanges[];
  /** By key; undefined says that a key in the database has to go. */
  readonly held: ReadonlyMap<string, HeldEntry | undefined>;
}

/** Changes as keys and values, collected over writes that failed. */
export class Unwritten {
  readonly #cleared: KeyRange[] = [];
  readonly #entries = new Map<string, Uint8Array | undefined>();

  /** Ranges that go before `entries` are set. */
  get cleared(): readonly KeyRange[] {
    return this.#cleared;
  }

  /** Key and sealed value; undefined removes the key. */
  get entries(): ReadonlyMap<string, Uint8Array | undefined> {
    return this.#entries;
  }

  /** Adds changes, which win over older ones. Lets other work have its turn now and then. */
  async add(changes: StateChanges): Promise<void> {
    for (const range of changes.cleared) this.#clear(range);
    for (const [key, value] of changes.entries) this.#entries.set(key, value);
    let count = 0;
    for (const row of changes.rows) {
      this.#entries.set(row.key, seal(row.key, encodeCursor(row)));
      for (const [offset, entry] of row.pending) {
        const key = pendingKey(row.key, offset);
        this.#entries.set(key, entry === undefined ? undefined : seal(key, encodePending(entry)));
        count += 1;
        if (count % limits.stateEntriesPerTurn === 0) await setImmediate();
      }
    }
    for (const [key, entry] of changes.held) {
      this.#entries.set(key, entry === undefined ? undefined : seal(key, encodeHeld(entry)));
      count += 1;
      if (count % limits.stateEntriesPerTurn === 0) await setImmediate();
    }
  }

  /** Says that all of it is in the database. */
  written(): void {
    this.#cleared.length = 0;
    this.#entries.clear();
  }

  #clear(range: KeyRange): void {
    for (const key of this.#entries.keys()) {
      if (key >= range.gte && key < range.lt) this.#entries.delete(key);
    }
    this.#cleared.push(range);
  }
}
