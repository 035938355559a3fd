// A clock that stands still until a test moves it, and runs what was due on the way.
import type { CancelTimer, Clock } from "../../../base/index.ts";

interface Timer {
  atMs: number;
  readonly order: number;
  readonly task: () => void;
  readonly periodMs: number | undefined;
}

/** Time under the control of a test. */
export class FakeClock implements Clock {
  #elapsedMs = 0;
  #wallStartMs = 1_800_000_000_000;
  #order = 0;
  readonly #timers = new Set<Timer>();
  #firedCount = 0;

  now(): number {
    return this.#wallStartMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, task: () => void): CancelTimer {
    return this.#add(delayMs, task, undefined);
  }

  every(periodMs: number, task: () => void): CancelTimer {
    return this.#add(periodMs, task, periodMs);
  }

  /** Sets the wall clock as a person or NTP would; steady time does not notice. */
  jumpWall(byMs: number): void {
    this.#wallStartMs += byMs;
  }

  /** Timers that have run. */
  get firedCount(): number {
    return this.#firedCount;
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Lets `ms` pass; microtasks run before and after each timer. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#elapsedMs + ms;
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.atMs > endMs) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      if (next.periodMs === undefined) this.#timers.delete(next);
      else next.atMs += next.periodMs;
      this.#firedCount++;
      next.task();
      await settle();
    }
    this.#elapsedMs = endMs;
    await settle();
  }

  #add(delayMs: number, task: () => void, periodMs: number | undefined): CancelTimer {
    const timer: Timer = {
      atMs: this.#elapsedMs + Math.max(0, delayMs),
      order: this.#order++,
      task,
      periodMs,
    };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      const isEarlier =
        first === undefined ||
        timer.atMs < first.atMs ||
        (timer.atMs === first.atMs && timer.order < first.order);
      if (isEarlier) first = timer;
    }
    return first;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** Something that others wait for until a test opens it. */
export class Gate {
  #open: () => void = () => {};
  readonly opened: Promise<void> = new Promise((resolve) => {
    this.#open = resolve;
  });

  open(): void {
    this.#open();
  }
}
