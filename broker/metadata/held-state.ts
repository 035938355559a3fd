// The held messages of a state: those that are written and those that are not yet, as one.
import { MqError } from "../../base/index.ts";
import type { HeldEntry, HeldKey, HeldKind, HeldListener } from "./held-entry.ts";
import type { HeldTable } from "./held-table.ts";
import { entriesOf, type StateIterator, type StateLevel } from "./state-database.ts";
import { allHeld, heldFrom, heldKey, parseKey } from "./state-keys.ts";
import { decodeHeld, unseal } from "./state-values.ts";
import type { StateWriter } from "./state-writer.ts";

/** A place in the order of held messages of one kind: by due time, then by id. */
export interface HeldPlace {
  readonly dueMs: number;
  readonly id: number;
}

/** Held messages in order. */
export interface HeldPage {
  readonly entries: readonly HeldEntry[];
  /** Whether no others follow. */
  readonly isLast: boolean;
}

/** Reads held messages. What it gives was so when it was asked for: changes come in the meantime, see `onChange`. */
export class HeldState {
  readonly #table: HeldTable;
  readonly #writer: StateWriter;
  readonly #level: StateLevel;
  #purging: Promise<void> | undefined;

  constructor(parts: {
    readonly table: HeldTable;
    readonly writer: StateWriter;
    readonly level: StateLevel;
  }) {
    this.#table = parts.table;
    this.#writer = parts.writer;
    this.#level = parts.level;
  }

  /** Held messages of a kind. */
  count(kind: HeldKind): number {
    return this.#table.count(kind);
  }

  /** Held messages of a kind by topic; those without any may be missing. */
  counts(kind: HeldKind): ReadonlyMap<string, number> {
    return this.#table.counts(kind);
  }

  /** No held message lies before it in the log; it may be lower than need be. */
  get oldestPosition(): number {
    return this.#table.oldestPosition;
  }

  /** Says that no held message lies before `position`. */
  noteOldest(position: number): void {
    this.#table.noteOldest(position);
  }

  /** Calls `listener` with each change as it is applied. Returns what ends it. */
  onChange(listener: HeldListener): () => void {
    return this.#table.onChange(listener);
  }

  /** Whether the message was held when its topic was deleted: it is gone. */
  isDead(entry: Pick<HeldEntry, "topic" | "id">): boolean {
    return this.#table.isDead(entry);
  }

  /** The message, or undefined when it is not held (any more). Sure as long as no change of it is on its way. */
  async find(key: HeldKey): Promise<HeldEntry | undefined> {
    const text = heldKey(key);
    let news = this.#table.newsOf(text);
    let value: Uint8Array | undefined;
    if (news === "unknown") {
      value = await this.#writer.read(text);
      // What has been applied while it was read counts.
      news = this.#table.newsOf(text);
    }
    if (news === "removed") return undefined;
    if (news !== "unknown") return news;
    if (value === undefined) return undefined;
    const entry = decodeHeld(key, unseal(text, value));
    return this.isDead(entry) ? undefined : entry;
  }

  /** The first `countMax` messages of a kind from `from` on. Writes what has changed first. */
  async page(kind: HeldKind, from: HeldPlace, countMax: number): Promise<HeldPage> {
    const iterator = await this.#view(() => this.#level.iterator(heldFrom(kind, from)));
    const entries: HeldEntry[] = [];
    for await (const found of this.#entries(iterator)) {
      for (const entry of found) {
        if (entries.length === countMax) return { entries, isLast: false };
        entries.push(entry);
      }
    }
    return { entries, isLast: true };
  }

  /** All held messages, kind by kind, in order, in arrays. Writes what has changed first. */
  async *scan(): AsyncGenerator<readonly HeldEntry[]> {
    yield* this.#entries(await this.#view(() => this.#level.iterator(allHeld)));
  }

  /** Removes what is stored of messages whose topic was deleted. Rejects with what the database throws. */
  purge(): Promise<void> {
    this.#purging ??= this.#purge().finally(() => {
      this.#purging = undefined;
    });
    return this.#purging;
  }

  async #purge(): Promise<void> {
    const table = this.#table;
    if (!table.hasDead) return;
    table.hasDead = false;
    try {
      const iterator = await this.#view(() => this.#level.iterator(allHeld));
      for await (const found of entriesOf(iterator)) {
        const dead = found.flatMap(([key, value]) =>
          table.isDead(entryOf(key, value)) ? [[key, undefined] as const] : [],
        );
        if (dead.length > 0) await this.#writer.load(dead);
      }
    } catch (error) {
      table.hasDead = true;
      throw error;
    }
  }

  /** Makes an iterator that sees everything that has been applied. */
  #view(open: () => StateIterator): Promise<StateIterator> {
    return this.#writer.writeThen(() => {}, open);
  }

  async *#entries(iterator: StateIterator): AsyncGenerator<readonly HeldEntry[]> {
    for await (const found of entriesOf(iterator)) {
      const entries = found.map(([key, value]) => entryOf(key, value));
      yield entries.filter((entry) => !this.isDead(entry));
    }
  }
}

function entryOf(key: string, value: Uint8Array): HeldEntry {
  const content = unseal(key, value);
  const parsed = parseKey(key);
  if (parsed?.kind !== "held") throw new MqError("CORRUPT", `the state has an unknown key ${key}`);
  return decodeHeld(parsed.held, content);
}
