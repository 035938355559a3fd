// Appends that wait for their answer, in log order: answered by position, in one sweep.
import type { MqError, Position, QueueOffset } from "../../base/index.ts";

/** Where a record of an appended group went. */
export interface Appended {
  readonly position: Position;
  /** Bytes in the log. */
  readonly size: number;
  /** Index in its queue; 0 for types that have none. */
  readonly queueOffset: QueueOffset;
  readonly storeTimeMs: number;
}

/** Hears where the records of a send went, one each, before any of them is written. */
export interface SendPlaces {
  placed(appended: readonly Appended[]): void;
}

interface Waiting {
  readonly end: number;
  readonly deadlineMs: number;
  readonly appended: readonly Appended[];
  resolve(appended: readonly Appended[]): void;
  reject(error: Error): void;
}

/** First in, first answered. */
export class AckLine {
  #items: (Waiting | undefined)[] = [];
  #head = 0;

  /** Appends waiting. */
  get count(): number {
    return this.#items.length - this.#head;
  }

  /** Waits until everything before `end` is confirmed; `deadlineMs` is monotonic time. */
  wait(
    end: number,
    deadlineMs: number,
    appended: readonly Appended[],
  ): Promise<readonly Appended[]> {
    return new Promise((resolve, reject) => {
      this.#items.push({ end, deadlineMs, appended, resolve, reject });
    });
  }

  /** Answers all that end at or before `confirmed`, with the error that `outcome` gives for their end if it gives one. */
  confirm(confirmed: number, outcome?: (end: number) => MqError | undefined): void {
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      if (first.end > confirmed) break;
      this.#shift();
      const error = outcome?.(first.end);
      if (error === undefined) first.resolve(first.appended);
      else first.reject(error);
    }
    this.#compact();
  }

  /** Refuses all that wait beyond their deadline. They are stored, or will be. */
  expire(nowMs: number, errorOf: (end: number) => MqError): void {
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      if (first.deadlineMs > nowMs) break;
      this.#shift();
      first.reject(errorOf(first.end));
    }
    this.#compact();
  }

  /** Refuses all that end behind `end`. */
  refuse(end: number, error: MqError): void {
    const refused: Waiting[] = [];
    for (let last = this.#items.at(-1); this.count > 0; last = this.#items.at(-1)) {
      if (last === undefined || last.end <= end) break;
      this.#items.pop();
      refused.unshift(last);
    }
    for (const waiting of refused) waiting.reject(error);
  }

  #first(): Waiting | undefined {
    return this.#items[this.#head];
  }

  #shift(): void {
    this.#items[this.#head] = undefined;
    this.#head += 1;
  }

  #compact(): void {
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head > 4_096 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
  }
}
