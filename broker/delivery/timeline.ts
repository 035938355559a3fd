// The time of delivery: a now that never jumps, and one structure with one timer for every deadline,
// so that ten thousand held polls cost no ten thousand timers.
import type { CancelTimer, Clock } from "../../base/index.ts";
import { type Due, DueHeap } from "./due-heap.ts";

/** A deadline. Make it with `dueAtMs` 0 and `heapIndex` -1, and hand it to `Timeline.set`. */
export interface Alarm extends Due {
  /** Called once the time has come; the alarm is out of the timeline then. Must not throw. */
  readonly ring: () => void;
}

/** Alarms of one broker's delivery. */
export class Timeline {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  readonly #alarms = new DueHeap<Alarm>();
  #armedAtMs = Number.POSITIVE_INFINITY;
  #cancel: CancelTimer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedAtMs = clock.now() - clock.monotonicMs();
  }

  /**
   * Whole milliseconds since 1970 as they were at start, plus the steady time since. A clock that is set
   * back or forward must not hold a poll for an hour or hand out everything twice.
   */
  nowMs(): number {
    return Math.floor(this.#startedAtMs + this.#clock.monotonicMs());
  }

  /** Sets or moves an alarm to `atMs`. */
  set(alarm: Alarm, atMs: number): void {
    alarm.dueAtMs = atMs;
    if (alarm.heapIndex < 0) this.#alarms.push(alarm);
    else this.#alarms.moved(alarm);
    if (atMs < this.#armedAtMs) this.#arm(atMs);
  }

  /** Takes an alarm out. The timer may still wake for it in vain, which is cheaper than moving it. */
  cancel(alarm: Alarm): void {
    this.#alarms.remove(alarm);
  }

  /** No alarm rings any more. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#armedAtMs = Number.NEGATIVE_INFINITY;
  }

  #arm(atMs: number): void {
    this.#cancel?.();
    this.#armedAtMs = atMs;
    this.#cancel = this.#clock.after(Math.max(0, atMs - this.nowMs()), () => this.#wake(), {
      unref: true,
    });
  }

  #wake(): void {
    this.#armedAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.nowMs();
    // Alarms set by those that ring now wait for the next round, so that a round always ends.
    const due: Alarm[] = [];
    for (let alarm = this.#alarms.peek(); alarm !== undefined; alarm = this.#alarms.peek()) {
      if (alarm.dueAtMs > nowMs) break;
      this.#alarms.remove(alarm);
      due.push(alarm);
    }
    for (const alarm of due) {
      if (alarm.heapIndex < 0) alarm.ring();
    }
    const next = this.#alarms.peek();
    if (next !== undefined && next.dueAtMs < this.#armedAtMs) this.#arm(next.dueAtMs);
  }
}
