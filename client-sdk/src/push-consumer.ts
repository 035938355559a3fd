// PushConsumer: polls every broker of its topics, keeps a bounded number of messages, and hands them
// to the application's listener.
import { JoinedSignal } from "./abort-listeners.ts";
import { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import { ConsumeService, type MessageListener } from "./consume-service.ts";
import { FilterExpression } from "./filter-expression.ts";
import type { LiteSubscriptions } from "./lite-subscriptions.ts";
import {
  type Abortable,
  type ConsumerOptions,
  checkOptions,
  checkSubscriptions,
  numberOption,
} from "./options.ts";
import { Receiver } from "./receiver.ts";
import { type RouteBroker, readableBrokers } from "./route.ts";
import { Settler } from "./settler.ts";
import { sleep } from "./timing.ts";

/** Options of a push consumer. */
export interface PushConsumerOptions extends ConsumerOptions {
  readonly messageListener: MessageListener;
  /** Listener calls at a time, from 1; 20 when left out. */
  readonly concurrency?: number | undefined;
  /** Messages held at most; 1024 when left out. */
  readonly maxCacheMessageCount?: number | undefined;
  /** Bytes of bodies held at most; 64 MiB when left out. One receive may go over it. */
  readonly maxCacheMessageSizeInBytes?: number | undefined;
  /** Milliseconds a poll waits for messages until the server says otherwise; 30000 when left out. */
  readonly longPollingTimeout?: number | undefined;
  /** Milliseconds `shutdown` waits for messages in work; 30000 when left out. */
  readonly drainTimeout?: number | undefined;
}

interface Poller {
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

const scanPeriodMs = 1_000;
/** After an error a broker is asked again so soon at first, and so late in the end. */
const errorPauseMinMs = 50;
const errorPauseMaxMs = 1_000;
/** A server that answers an empty poll at once is not asked again at once. */
const emptyPauseMs = 200;
const heldPollMinMs = 50;

/** Consumes messages through a listener. `startup` first, `shutdown` or `await using` last. */
export class PushConsumer {
  readonly #core: ClientCore;
  readonly #receiver: Receiver;
  readonly #service: ConsumeService;
  readonly #subscriptions: Map<string, FilterExpression>;
  readonly #consumerGroup: string;
  readonly #pollers = new Map<string, Poller>();
  readonly #cacheCountMax: number;
  readonly #cacheSizeMaxBytes: number;
  readonly #drainTimeoutMs: number;
  readonly #stopping = new AbortController();
  #isScanning = false;
  #turn = 0;

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: PushConsumerOptions);
  /** @internal A consumer of lite topics. */
  constructor(options: PushConsumerOptions, lite: LiteSubscriptions);
  constructor(options: PushConsumerOptions, lite?: LiteSubscriptions) {
    const checked = checkOptions(options);
    this.#subscriptions = checkSubscriptions(options);
    if (typeof options.messageListener?.consume !== "function") {
      throw new ClientError(
        "BAD_OPTION",
        "messageListener must be an object with a method consume",
      );
    }
    this.#consumerGroup = options.consumerGroup;
    this.#cacheCountMax = boundOption("maxCacheMessageCount", options.maxCacheMessageCount, 1024);
    this.#cacheSizeMaxBytes = boundOption(
      "maxCacheMessageSizeInBytes",
      options.maxCacheMessageSizeInBytes,
      2 ** 26,
    );
    this.#drainTimeoutMs = boundOption("drainTimeout", options.drainTimeout, 30_000);
    this.#core = new ClientCore(checked, {
      kind: lite === undefined ? "pushConsumer" : "litePushConsumer",
      topics: new Set(this.#subscriptions.keys()),
      consumerGroup: options.consumerGroup,
      subscriptions: this.#subscriptions,
      longPollingMs: boundOption("longPollingTimeout", options.longPollingTimeout, 30_000),
      attemptsMax: 1,
      onUnsubscribeLite: (name) => lite?.lost(name),
    });
    lite?.attach(this.#core);
    this.#receiver = new Receiver(this.#core, options.consumerGroup);
    this.#service = new ConsumeService({
      core: this.#core,
      settler: new Settler(this.#core, options.consumerGroup),
      listener: options.messageListener,
      concurrencyMax: boundOption("concurrency", options.concurrency, 20),
    });
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

  /** Connects and begins to consume. Rejects with a ClientError; the consumer is then closed. */
  async startup(options: Abortable = {}): Promise<void> {
    await this.#core.startup(options.signal);
    if (!this.#isScanning) void this.#scanOnChange();
  }

  /** Scans now, at each change of a route or a connection, and now and then; until stopped. Never rejects. */
  async #scanOnChange(): Promise<void> {
    this.#isScanning = true;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#scan();
      await this.#core.links.changed.wait(scanPeriodMs, signal).catch(toError);
    }
  }

  /** Adds a topic or changes its filter: held polls with the old one are ended. Rejects when the topic has no route. */
  async subscribe(topic: string, filter: FilterExpression | string): Promise<void> {
    this.#core.assertRunning();
    await this.#core.route(topic);
    this.#subscriptions.set(
      topic,
      typeof filter === "string" ? new FilterExpression(filter) : filter,
    );
    this.#core.links.sendSettings();
    await this.#endPolls(topic);
    this.#scan();
  }

  /** What comes while a poll is held is skipped for good when the filter of that poll does not match. */
  async #endPolls(topic: string): Promise<void> {
    const pollers = [...this.#pollers].filter(([key]) => key.startsWith(`${topic} `));
    for (const [, { stop }] of pollers) stop.abort();
    await Promise.all(pollers.map(([, { done }]) => done));
  }

  /** Receives no more from a topic; messages already here are still consumed. */
  unsubscribe(topic: string): void {
    this.#subscriptions.delete(topic);
    this.#core.links.sendSettings();
    this.#scan();
  }

  /** Starts a poller for each topic and broker, and stops those whose broker or topic is gone. */
  #scan(): void {
    if (this.#stopping.signal.aborted) return;
    const wanted = new Set<string>();
    for (const topic of this.#subscriptions.keys()) {
      const route = this.#core.route(topic);
      if (route instanceof Promise) {
        route.catch((error: unknown) =>
          this.#core.options.logger.warn("no route", topic, toError(error).message),
        );
        this.#keepPollers(topic, wanted);
        continue;
      }
      for (const broker of this.#core.bestAddresses(readableBrokers(route.brokers))) {
        const key = `${topic} ${broker.name} ${broker.endpoints.facade}`;
        wanted.add(key);
        if (!this.#pollers.has(key)) this.#startPoller(key, topic, broker);
      }
    }
    for (const [key, poller] of this.#pollers) {
      if (!wanted.has(key)) poller.stop.abort();
    }
  }

  /** That a route is unknown for the moment is no reason to stop. */
  #keepPollers(topic: string, wanted: Set<string>): void {
    for (const key of this.#pollers.keys()) {
      if (key.startsWith(`${topic} `)) wanted.add(key);
    }
  }

  #startPoller(key: string, topic: string, broker: RouteBroker): void {
    const stop = new AbortController();
    const joined = new JoinedSignal([stop.signal, this.#stopping.signal]);
    const done = this.#poll(topic, broker, joined.signal).finally(() => {
      joined[Symbol.dispose]();
      this.#pollers.delete(key);
    });
    this.#pollers.set(key, { stop, done });
  }

  /** Polls one broker until stopped; never rejects. */
  async #poll(topic: string, broker: RouteBroker, stop: AbortSignal): Promise<void> {
    let errorPauseMs = errorPauseMinMs;
    while (!stop.aborted) {
      try {
        await this.#room(stop);
        await this.#link(broker, stop);
        await this.#pollOnce(topic, broker, stop);
        errorPauseMs = errorPauseMinMs;
      } catch (error) {
        if (stop.aborted) return;
        this.#core.options.logger.warn("receive failed", topic, toError(error).message);
        await sleep(errorPauseMs, stop).catch(toError);
        errorPauseMs = Math.min(errorPauseMaxMs, 2 * errorPauseMs);
      }
    }
  }

  async #room(stop: AbortSignal): Promise<void> {
    while (
      this.#service.count >= this.#cacheCountMax ||
      this.#service.size >= this.#cacheSizeMaxBytes
    ) {
      await this.#service.settled.wait(scanPeriodMs, stop);
    }
  }

  async #link(broker: RouteBroker, stop: AbortSignal): Promise<void> {
    while (!this.#core.link(broker.endpoints).usable) {
      this.#core.routeDoubted();
      await this.#core.links.changed.wait(scanPeriodMs, stop);
    }
  }

  async #pollOnce(topic: string, broker: RouteBroker, stop: AbortSignal): Promise<void> {
    const filter = this.#subscriptions.get(topic);
    if (filter === undefined) return;
    const { receiveBatchCountMax, longPollingMs } = this.#core.settings;
    const startMs = Date.now();
    const messages = await this.#receiver.receive({
      topic,
      filter,
      broker,
      turn: this.#turn++,
      countMax: Math.min(receiveBatchCountMax, this.#cacheCountMax - this.#service.count),
      invisibleMs: undefined,
      longPollingMs,
      signal: this.#core.closing,
      stop,
    });
    for (const message of messages) this.#service.add(message);
    const held = Date.now() - startMs >= heldPollMinMs;
    if (messages.length === 0 && !held && !stop.aborted) await sleep(emptyPauseMs, stop);
  }

  /**
   * Ends the polls, gives back at once what the listener has not begun with, waits for the messages in work, then closes.
   * What is in work after `drainTimeout` is given back then.
   */
  shutdown(): Promise<void> {
    this.#stopping.abort();
    this.#service.stop();
    return this.#core.close(async () => {
      const endMs = Date.now() + this.#drainTimeoutMs;
      const pollers = [...this.#pollers.values()].map((poller) => poller.done);
      await Promise.race([Promise.all(pollers), sleep(this.#drainTimeoutMs, this.#core.closing)]);
      while (this.#service.count > 0 && Date.now() < endMs) {
        await this.#service.settled.wait(endMs - Date.now());
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

function boundOption(name: string, value: number | undefined, otherwise: number): number {
  return numberOption(name, value, { min: 1, max: Number.MAX_SAFE_INTEGER, otherwise });
}
