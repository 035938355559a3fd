// Deadlines of all open calls: a wheel of linked lists and one timer, instead of a timer for each call.
import type { CancelTimer, Clock } from "../base/index.ts";

/** Something that ends at a time. The links belong to the wheel. */
export interface DeadlineEntry {
  /** On the monotonic clock, milliseconds. */
  dueMs: number;
  /** Slot of the wheel, -1 when not in it. */
  slot: number;
  previous: DeadlineEntry | undefined;
  next: DeadlineEntry | undefined;
  expire(): void;
}

const tickMs = 16;
const slotCount = 4096;

/**
 * Calls `expire` of its entries at most a tick (16 ms) and a timer's lateness after they are due, never before.
 * Its timer runs only when something may be due.
 */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #slots: (DeadlineEntry | undefined)[] = Array.from({ length: slotCount });
  #count = 0;
  /** The last tick that was looked at: nothing may be put at or before it. */
  #tick = 0;
  /** When the timer fires; Infinity without one. */
  #timerTick = Infinity;
  #cancelTimer: CancelTimer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#tick = Math.floor(clock.monotonicMs() / tickMs);
  }

  /** Entries in the wheel. */
  get count(): number {
    return this.#count;
  }

  /** Adds an entry that is in no wheel; `dueMs` must be finite. */
  add(entry: DeadlineEntry): void {
    const tick = Math.max(Math.ceil(entry.dueMs / tickMs), this.#tick + 1);
    const slot = tick % slotCount;
    const first = this.#slots[slot];
    entry.slot = slot;
    entry.next = first;
    entry.previous = undefined;
    if (first !== undefined) first.previous = entry;
    this.#slots[slot] = entry;
    this.#count += 1;
    if (tick < this.#timerTick) this.#arm(tick);
  }

  /** Takes an entry out; one that is not in the wheel is left alone. */
  remove(entry: DeadlineEntry): void {
    if (entry.slot < 0) return;
    this.#count -= 1;
    if (entry.previous === undefined) this.#slots[entry.slot] = entry.next;
    else entry.previous.next = entry.next;
    if (entry.next !== undefined) entry.next.previous = entry.previous;
    entry.slot = -1;
    entry.next = undefined;
    entry.previous = undefined;
  }

  /** Stops the timer; entries are forgotten. */
  close(): void {
    this.#cancelTimer?.();
  }

  #arm(tick: number): void {
    this.#cancelTimer?.();
    this.#timerTick = tick;
    const delayMs = Math.max(0, tick * tickMs - this.#clock.monotonicMs());
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#advance(), { unref: true });
  }

  #advance(): void {
    this.#timerTick = Infinity;
    const nowMs = this.#clock.monotonicMs();
    const nowTick = Math.floor(nowMs / tickMs);
    // After a long pause one round visits every slot.
    const from = Math.max(this.#tick + 1, nowTick - slotCount + 1);
    this.#tick = nowTick;
    for (let tick = from; tick <= nowTick; tick += 1) this.#expire(tick % slotCount, nowMs);
    if (this.#count > 0) this.#arm(Math.min(this.#timerTick, this.#nextTick()));
  }

  /** The next tick whose slot holds something; perhaps only entries of a later round. */
  #nextTick(): number {
    const end = this.#tick + slotCount;
    let tick = this.#tick + 1;
    while (tick < end && this.#slots[tick % slotCount] === undefined) tick += 1;
    return tick;
  }

  #expire(slot: number, nowMs: number): void {
    const due: DeadlineEntry[] = [];
    for (let entry = this.#slots[slot]; entry !== undefined; entry = entry.next) {
      if (entry.dueMs <= nowMs) due.push(entry);
    }
    for (const entry of due) {
      // An earlier expiry may have removed it.
      if (entry.slot !== slot) continue;
      this.remove(entry);
      entry.expire();
    }
  }
}
