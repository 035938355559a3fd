// BroadcastConsumer: every instance reads every message, and keeps its own position, in a file or under its name on the
// brokers.
import { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import { FilePositions } from "./file-positions.ts";
import type { FilterExpression } from "./filter-expression.ts";
import type { MessageView } from "./message-view.ts";
import { OffsetCalls } from "./offset-calls.ts";
import {
  type Abortable,
  type ConsumerOptions,
  checkOptions,
  checkSubscriptions,
} from "./options.ts";
import { BrokerPositions, type PositionStore } from "./position-store.ts";
import {
  type CheckedReading,
  checkPoll,
  checkReading,
  type PollOptions,
  type ReadingOptions,
} from "./pull-options.ts";
import { Puller } from "./puller.ts";
import { QueueReaders } from "./queue-readers.ts";
import { readableQueues, type SeekTarget, type TopicQueue } from "./topic-queue.ts";

/** Options of a broadcast consumer. One of `clientName` and `positionFile` is needed. */
export interface BroadcastConsumerOptions extends ReadingOptions, ConsumerOptions {
  /**
   * The name of this instance, which it has again after a restart: its positions are the offsets of the group
   * `<consumerGroup>|<clientName>` on the brokers.
   */
  readonly clientName?: string | undefined;
  /** A file for its positions; each instance needs one of its own. */
  readonly positionFile?: string | undefined;
}

const scanPeriodMs = 1_000;

/** Reads all messages of its topics. `startup` first, `shutdown` or `await using` last. */
export class BroadcastConsumer {
  readonly #core: ClientCore;
  readonly #reading: CheckedReading;
  readonly #consumerGroup: string;
  readonly #clientName: string | undefined;
  readonly #positionFile: string;
  readonly #subscriptions: Map<string, FilterExpression>;
  readonly #stopping = new AbortController();
  #readers: QueueReaders | undefined;
  #scanning: Promise<void> | undefined;

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: BroadcastConsumerOptions) {
    const checked = checkOptions(options);
    this.#reading = checkReading(options, "end");
    this.#subscriptions = checkSubscriptions(options);
    const { consumerGroup, clientName, positionFile } = options;
    if ((clientName === undefined) === (positionFile === undefined)) {
      throw new ClientError(
        "BAD_OPTION",
        "give clientName, to keep positions on the brokers, or positionFile: one of the two",
      );
    }
    if (clientName === "" || positionFile === "") {
      throw new ClientError("BAD_OPTION", "clientName or positionFile is empty");
    }
    this.#consumerGroup = consumerGroup;
    this.#clientName = clientName;
    this.#positionFile = positionFile ?? "";
    this.#core = new ClientCore(checked, {
      kind: "pullConsumer",
      topics: new Set(this.#subscriptions.keys()),
      consumerGroup,
      subscriptions: this.#subscriptions,
      longPollingMs: this.#reading.longPollingMs,
      attemptsMax: 1,
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

  /** Connects and begins to read. Rejects with a ClientError; the consumer is then closed. */
  async startup(options: Abortable = {}): Promise<void> {
    const positions = await this.#openPositions();
    await this.#core.startup(options.signal);
    if (this.#readers !== undefined) return;
    this.#readers = new QueueReaders({
      ...this.#reading,
      core: this.#core,
      puller: new Puller(this.#core, this.#consumerGroup),
      calls: new OffsetCalls(this.#core, this.#consumerGroup),
      positions,
    });
    const initial = await this.#firstInitial(positions);
    this.#readers.start();
    this.#scan(initial);
    this.#scanning = this.#scanOnChange();
  }

  /** Where to begin without a position: an instance that was here before has missed nothing of a queue that is new to it. */
  async #firstInitial(positions: PositionStore): Promise<SeekTarget> {
    const { options, closing } = this.#core;
    const known = [...this.#subscriptions.keys()].flatMap((topic) => {
      const route = this.#core.knownRoute(topic);
      return route === undefined ? [] : readableQueues(route);
    });
    const call = { timeoutMs: options.requestTimeoutMs, signal: closing };
    // A broker that does not answer now says nothing of this; its queues are asked about again.
    const loads = known.map((queue) => positions.load(queue, call).catch(() => undefined));
    const stored = await Promise.all(loads);
    return stored.some((offset) => offset !== undefined) ? "beginning" : this.#reading.initial;
  }

  async #openPositions(): Promise<PositionStore> {
    if (this.#clientName === undefined) {
      return await FilePositions.open(this.#positionFile, this.#consumerGroup);
    }
    const group = `${this.#consumerGroup}|${this.#clientName}`;
    return new BrokerPositions(new OffsetCalls(this.#core, group));
  }

  /** Looks for new queues now and then, until stopped. Never rejects. */
  async #scanOnChange(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#core.links.changed.wait(scanPeriodMs, signal).catch(toError);
      // A queue that is new while this reads holds nothing that it may pass over.
      if (!signal.aborted) this.#scan("beginning");
    }
  }

  /** Reads the queues that are not read yet. One that is not listed any more may be back soon: it stays. */
  #scan(initial: SeekTarget): void {
    for (const [topic, filter] of this.#subscriptions) {
      const route = this.#core.knownRoute(topic);
      for (const queue of route === undefined ? [] : readableQueues(route)) {
        if (this.#readers?.has(queue) !== false) continue;
        this.#readers.add({ queue, filter, initial, mayGive: () => true });
      }
    }
  }

  /**
   * Messages of all queues in turn, in the order of each queue; none when none came within `timeout`. Polling again says
   * that what came before is done with. Rejects with a ClientError for what does not pass by itself.
   */
  async poll(options: PollOptions = {}): Promise<MessageView[]> {
    return await this.#running().take({ ...checkPoll(options), signal: options.signal });
  }

  /** Message after message, until the consumer is shut down or the signal is aborted. Asking for the next says that one is done with. */
  async *messages(options: Abortable = {}): AsyncGenerator<MessageView, void, undefined> {
    const { signal } = options;
    const ended = (): boolean => signal?.aborted === true || this.#core.closing.aborted;
    while (!ended()) {
      try {
        const [message] = await this.poll({ maxMessageNum: 1, signal });
        if (message !== undefined) yield message;
      } catch (error) {
        if (ended()) return;
        throw error;
      }
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<MessageView, void, undefined> {
    return this.messages();
  }

  /** The queues that are read now. */
  queues(): readonly TopicQueue[] {
    return this.#running().queues;
  }

  /** Offset of the next message that `poll` gives of a queue; undefined while it is not known. */
  position(queue: TopicQueue): number | undefined {
    return this.#running().position(queue);
  }

  /** Goes on in a queue at an offset, at its beginning, its end, or a moment. */
  async seek(queue: TopicQueue, target: SeekTarget, options: Abortable = {}): Promise<void> {
    await this.#running().seek(queue, target, options.signal);
  }

  /** Stores that all that was polled is done with. */
  async commit(): Promise<void> {
    const readers = this.#running();
    readers.markDone();
    await readers.saveDone();
  }

  #running(): QueueReaders {
    this.#core.assertRunning();
    if (this.#readers !== undefined) return this.#readers;
    throw new ClientError("CLOSED", "the client is not started: await startup() first");
  }

  /** Stores what was polled, unless `autoCommit` is false, and closes. */
  shutdown(): Promise<void> {
    this.#readers?.markDone();
    return this.#close();
  }

  /** As `shutdown`, but what the last poll gave is not stored: nobody has said that it is done with. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  #close(): Promise<void> {
    this.#stopping.abort();
    return this.#core.close(async () => {
      await this.#scanning;
      await this.#readers?.close({ save: this.#reading.autoCommitMs !== undefined });
    });
  }
}
