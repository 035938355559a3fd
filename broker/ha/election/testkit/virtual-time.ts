// Time that passes only when a test lets it, seen by several processes whose clocks run at rates of their own and which
// may stand still. One thing happens at a time, in an order that depends on nothing but the test.
import type { CancelTimer, Clock } from "../../../../base/index.ts";

interface Due {
  readonly atMs: number;
  readonly order: number;
  task: (() => void) | undefined;
}

/** The one true time, milliseconds from 0. */
export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  /** Called after each thing that has happened. */
  onStep: () => void = () => {};
  readonly #due: Due[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Calls `task` when it is so late. */
  at(atMs: number, task: () => void): CancelTimer {
    const due: Due = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, task };
    let place = this.#due.length;
    while (place > 0 && (this.#due[place - 1]?.atMs ?? 0) > due.atMs) place--;
    this.#due.splice(place, 0, due);
    return () => {
      due.task = undefined;
    };
  }

  /** Lets time pass, with everything that comes due and what follows from it. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settled();
    while ((this.#due[0]?.atMs ?? Infinity) <= endMs) await this.#step();
    this.#nowMs = endMs;
  }

  /** Lets time pass until `reached` says so. Throws when it takes longer than `withinMs`. */
  async until(reached: () => boolean, withinMs: number): Promise<void> {
    const endMs = this.#nowMs + withinMs;
    await settled();
    while (!reached()) {
      if ((this.#due[0]?.atMs ?? Infinity) > endMs) {
        throw new Error(`not reached within ${withinMs} ms of virtual time`);
      }
      await this.#step();
    }
  }

  /** Lets time pass until the promise is settled. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let over = false;
    const end = (): void => {
      over = true;
    };
    promise.then(end, end);
    await this.until(() => over, 600_000);
    return promise;
  }

  async #step(): Promise<void> {
    const due = this.#due.shift();
    if (due?.task === undefined) return;
    this.#nowMs = due.atMs;
    due.task();
    await settled();
    this.onStep();
  }
}

/** All promises that can go on have gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The clock of one process. */
export class ProcessClock implements Clock {
  readonly #time: VirtualTime;
  readonly #rate: number;
  #waiting: (() => void)[] | undefined;
  #dead = false;

  /** `rate` 1.05: it counts 1,050 ms in a true second. */
  constructor(time: VirtualTime, rate = 1) {
    this.#time = time;
    this.#rate = rate;
  }

  now(): number {
    return 1_700_000_000_000 + this.monotonicMs();
  }

  monotonicMs(): number {
    return this.#time.nowMs * this.#rate;
  }

  after(delayMs: number, task: () => void): CancelTimer {
    let wanted = true;
    const stop = this.#time.at(this.#time.nowMs + delayMs / this.#rate, () => {
      this.#run(() => {
        if (wanted) task();
      });
    });
    return () => {
      wanted = false;
      stop();
    };
  }

  every(periodMs: number, task: () => void): CancelTimer {
    let stop: CancelTimer | undefined;
    const arm = (): void => {
      stop = this.after(periodMs, () => {
        arm();
        task();
      });
    };
    arm();
    return () => stop?.();
  }

  /** The process stands still, as under SIGSTOP: its time goes on, its code does not. */
  pause(): void {
    this.#waiting ??= [];
  }

  /** It goes on with what came due meanwhile. */
  resume(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const task of waiting) this.#time.at(this.#time.nowMs, () => this.#run(task));
  }

  /** Nothing of this process runs any more. */
  kill(): void {
    this.#dead = true;
  }

  #run(task: () => void): void {
    if (this.#dead) return;
    if (this.#waiting === undefined) task();
    else this.#waiting.push(task);
  }
}
