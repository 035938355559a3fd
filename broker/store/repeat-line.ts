// Repeated sends that wait for the records of the first ones: few, and anywhere in the log.
import type { MqError } from "../../base/index.ts";

interface Waiting {
  readonly end: number;
  readonly deadlineMs: number;
  resolve(): void;
  reject(error: Error): void;
}

/** In no order: each is answered by its own end. */
export class RepeatLine {
  #waiting: Waiting[] = [];

  /** Sends waiting. */
  get count(): number {
    return this.#waiting.length;
  }

  /** Waits until a send that ends at `end` is answered; `deadlineMs` is monotonic time. */
  wait(end: number, deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ end, deadlineMs, resolve, reject });
    });
  }

  /** Answers all that end at or before `answered`, with the error that `outcome` gives for their end if it gives one. */
  confirm(answered: number, outcome: (end: number) => MqError | undefined): void {
    for (const waiting of this.#take(({ end }) => end <= answered)) {
      const error = outcome(waiting.end);
      if (error === undefined) waiting.resolve();
      else waiting.reject(error);
    }
  }

  /** Refuses all that wait beyond their deadline. */
  expire(nowMs: number, errorOf: (end: number) => MqError): void {
    const late = this.#take(({ deadlineMs }) => deadlineMs <= nowMs);
    for (const waiting of late) waiting.reject(errorOf(waiting.end));
  }

  /** Refuses all that end behind `end`. */
  refuse(end: number, error: MqError): void {
    for (const waiting of this.#take((one) => one.end > end)) waiting.reject(error);
  }

  #take(isDue: (waiting: Waiting) => boolean): readonly Waiting[] {
    if (this.#waiting.length === 0) return this.#waiting;
    const due = this.#waiting.filter(isDue);
    if (due.length > 0) this.#waiting = this.#waiting.filter((one) => !isDue(one));
    return due;
  }
}
