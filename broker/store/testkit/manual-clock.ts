// A clock that moves when the test says so.
import type { CancelTimer, Clock } from "../../../base/index.ts";

interface Timer {
  dueMs: number;
  readonly periodMs: number | undefined;
  readonly task: () => void;
}

/** Starts at a fixed moment; `pass` moves it and runs what is due, in order. */
export class ManualClock implements Clock {
  #ms = 1_700_000_000_000;
  #monotonicMs = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#ms;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, task: () => void): CancelTimer {
    return this.#add({ dueMs: this.#monotonicMs + delayMs, periodMs: undefined, task });
  }

  every(periodMs: number, task: () => void): CancelTimer {
    return this.#add({ dueMs: this.#monotonicMs + periodMs, periodMs, task });
  }

  /** Moves time and runs the timers that come due. */
  pass(ms: number): void {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.dueMs <= endMs);
      const next = due.sort((one, other) => one.dueMs - other.dueMs)[0];
      if (next === undefined) break;
      this.#moveTo(Math.max(this.#monotonicMs, next.dueMs));
      if (next.periodMs === undefined) this.#timers.delete(next);
      else next.dueMs += next.periodMs;
      next.task();
    }
    this.#moveTo(endMs);
  }

  /** Moves time without running what comes due. */
  elapse(ms: number): void {
    this.#moveTo(this.#monotonicMs + ms);
  }

  /** Sets the wall clock back or forth, as an administrator does. */
  jump(ms: number): void {
    this.#ms += ms;
  }

  #moveTo(monotonicMs: number): void {
    this.#ms += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }

  #add(timer: Timer): CancelTimer {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}
