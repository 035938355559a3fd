// Which lite topics a consumer wants: told to the brokers at each change, and all of it again now and then and when a
// broker has come back, since brokers keep it in memory.
import { messagingService, rocketmq } from "@cometmq/proto";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import type { OffsetOption } from "./offset-option.ts";
import type { Abortable } from "./options.ts";
import { readableBrokers } from "./route.ts";
import { sleep } from "./timing.ts";

const { path, request, response } = messagingService.methods.SyncLiteSubscription;
const { PARTIAL_ADD, PARTIAL_REMOVE, COMPLETE_ADD, COMPLETE_REMOVE } =
  rocketmq.v2.LiteSubscriptionAction;

const repeatPeriodMs = 30_000;
/** News of brokers that come at once are told about once. */
const newsDelayMs = 1_000;
/** A change goes on for so many request timeouts while nobody takes it. */
const timeoutsMax = 3;
const retryDelayMs = 200;

/** How to subscribe. */
export interface SubscribeLiteOptions extends Abortable {
  /** Where the group goes on; where it has come to when left out. */
  readonly offsetOption?: OffsetOption | undefined;
}

/** The lite topics of one consumer. */
export class LiteSubscriptions {
  readonly #bindTopic: string;
  readonly #consumerGroup: string;
  readonly #names = new Set<string>();
  #core: ClientCore | undefined;
  #version = Date.now();
  /** One change after the other: what is said last counts. */
  #turn: Promise<unknown> = Promise.resolve();

  /** Throws ClientError BAD_OPTION without a topic. */
  constructor(options: { readonly bindTopic: string; readonly consumerGroup: string }) {
    if (typeof options.bindTopic !== "string" || options.bindTopic === "") {
      throw new ClientError("BAD_OPTION", "bindTopic is missing: name a topic of type LITE");
    }
    this.#bindTopic = options.bindTopic;
    this.#consumerGroup = options.consumerGroup;
  }

  /** The lite topics subscribed to. */
  get names(): ReadonlySet<string> {
    return new Set(this.#names);
  }

  /** Is told by whose client it speaks, before anything else. */
  attach(core: ClientCore): void {
    this.#core = core;
  }

  /** Tells all now and then, until the client closes. Never rejects. */
  async keepTelling(): Promise<void> {
    const core = this.#attached();
    const { closing } = core;
    while (!closing.aborted) {
      await this.#inTurn(COMPLETE_ADD, [...this.#names], {}).catch((error: unknown) => {
        if (closing.aborted) return;
        const { message } = toError(error);
        core.options.logger.warn("lite topics were not told", this.#bindTopic, message);
      });
      await core.links.changed.wait(repeatPeriodMs, closing).catch(toError);
      await sleep(newsDelayMs, closing).catch(toError);
    }
  }

  /** Rejects with LITE_SUBSCRIPTION_QUOTA_EXCEEDED, ILLEGAL_LITE_TOPIC, and what brokers say. */
  async subscribe(name: string, options: SubscribeLiteOptions): Promise<void> {
    const core = this.#attached();
    core.assertRunning();
    if (this.#names.has(name) && options.offsetOption === undefined) return;
    this.#check(name);
    await this.#inTurn(PARTIAL_ADD, [name], options, () => this.#names.add(name));
  }

  async unsubscribe(name: string, options: Abortable): Promise<void> {
    this.#attached().assertRunning();
    if (!this.#names.has(name)) return;
    await this.#inTurn(PARTIAL_REMOVE, [name], options, () => this.#names.delete(name));
  }

  /** Gives all up, for a client that closes. Never rejects. */
  async leave(): Promise<void> {
    this.#names.clear();
    await this.#inTurn(COMPLETE_REMOVE, [], {}).catch(toError);
  }

  /** Another consumer of the group has a lite topic now. */
  lost(name: string): void {
    if (!this.#names.delete(name)) return;
    this.#core?.options.logger.info("another consumer of the group has taken the lite topic", name);
  }

  #attached(): ClientCore {
    if (this.#core === undefined) throw new ClientError("CLOSED", "the client is not started");
    return this.#core;
  }

  #check(name: string): void {
    const { liteTopicSizeMaxBytes, liteSubscriptionQuota } = this.#attached().settings;
    const size = Buffer.byteLength(name);
    if (name.trim() === "" || size > liteTopicSizeMaxBytes) {
      throw new ClientError(
        "ILLEGAL_LITE_TOPIC",
        `a lite topic has 1 to ${liteTopicSizeMaxBytes} bytes and is not blank; got ${size} bytes`,
        { topic: this.#bindTopic },
      );
    }
    if (this.#names.has(name) || this.#names.size < liteSubscriptionQuota) return;
    throw new ClientError(
      "LITE_SUBSCRIPTION_QUOTA_EXCEEDED",
      `the consumer subscribes to ${this.#names.size} lite topics, at most ${liteSubscriptionQuota} are allowed`,
      { topic: this.#bindTopic },
    );
  }

  /** `done` runs before the next change is told. */
  #inTurn(
    action: number,
    names: readonly string[],
    options: SubscribeLiteOptions,
    done: () => void = () => {},
  ): Promise<void> {
    const told = this.#afterTurn(this.#turn, async () => {
      await this.#tell(action, action === COMPLETE_ADD ? [...this.#names] : names, options);
      done();
    });
    this.#turn = told.catch(() => {});
    return told;
  }

  async #afterTurn(turn: Promise<unknown>, task: () => Promise<void>): Promise<void> {
    await turn;
    await task();
  }

  /** One broker is told, which tells the others of the topic. */
  async #tell(
    action: number,
    names: readonly string[],
    { offsetOption, signal: outer }: SubscribeLiteOptions,
  ): Promise<void> {
    const core = this.#attached();
    const signal = outer ?? core.closing;
    const bytes = request.encode({
      action,
      topic: core.resource(this.#bindTopic),
      group: core.resource(this.#consumerGroup),
      liteTopicSet: [...names],
      version: ++this.#version,
      ...(offsetOption === undefined ? {} : { offsetOption: offsetOption.toMessage() }),
    });
    const endMs = Date.now() + timeoutsMax * core.options.requestTimeoutMs;
    const tried = new Set<string>();
    for (let turn = 0; ; turn++) {
      const broker = await core.usableBroker({
        topic: this.#bindTopic,
        choose: (route) => readableBrokers(route.brokers),
        turn,
        tried,
        waitMaxMs: endMs - Date.now(),
        signal,
      });
      if (broker === undefined) {
        const text = "no broker of the topic can be reached";
        throw new ClientError("UNREACHABLE", text, { topic: this.#bindTopic });
      }
      tried.add(broker.endpoints.facade);
      const link = core.link(broker.endpoints);
      try {
        const timeoutMs = core.options.requestTimeoutMs;
        const answer = await link.channel.unary(path, bytes, {
          timeoutMs,
          topic: this.#bindTopic,
          signal,
        });
        const place = { address: link.channel.address, topic: this.#bindTopic };
        const error = statusError(response.decode(answer).status, "SyncLiteSubscription", place);
        if (error !== undefined) throw error;
        link.noteSuccess();
        return;
      } catch (error) {
        core.reportFailure(link, error);
        const isTemporary = error instanceof ClientError && error.retryable;
        const isQuota = error instanceof ClientError && error.code.startsWith("LITE_");
        if (!isTemporary || isQuota || Date.now() >= endMs) throw error;
        await sleep(retryDelayMs, signal);
      }
    }
  }
}
