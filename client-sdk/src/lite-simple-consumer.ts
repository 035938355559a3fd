// LiteSimpleConsumer: the application asks for messages of the lite topics that it subscribes to, and settles each one.
import { LiteSubscriptions, type SubscribeLiteOptions } from "./lite-subscriptions.ts";
import type { MessageView } from "./message-view.ts";
import type { Abortable } from "./options.ts";
import {
  type IterateOptions,
  SimpleConsumer,
  type SimpleConsumerOptions,
} from "./simple-consumer.ts";

/** Options of a lite simple consumer. */
export interface LiteSimpleConsumerOptions extends Omit<SimpleConsumerOptions, "subscriptions"> {
  /** The topic of type LITE whose lite topics are consumed; one for a group. */
  readonly bindTopic: string;
}

/** Receives and settles messages of lite topics. `startup` first, `shutdown` or `await using` last. */
export class LiteSimpleConsumer {
  readonly #lite: LiteSubscriptions;
  readonly #consumer: SimpleConsumer;

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: LiteSimpleConsumerOptions) {
    this.#lite = new LiteSubscriptions(options);
    const subscriptions = new Map([[options.bindTopic, "*"]]);
    this.#consumer = new SimpleConsumer({ ...options, subscriptions }, this.#lite);
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

  /** Receives no more of a lite topic. */
  async unsubscribeLite(liteTopic: string, options: Abortable = {}): Promise<void> {
    await this.#lite.unsubscribe(liteTopic, options);
  }

  /** As `SimpleConsumer.receive`, of the lite topics subscribed to. */
  receive(
    maxMessageNum?: number,
    invisibleDuration?: number,
    options: Abortable = {},
  ): Promise<MessageView[]> {
    return this.#consumer.receive(maxMessageNum, invisibleDuration, options);
  }

  /** Says that a message is done: it does not come again. */
  ack(message: MessageView, options: Abortable = {}): Promise<void> {
    return this.#consumer.ack(message, options);
  }

  /** Lets a message come again `invisibleDuration` milliseconds from now; gives it its new receipt handle. */
  changeInvisibleDuration(
    message: MessageView,
    invisibleDuration: number,
    options: Abortable = {},
  ): Promise<void> {
    return this.#consumer.changeInvisibleDuration(message, invisibleDuration, options);
  }

  /** Message after message, until the consumer is shut down or the signal is aborted. Settle each one. */
  messages(options: IterateOptions = {}): AsyncGenerator<MessageView, void, undefined> {
    return this.#consumer.messages(options);
  }

  [Symbol.asyncIterator](): AsyncGenerator<MessageView, void, undefined> {
    return this.messages();
  }

  /** Ends receives under way and closes. */
  async shutdown(): Promise<void> {
    if (this.isRunning()) await this.#lite.leave();
    await this.#consumer.shutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
