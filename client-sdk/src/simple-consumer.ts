// SimpleConsumer: the application asks for messages and settles each one itself.
import { JoinedSignal } from "./abort-listeners.ts";
import { ClientCore } from "./client-core.ts";
import { ClientError } from "./client-error.ts";
import { FilterExpression } from "./filter-expression.ts";
import type { LiteSubscriptions } from "./lite-subscriptions.ts";
import type { MessageView } from "./message-view.ts";
import {
  type Abortable,
  type ConsumerOptions,
  checkOptions,
  checkSubscriptions,
  numberOption,
} from "./options.ts";
import { Receiver } from "./receiver.ts";
import { defaultSendPolicy, delayAfter } from "./retry-policy.ts";
import { readableBrokers } from "./route.ts";
import { Settler } from "./settler.ts";
import { sleep } from "./timing.ts";

/** Options of a simple consumer. */
export interface SimpleConsumerOptions extends ConsumerOptions {
  /** Milliseconds a receive waits for messages, from 100; 30000 when left out. Servers may answer earlier. */
  readonly awaitDuration?: number | undefined;
  /** Tries of one receive while time is left; 3 when left out. Tries that found no broker do not count. */
  readonly maxRetryAttempts?: number | undefined;
}

/** How `messages` receives. */
export interface IterateOptions extends Abortable {
  /** Messages asked for at once; 10 when left out. */
  readonly maxMessageNum?: number | undefined;
  /** Milliseconds until a message that was not settled comes again; 15000 when left out. */
  readonly invisibleDuration?: number | undefined;
}

const absenceCodes: ReadonlySet<string> = new Set(["UNREACHABLE", "HA_NOT_AVAILABLE"]);
const absenceDelayMinMs = 20;
const absenceDelayMaxMs = 1_000;
const messageNumDefault = 10;
const invisibleDefaultMs = 15_000;
const messageNumMax = 100_000;
const invisibleMaxMs = 43_200_000;

/** Receives and settles messages. `startup` first, `shutdown` or `await using` last. */
export class SimpleConsumer {
  readonly #core: ClientCore;
  readonly #receiver: Receiver;
  readonly #settler: Settler;
  readonly #subscriptions: Map<string, FilterExpression>;
  readonly #consumerGroup: string;
  readonly #awaitMs: number;
  readonly #attemptsMax: number;
  /** Messages that iterations have received and not handed out. */
  readonly #left = new Set<MessageView[]>();
  #turn = Math.floor(Math.random() * 1_000_000);

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: SimpleConsumerOptions);
  /** @internal A consumer of lite topics. */
  constructor(options: SimpleConsumerOptions, lite: LiteSubscriptions);
  constructor(options: SimpleConsumerOptions, lite?: LiteSubscriptions) {
    const checked = checkOptions(options);
    this.#subscriptions = checkSubscriptions(options);
    this.#consumerGroup = options.consumerGroup;
    this.#awaitMs = numberOption("awaitDuration", options.awaitDuration, {
      min: 100,
      max: 3_600_000,
      otherwise: 30_000,
    });
    this.#attemptsMax = numberOption("maxRetryAttempts", options.maxRetryAttempts, {
      min: 1,
      max: 100,
      otherwise: 3,
    });
    this.#core = new ClientCore(checked, {
      kind: lite === undefined ? "simpleConsumer" : "liteSimpleConsumer",
      topics: new Set(this.#subscriptions.keys()),
      consumerGroup: options.consumerGroup,
      subscriptions: this.#subscriptions,
      longPollingMs: this.#awaitMs,
      attemptsMax: this.#attemptsMax,
      onUnsubscribeLite: (name) => lite?.lost(name),
    });
    lite?.attach(this.#core);
    this.#receiver = new Receiver(this.#core, options.consumerGroup);
    this.#settler = new Settler(this.#core, options.consumerGroup);
  }

  get clientId(): string {
    return this.#core.clientId;
  }

  getConsumerGroup(): string {
    return this.#consumerGroup;
  }

  isRunning(): boolean {
    return this.#core.running;
  }

  /** Connects and looks up the subscribed topics. Rejects with a ClientError; the consumer is then closed. */
  startup(options: Abortable = {}): Promise<void> {
    return this.#core.startup(options.signal);
  }

  /** Adds a topic or changes its filter. Rejects when the topic has no route. */
  async subscribe(topic: string, filter: FilterExpression | string): Promise<void> {
    this.#core.assertRunning();
    await this.#core.route(topic);
    this.#subscriptions.set(
      topic,
      typeof filter === "string" ? new FilterExpression(filter) : filter,
    );
    this.#core.links.sendSettings();
  }

  /** Receives no more from a topic. */
  unsubscribe(topic: string): void {
    this.#subscriptions.delete(topic);
    this.#core.links.sendSettings();
  }

  /**
   * Up to `maxMessageNum` messages of one topic (topics and brokers take turns), none when none came
   * within `awaitDuration`. They come again after `invisibleDuration` milliseconds unless acknowledged.
   * Rejects by `awaitDuration` plus `requestTimeout`.
   */
  async receive(
    maxMessageNum: number = messageNumDefault,
    invisibleDuration: number = invisibleDefaultMs,
    options: Abortable = {},
  ): Promise<MessageView[]> {
    this.#core.assertRunning();
    const countMax = numberOption("maxMessageNum", maxMessageNum, {
      min: 1,
      max: messageNumMax,
      otherwise: messageNumDefault,
    });
    const invisibleMs = invisibleOption(invisibleDuration, 1);
    using joined = new JoinedSignal([options.signal, this.#core.closing]);
    const { signal } = joined;
    const endMs = Date.now() + this.#awaitMs + this.#core.options.requestTimeoutMs;
    for (let attempt = 1, absences = 0; ; ) {
      try {
        return await this.#receiveOnce({ countMax, invisibleMs, endMs, signal });
      } catch (error) {
        if (!(error instanceof ClientError) || !error.retryable || Date.now() >= endMs) throw error;
        // That no broker is there does not count: another one may be master soon.
        if (absenceCodes.has(error.code)) {
          const delayMs = Math.min(absenceDelayMaxMs, absenceDelayMinMs * 2 ** absences++);
          await sleep(Math.min(delayMs, endMs - Date.now()), signal);
        } else if (attempt < this.#attemptsMax) {
          await sleep(delayAfter(defaultSendPolicy, attempt++), signal);
        } else throw error;
      }
    }
  }

  async #receiveOnce(call: {
    readonly countMax: number;
    readonly invisibleMs: number;
    readonly endMs: number;
    readonly signal: AbortSignal;
  }): Promise<MessageView[]> {
    const turn = this.#turn++;
    const topics = [...this.#subscriptions.keys()];
    const topic = topics[turn % topics.length];
    const filter = topic === undefined ? undefined : this.#subscriptions.get(topic);
    if (topic === undefined || filter === undefined) {
      throw new ClientError("BAD_OPTION", "no topic is subscribed: call subscribe first");
    }
    const { requestTimeoutMs } = this.#core.options;
    const brokerTurn = Math.floor(turn / topics.length);
    const broker = await this.#core.usableBroker({
      topic,
      choose: (route) => readableBrokers(route.brokers),
      turn: brokerTurn,
      tried: new Set(),
      waitMaxMs: Math.min(requestTimeoutMs, call.endMs - Date.now()),
      signal: call.signal,
    });
    if (broker === undefined) {
      const text =
        "no broker of the topic can be reached: check that one runs and that the topic is readable";
      throw new ClientError("UNREACHABLE", text, { topic });
    }
    const leftMs = Math.max(1, call.endMs - requestTimeoutMs - Date.now());
    return this.#receiver.receive({
      topic,
      filter,
      broker,
      turn: brokerTurn,
      countMax: call.countMax,
      invisibleMs: call.invisibleMs,
      longPollingMs: Math.min(this.#awaitMs, leftMs),
      signal: call.signal,
    });
  }

  /** Says that a message is done: it does not come again. */
  async ack(message: MessageView, options: Abortable = {}): Promise<void> {
    this.#core.assertRunning();
    await this.#settler.ack(message, options.signal);
  }

  /** Lets a message come again `invisibleDuration` milliseconds from now; gives it its new receipt handle. */
  async changeInvisibleDuration(
    message: MessageView,
    invisibleDuration: number,
    options: Abortable = {},
  ): Promise<void> {
    this.#core.assertRunning();
    const invisibleMs = invisibleOption(invisibleDuration, 0);
    await this.#settler.changeInvisible(message, invisibleMs, options);
  }

  /** Message after message, until the consumer is shut down or the signal is aborted. Settle each one. */
  async *messages(options: IterateOptions = {}): AsyncGenerator<MessageView, void, undefined> {
    const { maxMessageNum, invisibleDuration, signal } = options;
    const ended = (): boolean => signal?.aborted === true || this.#core.closing.aborted;
    while (!ended()) {
      let left: MessageView[] = [];
      try {
        left = await this.receive(maxMessageNum, invisibleDuration, { signal });
        this.#left.add(left);
        for (let next = left.shift(); next !== undefined; next = left.shift()) yield next;
      } catch (error) {
        if (ended()) return;
        throw error;
      } finally {
        this.#left.delete(left);
        if (left.length > 0) await this.#giveBack(left);
      }
    }
  }

  /** Lets messages come again at once. Where that fails they come again by themselves, later. */
  async #giveBack(messages: readonly MessageView[]): Promise<void> {
    await Promise.allSettled(
      messages.map((message) =>
        this.#settler.changeInvisible(message, 0, { signal: this.#core.closing }),
      ),
    );
  }

  [Symbol.asyncIterator](): AsyncGenerator<MessageView, void, undefined> {
    return this.messages();
  }

  /** Gives back at once what iterations have not handed out yet, ends receives under way, and closes. */
  shutdown(): Promise<void> {
    return this.#core.close(async () => {
      const left = [...this.#left].flatMap((messages) => messages.splice(0));
      const { requestTimeoutMs } = this.#core.options;
      await Promise.race([this.#giveBack(left), sleep(requestTimeoutMs, this.#core.closing)]);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

function invisibleOption(value: number, min: number): number {
  return numberOption("invisibleDuration", value, {
    min,
    max: invisibleMaxMs,
    otherwise: invisibleDefaultMs,
  });
}
