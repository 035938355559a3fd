// A clock that moves when the test says so.
import type { CancelTimer, Clock } from "../../../base/index.ts";

interface Timer {
  dueAtMs: number;
  readonly periodMs: number | undefined;
  readonly task: () => void;
}

/** Starts at a fixed moment; `pass` moves it and runs what is due, in order. */
export class ManualClock implements Clock {
  #ms = 1_700_000_000_000;
  readonly #timers = new Set<Timer>();
  now(): number {
    return this.#ms;
  }
  monotonicMs(): number {
    return this.#ms;
  }
  after(delayMs: number, task: () => void): CancelTimer {
    return this.#add({ dueAtMs: this.#ms + delayMs, periodMs: undefined, task });
  }
  every(periodMs: number, task: () => void): CancelTimer {
    return this.#add({ dueAtMs: this.#ms + periodMs, periodMs, task });
  }
  get timerCount(): number {
    return this.#timers.size;
  }
  pass(ms: number): void {
    const endMs = this.#ms + ms;
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.dueAtMs <= endMs);
      const next = due.sort((one, other) => one.dueAtMs - other.dueAtMs)[0];
      if (next === undefined) break;
      this.#ms = Math.max(this.#ms, next.dueAtMs);
      if (next.periodMs === undefined) this.#timers.delete(next);
      else next.dueAtMs += next.periodMs;
      next.task();
    }
    this.#ms = endMs;
  }
  #add(timer: Timer): CancelTimer {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}
