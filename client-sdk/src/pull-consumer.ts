// PullConsumer: the application reads queues by offset, of its own choice or as its share in a group, and says itself
// how far it is.
import { ClientCore } from "./client-core.ts";
import { ClientError } from "./client-error.ts";
import { FilterExpression } from "./filter-expression.ts";
import type { MessageView } from "./message-view.ts";
import { OffsetCalls } from "./offset-calls.ts";
import { type Abortable, checkOptions } from "./options.ts";
import { BrokerPositions, type PositionStore } from "./position-store.ts";
import {
  type CheckedReading,
  checkPoll,
  checkReading,
  checkTarget,
  type PollOptions,
  type ReadingOptions,
} from "./pull-options.ts";
import { Puller } from "./puller.ts";
import { QueueReaders } from "./queue-readers.ts";
import { QueueShare } from "./queue-share.ts";
import {
  type QueuePosition,
  queueKey,
  readableQueues,
  type SeekTarget,
  type TopicQueue,
} from "./topic-queue.ts";

/** Hears which queues come and go. What it returns is waited for, for two seconds at most. */
export interface AssignmentListener {
  /** These queues are read from now on; they may be moved. */
  assigned?(queues: readonly TopicQueue[]): void | Promise<void>;
  /** These queues are another member's soon: the last moment to commit. Not called when they may be another's already. */
  revoked?(queues: readonly TopicQueue[]): void | Promise<void>;
}

/** Options of a pull consumer. */
export interface PullConsumerOptions extends ReadingOptions {
  /**
   * Topic to filter, as other consumers have it: the queues are shared with the other members of the group. Without any,
   * queues are assigned by `assign`.
   */
  readonly subscriptions?: ReadonlyMap<string, FilterExpression | string> | undefined;
  readonly assignmentListener?: AssignmentListener | undefined;
}

// All of letting go together takes less than a share lasts without being asked for.
/** A queue that is given up is waited for so long, until the application is done with what it has of it. */
const releaseWaitMs = 3_000;
const listenerWaitMs = 2_000;

/** Reads queues by offset. `startup` first, `shutdown` or `await using` last. */
export class PullConsumer {
  readonly #core: ClientCore;
  readonly #calls: OffsetCalls;
  readonly #positions: PositionStore;
  readonly #readers: QueueReaders;
  readonly #reading: CheckedReading;
  readonly #consumerGroup: string;
  readonly #subscriptions: Map<string, FilterExpression>;
  readonly #shares = new Map<string, QueueShare>();
  readonly #listener: AssignmentListener;
  readonly #stopping = new AbortController();
  /** Whether queues come by `assign`. */
  readonly #isAssigning: boolean;

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: PullConsumerOptions) {
    const checked = checkOptions(options);
    this.#reading = checkReading(options, "beginning");
    this.#consumerGroup = options.consumerGroup;
    this.#listener = options.assignmentListener ?? {};
    this.#subscriptions = new Map(
      [...(options.subscriptions ?? [])].map(([topic, filter]) => [topic, filterOf(filter)]),
    );
    this.#isAssigning = this.#subscriptions.size === 0;
    const topics = new Set([...this.#subscriptions.keys(), ...(options.topics ?? [])]);
    this.#core = new ClientCore(checked, {
      kind: "pullConsumer",
      topics,
      consumerGroup: options.consumerGroup,
      subscriptions: this.#subscriptions,
      longPollingMs: this.#reading.longPollingMs,
      attemptsMax: 1,
    });
    this.#calls = new OffsetCalls(this.#core, options.consumerGroup);
    this.#positions = new BrokerPositions(this.#calls);
    this.#readers = new QueueReaders({
      ...this.#reading,
      core: this.#core,
      puller: new Puller(this.#core, options.consumerGroup),
      calls: this.#calls,
      positions: this.#positions,
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

  /** Connects, and asks for its share of the subscribed topics. Rejects with a ClientError; the consumer is then closed. */
  async startup(options: Abortable = {}): Promise<void> {
    await this.#core.startup(options.signal);
    this.#readers.start();
    for (const topic of this.#subscriptions.keys()) this.#share(topic);
  }

  /** The queues of a topic that can be read. */
  async queues(topic: string, options: Abortable = {}): Promise<readonly TopicQueue[]> {
    this.#core.assertRunning();
    return readableQueues(await this.#core.route(topic, options.signal));
  }

  /** Reads exactly these queues from now on, whoever else does. Those that are not among them are committed as `shutdown` does. */
  async assign(
    queues: readonly TopicQueue[],
    filter: FilterExpression | string = FilterExpression.SUB_ALL,
  ): Promise<void> {
    this.#core.assertRunning();
    if (!this.#isAssigning) {
      throw new ClientError(
        "BAD_OPTION",
        "this consumer subscribes: its queues are assigned to it",
      );
    }
    const wanted = new Set(queues.map(queueKey));
    const gone = this.#readers.queues.filter((queue) => !wanted.has(queueKey(queue)));
    await this.#readers.remove(gone, { save: this.#isCommitting });
    await Promise.all(
      [...new Set(queues.map(({ topic }) => topic))].map(async (topic) => this.#core.route(topic)),
    );
    this.#add(queues, filterOf(filter), () => true);
  }

  /** The queues that are read now. */
  assignment(): readonly TopicQueue[] {
    return this.#readers.queues;
  }

  /** Adds a topic or changes its filter. Rejects when the topic has no route. */
  async subscribe(topic: string, filter: FilterExpression | string): Promise<void> {
    this.#core.assertRunning();
    if (this.#isAssigning) {
      throw new ClientError(
        "BAD_OPTION",
        "this consumer assigns its queues: give subscriptions when it is made",
      );
    }
    await this.#core.route(topic);
    await this.#leave(topic);
    this.#subscriptions.set(topic, filterOf(filter));
    this.#core.links.sendSettings();
    this.#share(topic);
  }

  /** Reads no more of a topic; what was polled before is committed as `shutdown` does. */
  async unsubscribe(topic: string): Promise<void> {
    this.#subscriptions.delete(topic);
    await this.#leave(topic);
    this.#core.links.sendSettings();
  }

  /**
   * Messages of the queues in turn, in the order of each queue; none when none came within `timeout`. Polling again says
   * that what came before is done with. Rejects with a ClientError for what does not pass by itself.
   */
  async poll(options: PollOptions = {}): Promise<MessageView[]> {
    this.#core.assertRunning();
    return await this.#readers.take({ ...checkPoll(options), signal: options.signal });
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

  /** Goes on in a queue at an offset, at its beginning, its end, or a moment. */
  async seek(queue: TopicQueue, target: SeekTarget, options: Abortable = {}): Promise<void> {
    this.#core.assertRunning();
    await this.#readers.seek(queue, checkTarget(target), options.signal);
  }

  /** Offset of the next message that `poll` gives of a queue; undefined while it is not known. */
  position(queue: TopicQueue): number | undefined {
    return this.#readers.position(queue);
  }

  /** The offset that the group has stored for a queue; undefined when it has none. */
  async committed(queue: TopicQueue, options: Abortable = {}): Promise<number | undefined> {
    this.#core.assertRunning();
    const timeoutMs = this.#core.options.requestTimeoutMs;
    await this.#core.route(queue.topic, options.signal);
    return await this.#positions.load(queue, { timeoutMs, signal: options.signal });
  }

  /** Stores how far the group is: these positions, or that all that was polled is done with. Resolved, they survive a broker's end. */
  async commit(positions?: readonly QueuePosition[]): Promise<void> {
    this.#core.assertRunning();
    if (positions !== undefined) {
      for (const { offset } of positions) checkTarget(offset);
      return await this.#readers.save(positions);
    }
    this.#readers.markDone();
    await this.#readers.saveDone();
  }

  /** Gives nothing of these queues until `resume`. */
  pause(queues: readonly TopicQueue[]): void {
    this.#readers.pause(queues);
  }

  resume(queues: readonly TopicQueue[]): void {
    this.#readers.resume(queues);
  }

  /** Queues that are paused. */
  paused(): readonly TopicQueue[] {
    return this.#readers.paused;
  }

  get #isCommitting(): boolean {
    return this.#reading.autoCommitMs !== undefined;
  }

  #share(topic: string): void {
    const share = new QueueShare({
      core: this.#core,
      consumerGroup: this.#consumerGroup,
      topic,
      reads: () => this.#readers.queues.filter((queue) => queue.topic === topic),
      take: (queues, { isLost }) => this.#takeShare(share, { topic, queues, isLost }),
    });
    this.#shares.set(topic, share);
    share.start();
  }

  async #leave(topic: string): Promise<void> {
    const share = this.#shares.get(topic);
    if (share === undefined) return;
    this.#shares.delete(topic);
    await share.stop();
    const queues = this.#readers.queues.filter((queue) => queue.topic === topic);
    await this.#readers.remove(queues, { save: this.#isCommitting });
  }

  /** Lets go of what is not in the share any more, then reads what is new in it. Never rejects. */
  async #takeShare(
    share: QueueShare,
    change: {
      readonly topic: string;
      readonly queues: readonly TopicQueue[];
      readonly isLost: boolean;
    },
  ): Promise<void> {
    const { topic, queues, isLost } = change;
    const wanted = new Set(queues.map(queueKey));
    const gone = this.#readers.queues.filter(
      (queue) => queue.topic === topic && !wanted.has(queueKey(queue)),
    );
    if (gone.length > 0) await this.#release(gone, isLost);
    const filter = this.#subscriptions.get(topic);
    const added = queues.filter((queue) => !this.#readers.has(queue));
    if (filter === undefined || added.length === 0) return;
    this.#add(added, filter, () => share.isValid);
    await this.#tell("assigned", added);
  }

  async #release(queues: readonly TopicQueue[], isLost: boolean): Promise<void> {
    if (isLost) return await this.#readers.remove(queues, { save: false });
    // Given on to the application no more, but still its own until it is done.
    this.#readers.pause(queues);
    const options = { timeoutMs: releaseWaitMs, signal: this.#stopping.signal };
    await this.#readers.untilDone(queues, options).catch(() => {});
    await this.#tell("revoked", queues);
    await this.#readers.remove(queues, { save: this.#isCommitting });
  }

  async #tell(what: keyof AssignmentListener, queues: readonly TopicQueue[]): Promise<void> {
    try {
      await within(listenerWaitMs, async () => await this.#listener[what]?.(queues));
    } catch (error) {
      this.#core.options.logger.warn("the assignment listener failed", what, String(error));
    }
  }

  #add(queues: readonly TopicQueue[], filter: FilterExpression, mayGive: () => boolean): void {
    const { initial } = this.#reading;
    for (const queue of queues) {
      if (!this.#readers.has(queue)) this.#readers.add({ queue, filter, initial, mayGive });
    }
  }

  /** Commits what was polled, unless `autoCommit` is false, lets go of the queues, and closes. */
  shutdown(): Promise<void> {
    this.#readers.markDone();
    return this.#close();
  }

  /** As `shutdown`, but what the last poll gave is not committed: nobody has said that it is done with. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  #close(): Promise<void> {
    this.#stopping.abort();
    return this.#core.close(async () => {
      await Promise.all([...this.#shares.values()].map((share) => share.stop()));
      await this.#readers.close({ save: this.#isCommitting });
    });
  }
}

function filterOf(filter: FilterExpression | string): FilterExpression {
  return typeof filter === "string" ? new FilterExpression(filter) : filter;
}

/** Waits for `act`, but not for longer than `ms`. */
async function within(ms: number, act: () => Promise<void>): Promise<void> {
  const acting = act();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await Promise.race([acting, late]);
  } finally {
    clearTimeout(timer);
  }
}
