// LitePushConsumer: consumes the lite topics that it subscribes to, below one topic, through a listener.
import { LiteSubscriptions, type SubscribeLiteOptions } from "./lite-subscriptions.ts";
import type { Abortable } from "./options.ts";
import { PushConsumer, type PushConsumerOptions } from "./push-consumer.ts";

/** Options of a lite push consumer. */
export interface LitePushConsumerOptions extends Omit<PushConsumerOptions, "subscriptions"> {
  /** The topic of type LITE whose lite topics are consumed; one for a group. */
  readonly bindTopic: string;
}

/** Consumes lite topics, each in order. `startup` first, `shutdown` or `await using` last. */
export class LitePushConsumer {
  readonly #lite: LiteSubscriptions;
  readonly #consumer: PushConsumer;

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: LitePushConsumerOptions) {
    this.#lite = new LiteSubscriptions(options);
    const subscriptions = new Map([[options.bindTopic, "*"]]);
    this.#consumer = new PushConsumer({ ...options, subscriptions }, this.#lite);
  }

  get clientId(): string {
    return this.#consumer.clientId;
  }

  getConsumerGroup(): string {
    return this.#consumer.getConsumerGroup();
  }

  isRunning(): boolean {
    return this.#consumer.isRunning();
  }

  /** The lite topics subscribed to. */
  getLiteTopicSet(): ReadonlySet<string> {
    return this.#lite.names;
  }

  /** Connects. Rejects with a ClientError; the consumer is then closed. */
  async startup(options: Abortable = {}): Promise<void> {
    await this.#consumer.startup(options);
    void this.#lite.keepTelling();
  }

  /** Receives the messages of a lite topic from now on. Rejects with LITE_SUBSCRIPTION_QUOTA_EXCEEDED, ILLEGAL_LITE_TOPIC. */
  async subscribeLite(liteTopic: string, options: SubscribeLiteOptions = {}): Promise<void> {
    await this.#lite.subscribe(liteTopic, options);
  }

  /** Receives no more of a lite topic; messages already here are still consumed. */
  async unsubscribeLite(liteTopic: string, options: Abortable = {}): Promise<void> {
    await this.#lite.unsubscribe(liteTopic, options);
  }

  /** Ends the polls, waits for the messages in work, then closes. */
  async shutdown(): Promise<void> {
    if (this.isRunning()) await this.#lite.leave();
    await this.#consumer.shutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
