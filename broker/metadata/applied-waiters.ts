// Those who wait until a record of theirs has been applied.

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Wakes callers when the records at their positions have been applied. */
export class AppliedWaiters {
  #waiters: Waiter[] = [];
  #applied = -1;
  #failure: Error | undefined;

  /** Resolves when the record at `position` has been applied; rejects when that will not happen here. */
  reached(position: number): Promise<void> {
    if (position <= this.#applied) return Promise.resolve();
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => this.#waiters.push({ position, resolve, reject }));
  }

  /** The record at `position` and all before it have been applied. */
  advance(position: number): void {
    this.#applied = position;
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter((waiter) => waiter.position <= position);
    this.#waiters = this.#waiters.filter((waiter) => waiter.position > position);
    for (const waiter of due) waiter.resolve();
  }

  /** Nothing will be applied any more. */
  fail(error: Error): void {
    this.#failure = error;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}
