// Sends numbered messages without a pause, and knows which were acknowledged, what failed, and how long nothing was.
import { until } from "../../e2e/waiting.ts";

/** Sends one body; resolves when it is acknowledged. */
export type SendBody = (body: string) => Promise<unknown>;

/** A number of sends at a time, until `stop`. */
export class SteadySender {
  /** Body to when it was acknowledged, `performance.now()`. */
  readonly acknowledged: Map<string, number> = new Map();
  readonly failures: string[] = [];
  /** Longest single send, milliseconds. */
  longestSendMs = 0;
  readonly #send: SendBody;
  readonly #name: string;
  readonly #pauseMs: number;
  #next = 0;
  #lastAckMs = performance.now();
  #longestGapMs = 0;
  #isOver = false;
  #done: Promise<unknown> = Promise.resolve();

  constructor(
    send: SendBody,
    options: { readonly name?: string; readonly lanes?: number; readonly pauseMs?: number } = {},
  ) {
    this.#send = send;
    this.#name = options.name ?? "m";
    this.#pauseMs = options.pauseMs ?? 0;
    const lanes = Array.from({ length: options.lanes ?? 8 }, () => this.#run());
    this.#done = Promise.all(lanes);
  }

  /** Longest time between two acknowledgements since it was asked last, milliseconds. */
  takeLongestGap(): number {
    const gap = Math.max(this.#longestGapMs, performance.now() - this.#lastAckMs);
    this.#longestGapMs = 0;
    return gap;
  }

  /** Resolves when `count` more were acknowledged. */
  async more(count: number, withinMs = 60_000): Promise<void> {
    const from = this.acknowledged.size;
    const isThere = (): boolean => this.acknowledged.size >= from + count;
    await until(`${count} more acknowledgements`, isThere, withinMs).catch((error: unknown) => {
      throw new Error(`${String(error)}; failures: ${this.failures.slice(-3).join("; ")}`);
    });
  }

  /** Resolves with the milliseconds from `sinceMs` to the first acknowledgement of what was sent after it. */
  async firstAckAfter(sinceMs: number, withinMs = 60_000): Promise<number> {
    await until("an acknowledgement", () => this.#firstSentAckMs > sinceMs, withinMs);
    return this.#firstSentAckMs - sinceMs;
  }

  /** From now on `firstAckAfter` counts sends that begin now or later. */
  mark(): number {
    this.#markMs = performance.now();
    this.#firstSentAckMs = 0;
    return this.#markMs;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }

  #markMs = 0;
  #firstSentAckMs = 0;

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const body = `${this.#name} ${this.#next++}`;
      const startMs = performance.now();
      try {
        await this.#send(body);
        this.#acked(body, startMs);
      } catch (error) {
        this.failures.push(error instanceof Error ? error.message : String(error));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      this.longestSendMs = Math.max(this.longestSendMs, performance.now() - startMs);
      if (this.#pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }

  #acked(body: string, startMs: number): void {
    const nowMs = performance.now();
    this.acknowledged.set(body, nowMs);
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastAckMs);
    this.#lastAckMs = nowMs;
    if (startMs >= this.#markMs && this.#firstSentAckMs === 0) this.#firstSentAckMs = nowMs;
  }
}
