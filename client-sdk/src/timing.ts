// Waiting that always ends: sleeps and rings that a timeout or an AbortSignal cuts short.

import { abortReason, onAbort } from "./abort-listeners.ts";

/** Resolves after `delayMs`; rejects with the signal's reason when that is aborted first. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(abortReason(signal));
    const leave = onAbort(signal, () => {
      clearTimeout(timer);
      if (signal !== undefined) reject(abortReason(signal));
    });
    const timer = setTimeout(() => {
      leave();
      resolve();
    }, delayMs);
  });
}

/** Resolves or rejects with `promise`; rejects at once when the signal is aborted. `promise` itself runs on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) reject(abortReason(signal));
    const leave = onAbort(signal, () => reject(abortReason(signal)));
    promise.then(resolve, reject).finally(leave);
  });
}

/** Calls `task` each `periodMs` until the returned function is called. Does not keep the process alive. */
export function every(periodMs: number, task: () => void): () => void {
  const timer = setInterval(task, periodMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Calls `task` once after `delayMs` unless the returned function is called first. Does not keep the process alive. */
export function after(delayMs: number, task: () => void): () => void {
  const timer = setTimeout(task, delayMs);
  timer.unref();
  return () => clearTimeout(timer);
}

/** Something that may change: whoever waits is woken by the next `ring`. */
export class Bell {
  readonly #waiting = new Set<() => void>();

  /** Wakes everybody who waits now. */
  ring(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves true at the next ring, false after `timeoutMs`; rejects when the signal is aborted. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortReason(signal));
      const settle = (act: () => void): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        leave();
        act();
      };
      const wake = (): void => settle(() => resolve(true));
      const leave = onAbort(signal, () => settle(() => signal && reject(abortReason(signal))));
      const timer = setTimeout(() => settle(() => resolve(false)), Math.max(0, timeoutMs));
      this.#waiting.add(wake);
    });
  }
}
