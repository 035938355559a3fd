// Time, as a thing that is handed in: the system's in production, a seeded one in simulation.

/** Ends a timer; calling it twice does nothing. */
export type CancelTimer = () => void;

/** The only source of time and timers. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start, with fractions; never goes back. */
  monotonicMs(): number;
  /** Calls `task` once after `delayMs`; delays beyond 2^31 - 1 ms are chained, never fired early. Does not keep the process alive when `unref`. */
  after(delayMs: number, task: () => void, options?: { readonly unref?: boolean }): CancelTimer;
  /** Calls `task` each `periodMs` until cancelled. Does not keep the process alive. */
  every(periodMs: number, task: () => void): CancelTimer;
}

const timerDelayMaxMs = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, task, options) {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, timerDelayMaxMs);
      timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : task()), stepMs);
      if (options?.unref === true) timer.unref();
    };
    arm(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
  every(periodMs, task) {
    const timer = setInterval(task, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
