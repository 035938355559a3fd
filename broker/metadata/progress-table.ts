// What changed in the groups' progress since it was last written, queue by queue. Knows of every
// cursor, but of no pending message that has been written: those are in the database and in delivery.
import type { PendingEntry, ProgressChange } from "./progress-change.ts";
import type { RowChanges } from "./state-changes.ts";
import { below, cursorKey, groupProgress, type KeyRange } from "./state-keys.ts";
import type { CursorValue } from "./state-values.ts";

interface QueueRow {
  readonly key: string;
  readonly group: string;
  readonly topic: string;
  cursor: number;
  /** Behind the largest offset that may have a key in the database. */
  pendingEnd: number;
  /** What `pendingEnd` becomes when `changes` are written. */
  nextPendingEnd: number;
  /** By offset; undefined says that a key in the database has to go. */
  changes: Map<number, PendingEntry | undefined>;
}

/** The progress of all groups on all queues. */
export class ProgressTable {
  readonly #rows = new Map<string, QueueRow>();
  readonly #dirty = new Set<QueueRow>();
  #changeCount = 0;

  /** Keys that `take` would give, about. */
  get changeCount(): number {
    return this.#changeCount + this.#dirty.size;
  }

  /** Takes a cursor that is in the database. */
  load(
    queue: { readonly group: string; readonly topic: string; readonly queueId: number },
    value: CursorValue,
  ): void {
    const key = cursorKey(queue.group, queue.topic, queue.queueId);
    const { group, topic } = queue;
    const nextPendingEnd = value.pendingEnd;
    this.#rows.set(key, { key, group, topic, ...value, nextPendingEnd, changes: new Map() });
  }

  /** Applies one queue's change. */
  apply(change: ProgressChange): void {
    const row = this.#row(change);
    const countBefore = row.changes.size;
    row.cursor = change.cursor;
    for (const entry of change.upserts) {
      row.changes.set(entry.offset, entry);
      if (entry.offset >= row.nextPendingEnd) row.nextPendingEnd = entry.offset + 1;
    }
    for (const offset of change.removals) {
      // Most messages are acknowledged before they were ever written: nothing has to be removed then.
      if (offset < row.pendingEnd) row.changes.set(offset, undefined);
      else row.changes.delete(offset);
    }
    this.#dirty.add(row);
    this.#changeCount += row.changes.size - countBefore;
  }

  /** Forgets a group. Gives the keys that have to go. */
  dropGroup(group: string): readonly KeyRange[] {
    for (const row of this.#rows.values()) if (row.group === group) this.#drop(row);
    return [groupProgress(group)];
  }

  /** Forgets all progress on a topic. Gives the keys that have to go. */
  dropTopic(topic: string): readonly KeyRange[] {
    const ranges: KeyRange[] = [];
    for (const row of this.#rows.values()) {
      if (row.topic !== topic) continue;
      this.#drop(row);
      // The cursor's own key and those below it; nothing else lies between.
      ranges.push({ gte: row.key, lt: below(row.key).lt });
    }
    return ranges;
  }

  /** Gives what has to be written and counts it as written. */
  take(): readonly RowChanges[] {
    const taken: RowChanges[] = [];
    for (const row of this.#dirty) {
      row.pendingEnd = row.nextPendingEnd;
      const { key, cursor, pendingEnd, changes } = row;
      taken.push({ key, cursor, pendingEnd, pending: changes });
      row.changes = new Map();
    }
    this.#dirty.clear();
    this.#changeCount = 0;
    return taken;
  }

  #row(change: ProgressChange): QueueRow {
    const key = cursorKey(change.group, change.topic, change.queueId);
    let row = this.#rows.get(key);
    if (row === undefined) {
      const { group, topic, cursor } = change;
      row = { key, group, topic, cursor, pendingEnd: 0, nextPendingEnd: 0, changes: new Map() };
      this.#rows.set(key, row);
    }
    return row;
  }

  #drop(row: QueueRow): void {
    this.#rows.delete(row.key);
    this.#dirty.delete(row);
    this.#changeCount -= row.changes.size;
  }
}
