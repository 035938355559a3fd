// The held messages of one kind that are due first, in memory; the others are in the state's database only. New ones
// come in as they are applied; when few are left, the next ones are read.
import { background, type Clock, type Logger, limits } from "../../base/index.ts";
import type {
  HeldEntry,
  HeldEvent,
  HeldKind,
  HeldPage,
  HeldPlace,
  HeldState,
} from "../metadata/index.ts";
import { Soonest } from "./soonest.ts";

/** What a window shows. */
export interface HeldWindowOptions {
  readonly state: HeldState;
  readonly kind: HeldKind;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Messages in memory; `limits.heldWindowMax` by default. */
  readonly countMax?: number;
  /** Called when something may be due sooner than before. */
  readonly changed: () => void;
}

/** A message in the window. */
class Item {
  readonly entry: HeldEntry;
  wakeAtMs: number;
  isGone = false;

  constructor(entry: HeldEntry) {
    this.entry = entry;
    this.wakeAtMs = entry.dueMs;
  }

  get id(): number {
    return this.entry.id;
  }
}

/** What has changed behind the window while the next messages are read. */
interface Reading {
  readonly arrived: Map<number, HeldEntry>;
  /** Those that were changed or are held no more: what is read of them is old. */
  readonly changed: Set<number>;
  /** Too much has changed to be kept in mind: what is read does not count. */
  isVain: boolean;
}

/** From the first call of `open` to `close`. */
export class HeldWindow {
  readonly #options: HeldWindowOptions;
  readonly #countMax: number;
  /** All in the window, also those that were taken. */
  readonly #items = new Map<number, Item>();
  readonly #soonest = new Soonest<Item>();
  /** Where the window ends: what lies there and behind is not in it. Undefined: everything is in it. */
  #end: HeldPlace | undefined = { dueMs: 0, id: 0 };
  #reading: Reading | undefined;
  #isClosed = false;
  #isFailing = false;
  readonly #stopListening: () => void;

  private constructor(options: HeldWindowOptions) {
    this.#options = options;
    this.#countMax = options.countMax ?? limits.heldWindowMax;
    this.#stopListening = options.state.onChange((event) => this.#changed(event));
  }

  /** Reads the first messages, and follows the state from then on. */
  static open(options: HeldWindowOptions): HeldWindow {
    const window = new HeldWindow(options);
    window.#readMore();
    return window;
  }

  /** Messages in memory. */
  get count(): number {
    return this.#items.size;
  }

  /** Places in memory, those of messages that have left included. */
  get waitingCount(): number {
    return this.#soonest.size;
  }

  /** When the next message is to be looked at, milliseconds since 1970; undefined when none is known. */
  get nextAtMs(): number | undefined {
    this.#dropGone();
    return this.#soonest.peek()?.wakeAtMs;
  }

  /** Takes messages out whose time has come, the soonest first, at most `countMax` and about so many bytes. */
  take(nowMs: number, most: { readonly count: number; readonly sizeBytes: number }): HeldEntry[] {
    const taken: HeldEntry[] = [];
    let sizeBytes = 0;
    while (taken.length < most.count) {
      this.#dropGone();
      const item = this.#soonest.peek();
      if (item === undefined || item.wakeAtMs > nowMs) break;
      sizeBytes += item.entry.size;
      if (taken.length > 0 && sizeBytes > most.sizeBytes) break;
      this.#soonest.pop();
      taken.push(item.entry);
    }
    this.#readMore();
    return taken;
  }

  /** Puts a message back that was taken and is held still: it is looked at again at `wakeAtMs`. */
  putBack(entry: HeldEntry, wakeAtMs: number): void {
    const item = this.#items.get(entry.id);
    if (item === undefined || item.entry !== entry) return;
    item.wakeAtMs = wakeAtMs;
    this.#soonest.push(item);
    this.#options.changed();
  }

  /** Whether a message that was taken is held still, as it was. */
  holds(entry: HeldEntry): boolean {
    return this.#items.get(entry.id)?.entry === entry;
  }

  /** Looks at a message that was taken no more, although it is held still: until the next window. */
  forget(entry: HeldEntry): void {
    if (this.#items.get(entry.id)?.entry === entry) this.#items.delete(entry.id);
  }

  /** Follows nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening();
  }

  #changed({ before, after }: HeldEvent): void {
    const { kind } = this.#options;
    if (before !== undefined && before.kind === kind) this.#remove(before.id);
    if (after !== undefined && after.kind === kind) this.#arrive(after);
  }

  #remove(id: number): void {
    const item = this.#items.get(id);
    if (item !== undefined) {
      item.isGone = true;
      this.#items.delete(id);
      // They leave when their time comes, unless too many are on their way there.
      if (this.#soonest.size > 2 * this.#countMax) this.#sweep();
    }
    if (this.#reading !== undefined) {
      this.#reading.arrived.delete(id);
      this.#keepInMind(this.#reading.changed, id);
    }
    this.#readMore();
  }

  #arrive(entry: HeldEntry): void {
    if (this.#end === undefined || isBefore(entry, this.#end)) this.#add(entry);
    else if (this.#reading !== undefined) {
      this.#reading.arrived.set(entry.id, entry);
      this.#keepInMind(this.#reading.arrived, entry.id);
    }
  }

  #keepInMind(ids: Map<number, HeldEntry> | Set<number>, id: number): void {
    if (this.#reading === undefined) return;
    if (ids instanceof Set) ids.add(id);
    if (ids.size <= this.#countMax) return;
    ids.clear();
    this.#reading.isVain = true;
  }

  #add(entry: HeldEntry): void {
    const next = this.nextAtMs;
    const item = new Item(entry);
    this.#items.set(entry.id, item);
    this.#soonest.push(item);
    if (this.#items.size > this.#countMax) this.#trim();
    if (next === undefined || entry.dueMs < next) this.#options.changed();
  }

  /** Keeps the sooner half of those that wait. Without a sort of objects: it must not hold anybody up. */
  #trim(): void {
    const items = this.#soonest.drain().filter(({ isGone }) => !isGone);
    const kept = Math.floor(this.#countMax / 2);
    const end = placeOf(items, kept);
    for (const item of items) {
      // What was put back belongs to an earlier place than it waits at: it stays.
      const isPutBack = item.wakeAtMs !== item.entry.dueMs;
      if (isPutBack || isBefore(item.entry, end)) this.#soonest.push(item);
      else this.#items.delete(item.id);
    }
    if (this.#end === undefined || isBefore(end, this.#end)) this.#end = end;
  }

  #sweep(): void {
    for (const item of this.#soonest.drain()) if (!item.isGone) this.#soonest.push(item);
  }

  #dropGone(): void {
    while (this.#soonest.peek()?.isGone === true) this.#soonest.pop();
  }

  #readMore(): void {
    if (this.#end === undefined || this.#reading !== undefined || this.#isClosed) return;
    if (this.#items.size > this.#countMax / 2) return;
    this.#reading = { arrived: new Map(), changed: new Set(), isVain: false };
    background(this.#read(this.#end, this.#reading));
  }

  async #read(from: HeldPlace, reading: Reading): Promise<void> {
    const { state, kind, logger, clock } = this.#options;
    try {
      const count = Math.min(limits.heldPageCount, Math.ceil(this.#countMax / 2));
      const page = await state.page(kind, from, count);
      this.#reading = undefined;
      if (!this.#isClosed && !reading.isVain && this.#end === from) this.#takeIn(page, reading);
      this.#isFailing = false;
      this.#readMore();
    } catch (error) {
      if (this.#isClosed) return;
      if (!this.#isFailing) {
        const reason = error instanceof Error ? error.message : String(error);
        logger.error("held messages cannot be read, tried again", { kind, reason });
      }
      this.#isFailing = true;
      const again = (): void => {
        this.#reading = undefined;
        this.#readMore();
      };
      clock.after(limits.readRetryDelayMs, again, { unref: true });
    }
  }

  #takeIn({ entries, isLast }: HeldPage, { arrived, changed }: Reading): void {
    const last = entries.at(-1);
    this.#end = isLast || last === undefined ? undefined : { dueMs: last.dueMs, id: last.id + 1 };
    for (const entry of entries) {
      if (!changed.has(entry.id) && !arrived.has(entry.id)) this.#arrive(entry);
    }
    for (const entry of arrived.values()) this.#arrive(entry);
  }
}

function isBefore(one: HeldPlace, other: HeldPlace): boolean {
  return one.dueMs === other.dueMs ? one.id < other.id : one.dueMs < other.dueMs;
}

/** The place of the item that `index` others come before. */
function placeOf(items: readonly Item[], index: number): HeldPlace {
  const dues = new Float64Array(items.length);
  for (let at = 0; at < items.length; at++) dues[at] = items[at]?.entry.dueMs ?? 0;
  const dueMs = dues.sort()[index] ?? Number.MAX_SAFE_INTEGER;
  const sooner = dues.indexOf(dueMs);
  const same = items.filter(({ entry }) => entry.dueMs === dueMs);
  const ids = new Float64Array(same.length);
  for (let at = 0; at < same.length; at++) ids[at] = same[at]?.id ?? 0;
  return { dueMs, id: ids.sort()[index - sooner] ?? Number.MAX_SAFE_INTEGER };
}
