// The held messages of the state, as far as they are in memory: what has to be written, and how many there are. The
// table itself is in the database only.
import type {
  HeldChange,
  HeldEntry,
  HeldEvent,
  HeldKey,
  HeldKind,
  HeldListener,
} from "./held-entry.ts";
import { endedKey, heldKey } from "./state-keys.ts";

/** What the changes of this table say of a key. */
export type HeldNews = HeldEntry | "removed" | "unknown";

/** Applies changes of held messages in log order. */
export class HeldTable {
  /** By key; undefined says that a key in the database has to go. */
  #changes = new Map<string, HeldEntry | undefined>();
  /** Messages whose first record lies behind it have no key in the database. */
  #takenAt = 0;
  readonly #totals = new Map<HeldKind, number>();
  readonly #counts = new Map<HeldKind, Map<string, number>>();
  /** Where each topic was deleted last. */
  readonly #ended = new Map<string, number>();
  readonly #listeners = new Set<HeldListener>();
  #oldestPosition = Number.POSITIVE_INFINITY;
  /** Whether keys of messages whose topic was deleted may be in the database. */
  hasDead = false;

  /** Keys that `take` would give. */
  get changeCount(): number {
    return this.#changes.size;
  }

  /** No held message lies before it in the log. */
  get oldestPosition(): number {
    return this.#oldestPosition;
  }

  /** Says that no held message lies before `position`. */
  noteOldest(position: number): void {
    this.#oldestPosition = position;
  }

  /** Held messages of a kind. */
  count(kind: HeldKind): number {
    return this.#totals.get(kind) ?? 0;
  }

  /** Held messages of a kind by topic; those without any may be missing. */
  counts(kind: HeldKind): ReadonlyMap<string, number> {
    return this.#counts.get(kind) ?? new Map<string, number>();
  }

  /** Calls `listener` with each change from now on. Returns what ends it. */
  onChange(listener: HeldListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Whether the message was held when its topic was deleted: it counts as gone, whatever is still stored of it. */
  isDead({ topic, id }: Pick<HeldEntry, "topic" | "id">): boolean {
    return id < (this.#ended.get(topic) ?? 0);
  }

  /** Says that the database reflects the log up to `appliedPosition`, before anything is loaded. */
  startAt(appliedPosition: number): void {
    this.#takenAt = appliedPosition;
  }

  /** Takes where a topic was deleted out of the database, before the held messages. */
  loadEnd(topic: string, position: number): void {
    this.#ended.set(topic, position);
  }

  /** Counts a message that is in the database. */
  load(entry: HeldEntry): void {
    if (this.isDead(entry)) {
      this.hasDead = true;
      return;
    }
    this.#count(entry, 1);
    this.#oldestPosition = Math.min(this.#oldestPosition, entry.position);
  }

  /** Adds a message whose first record has been applied. */
  add(entry: HeldEntry): void {
    this.#changes.set(heldKey(entry), entry);
    this.#count(entry, 1);
    this.#oldestPosition = Math.min(this.#oldestPosition, entry.position);
    this.#tell({ before: undefined, after: entry });
  }

  /** Applies what has become of a message. */
  apply(change: HeldChange): void {
    // What was still on its way when its topic was deleted.
    if (this.isDead(change)) return;
    const { kind, topic, id, next } = change;
    this.#remove(change);
    const after = next === undefined ? undefined : { kind, topic, id, ...next };
    if (after === undefined) this.#count(change, -1);
    else this.#changes.set(heldKey(after), after);
    this.#tell({ before: change, after });
  }

  /** Forgets what is held of a topic that was deleted by the record at `position`. Gives the key that says so. */
  dropTopic(topic: string, position: number): string {
    this.#ended.set(topic, position);
    for (const [kind, counts] of this.#counts) {
      const count = counts.get(topic);
      if (count === undefined) continue;
      counts.delete(topic);
      this.#totals.set(kind, this.count(kind) - count);
      this.hasDead = true;
    }
    for (const [key, entry] of this.#changes) {
      if (entry?.topic !== topic) continue;
      this.#changes.delete(key);
      if (this.#mayBeStored(entry)) this.#changes.set(key, undefined);
    }
    return endedKey(topic);
  }

  /** What has been applied and not been taken says of a key. */
  newsOf(key: string): HeldNews {
    const entry = this.#changes.get(key);
    if (entry !== undefined) return entry;
    return this.#changes.has(key) ? "removed" : "unknown";
  }

  /** Gives what has to be written, and counts it as written: all records before `appliedPosition` have been applied. */
  take(appliedPosition: number): ReadonlyMap<string, HeldEntry | undefined> {
    const taken = this.#changes;
    this.#changes = new Map();
    this.#takenAt = appliedPosition;
    return taken;
  }

  #remove(key: HeldKey): void {
    const text = heldKey(key);
    // Many are gone before they were ever written: nothing has to be removed then.
    if (this.#mayBeStored(key)) this.#changes.set(text, undefined);
    else this.#changes.delete(text);
  }

  #mayBeStored({ id }: Pick<HeldKey, "id">): boolean {
    return id < this.#takenAt;
  }

  #count({ kind, topic }: Pick<HeldEntry, "kind" | "topic">, step: 1 | -1): void {
    let counts = this.#counts.get(kind);
    if (counts === undefined) {
      counts = new Map();
      this.#counts.set(kind, counts);
    }
    const count = (counts.get(topic) ?? 0) + step;
    this.#totals.set(kind, this.count(kind) + step);
    if (count === 0) counts.delete(topic);
    else counts.set(topic, count);
  }

  #tell(event: HeldEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
