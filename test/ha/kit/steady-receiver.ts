// Receives and acknowledges without a pause, and tells apart what was stored twice, delivered again, and delivered
// again although its acknowledgement had been accepted.
import { type MessageView, SimpleConsumer } from "@cometmq/client";
import { until } from "../../e2e/waiting.ts";

/** A consumer of one group. */
export class SteadyReceiver {
  /** Body to how often it came. */
  readonly received: Map<string, number> = new Map();
  /** Messages that came again after their acknowledgement had been accepted, and when that was, `performance.now()`. */
  readonly afterAck: { readonly body: string; readonly ackedMs: number }[] = [];
  /** Bodies that stand in the topic more than once. */
  readonly storedTwice: Set<string> = new Set();
  /** Acknowledgements that were refused in the end. */
  ackFailures = 0;
  receiveFailures = 0;
  readonly #places = new Map<string, string>();
  readonly #settled = new Set<string>();
  readonly #settledMs = new Map<string, number>();
  readonly #consumer: SimpleConsumer;
  readonly #end = new AbortController();
  #done: Promise<unknown> = Promise.resolve();
  #newestMs = performance.now();
  #longestGapMs = 0;
  #paused: Promise<void> | undefined;
  #resume: (() => void) | undefined;

  private constructor(consumer: SimpleConsumer) {
    this.#consumer = consumer;
  }

  /** Connects and receives from then on. */
  static async start(options: {
    readonly endpoints: string;
    readonly topic: string;
    readonly group: string;
    readonly lanes?: number;
  }): Promise<SteadyReceiver> {
    const consumer = new SimpleConsumer({
      endpoints: options.endpoints,
      consumerGroup: options.group,
      subscriptions: new Map([[options.topic, "*"]]),
      // Brokers take turns: an idle one must not hold a receive for long.
      awaitDuration: 200,
    });
    await consumer.startup();
    const receiver = new SteadyReceiver(consumer);
    const lanes = Array.from({ length: options.lanes ?? 4 }, () => receiver.#run());
    receiver.#done = Promise.all(lanes);
    return receiver;
  }

  /** Messages whose acknowledgement was accepted. */
  get settledCount(): number {
    return this.#settledMs.size;
  }

  /** Longest time without a message since it was asked last, milliseconds. */
  takeLongestGap(): number {
    const gap = Math.max(this.#longestGapMs, performance.now() - this.#newestMs);
    this.#longestGapMs = 0;
    this.#newestMs = performance.now();
    return gap;
  }

  /** Stops receiving until `resume`; what is in work is finished. */
  pause(): void {
    this.#paused ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#paused = undefined;
    this.#resume?.();
  }

  /** Bodies of `wanted` that have not come. */
  missing(wanted: Iterable<string>): string[] {
    return [...wanted].filter((body) => !this.received.has(body));
  }

  /** Waits until everything of `wanted` has come; gives what has not. */
  async drain(wanted: Iterable<string>, withinMs = 60_000): Promise<readonly string[]> {
    const bodies = [...wanted];
    const isThere = (): boolean => this.missing(bodies).length === 0;
    await until("all messages", isThere, withinMs).catch(() => {});
    return this.missing(bodies);
  }

  /** Waits until an acknowledgement of each of `wanted` was accepted: what was in work when a broker died comes again for it. */
  async settle(wanted: Iterable<string>, withinMs = 60_000): Promise<void> {
    const bodies = [...wanted];
    const isDone = (): boolean => bodies.every((body) => this.#settled.has(body));
    await until("all messages to be acknowledged", isDone, withinMs);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    this.resume();
    await this.#done;
    await this.#consumer.shutdown();
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      await this.#paused;
      try {
        const messages = await this.#consumer.receive(32, 30_000, { signal });
        await Promise.all(messages.map((message) => this.#take(message)));
      } catch {
        if (signal.aborted) return;
        this.receiveFailures += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async #take(message: MessageView): Promise<void> {
    const body = message.body.toString();
    const place = `${message.brokerName} ${message.queueId} ${message.offset}`;
    this.#note(body, place);
    const settledMs = this.#settledMs.get(place);
    if (settledMs !== undefined) {
      this.afterAck.push({ body, ackedMs: settledMs });
    }
    try {
      await this.#consumer.ack(message);
      this.#settledMs.set(place, performance.now());
      this.#settled.add(body);
    } catch {
      this.ackFailures += 1;
    }
  }

  #note(body: string, place: string): void {
    const nowMs = performance.now();
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#newestMs);
    this.#newestMs = nowMs;
    this.received.set(body, (this.received.get(body) ?? 0) + 1);
    const known = this.#places.get(body);
    if (known === undefined) this.#places.set(body, place);
    else if (known !== place) this.storedTwice.add(body);
  }
}
