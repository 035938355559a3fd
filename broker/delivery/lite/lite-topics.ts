// The lite topics of all LITE topics: follows their consume queues, from where somebody still needs them.
import { background, type Logger, limits, MqError } from "../../../base/index.ts";
import type { TopicConfig } from "../../metadata/index.ts";
import type { DeliveryCounters } from "../counters.ts";
import { messageGroupHash } from "../order/message-group-hash.ts";
import type { DeliveryQueue, DeliveryStore } from "../ports.ts";
import type { Alarm, Timeline } from "../timeline.ts";
import { LiteQueue } from "./lite-queue.ts";
import type { LiteQueues } from "./lite-subscription.ts";

/** What it stands on. */
export interface LiteTopicsParts {
  readonly store: DeliveryStore;
  readonly timeline: Timeline;
  readonly counters: DeliveryCounters;
  readonly logger: Logger;
  /** The oldest queue offset that a group needs; undefined while there is no group. */
  neededFrom(queue: DeliveryQueue): number | undefined;
  /** Once a message, in the order of the queue. */
  arrived(queue: LiteQueue, hash: number): void;
  /** A queue has been taken in for the first time. */
  opened(): void;
  /** After what has arrived in files was taken in. */
  loaded(topic: string): void;
}

/** What is kept in memory of lite topics, all together. */
export interface LiteFigures {
  /** Lite topics with messages. */
  topics: number;
  /** Messages whose place is remembered. */
  offsets: number;
  /** Lite topics that clients subscribe to, counted once a client. */
  subscriptions: number;
}

/** Entries of a consume queue that are taken in at one go. */
const takenAtOnceMax = 65_536;

/** LITE topics by name. */
export class LiteTopics {
  readonly figures: LiteFigures = { topics: 0, offsets: 0, subscriptions: 0 };
  readonly #parts: LiteTopicsParts;
  readonly #queues = new Map<string, (LiteQueue | undefined)[]>();
  /** Who waits until a queue is taken in. */
  #waiting: (() => void)[] = [];

  constructor(parts: LiteTopicsParts) {
    this.#parts = parts;
  }

  /** The queues of a topic; the same object until the topic is dropped. */
  queuesOf(topic: string): LiteQueues {
    return this.#listOf(topic);
  }

  /** The queues of a topic as they are now. */
  *ofTopic(topic: string): Iterable<LiteQueue> {
    for (const queue of this.#queues.get(topic) ?? []) if (queue !== undefined) yield queue;
  }

  /** Whether no LITE topic has had a message. */
  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  *all(): Iterable<LiteQueue> {
    for (const queues of this.#queues.values()) {
      for (const queue of queues) if (queue !== undefined) yield queue;
    }
  }

  /** Takes in what the queues of a topic hold already. */
  open({ name, readQueueNums, writeQueueNums }: TopicConfig): void {
    const count = Math.max(readQueueNums, writeQueueNums);
    for (let queueId = 0; queueId < count; queueId++) {
      const queue = this.#parts.store.queue(name, queueId);
      if (queue !== undefined && this.#listOf(name)[queueId] === undefined) this.follow(queue);
    }
  }

  /** Takes in what has come to a queue of a LITE topic. */
  follow(queue: DeliveryQueue): void {
    const queues = this.#listOf(queue.topic);
    const known = queues[queue.queueId];
    if (known !== undefined) return this.#catchUp(known);
    const start = this.#startOf(queue);
    const opened = new LiteQueue(queue, start, this.figures);
    queues[queue.queueId] = opened;
    this.#parts.opened();
    this.#catchUp(opened);
  }

  /** Resolves when all that the queues of a topic hold is taken in, or when the topic is dropped. */
  async loaded(topic: string): Promise<void> {
    while (this.#queues.get(topic)?.some((queue) => queue?.isLoading === true) === true) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  drop(topic: string): void {
    for (const queue of this.#queues.get(topic) ?? []) queue?.close();
    this.#queues.delete(topic);
    this.#lookAgain();
  }

  #lookAgain(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const look of waiting) look();
  }

  /**
   * Whether a message may come: throws LITE_TOPIC_QUOTA_EXCEEDED for a new lite topic when there are `topicsMax`, and
   * TOO_MANY_REQUESTS when too many messages wait.
   */
  admit(
    place: { readonly topic: string; readonly queueId: number },
    name: string,
    topicsMax: number,
  ): void {
    const { topics, offsets } = this.figures;
    if (offsets >= limits.liteOffsetsMax) {
      throw new MqError(
        "TOO_MANY_REQUESTS",
        `${offsets} messages are kept in lite topics, at most ${limits.liteOffsetsMax} may be; try again when some are consumed or have expired`,
      );
    }
    if (topics < topicsMax) return;
    const queue = this.#queues.get(place.topic)?.[place.queueId];
    if (queue?.has(messageGroupHash(name)) === true) return;
    throw new MqError(
      "LITE_TOPIC_QUOTA_EXCEEDED",
      `this broker has ${topics} lite topics, at most ${topicsMax} are allowed (maxLmqConsumeQueueNum)`,
    );
  }

  #listOf(topic: string): (LiteQueue | undefined)[] {
    let queues = this.#queues.get(topic);
    if (queues === undefined) {
      queues = [];
      this.#queues.set(topic, queues);
    }
    return queues;
  }

  #startOf(queue: DeliveryQueue): number {
    const needed = this.#parts.neededFrom(queue) ?? queue.minOffset;
    const newest = queue.endOffset - limits.liteOffsetsRebuilt;
    return Math.max(queue.minOffset, Math.min(needed, newest));
  }

  #catchUp(lite: LiteQueue): void {
    const { queue } = lite;
    while (!lite.isLoading && lite.end < queue.endOffset) {
      const count = Math.min(takenAtOnceMax, queue.endOffset - lite.end);
      const entries = queue.entries(lite.end, count);
      if (entries === undefined || entries.count === 0) {
        lite.isLoading = true;
        background(this.#load(lite));
        return;
      }
      lite.take(entries, (hash) => this.#parts.arrived(lite, hash));
    }
  }

  async #load(lite: LiteQueue): Promise<void> {
    const { queue } = lite;
    const isCurrent = (): boolean => this.#queues.get(queue.topic)?.[queue.queueId] === lite;
    try {
      while (isCurrent() && lite.end < queue.endOffset) {
        const from = Math.max(lite.end, queue.minOffset);
        const entries = await queue.load(from, limits.receiveScanCountMax);
        this.#parts.counters.coldReads++;
        if (entries.count === 0 && queue.minOffset <= from) break;
        if (isCurrent()) lite.take(entries, (hash) => this.#parts.arrived(lite, hash));
      }
      lite.isLoading = false;
    } catch (error) {
      this.#failed(lite, error);
      return;
    }
    if (isCurrent()) this.#parts.loaded(queue.topic);
    this.#lookAgain();
  }

  #failed(lite: LiteQueue, error: unknown): void {
    this.#parts.counters.coldReadFailures++;
    const { topic, queueId } = lite.queue;
    this.#parts.logger.error("a queue cannot be read; its lite topics wait and it is tried again", {
      topic,
      queueId,
      queueOffset: lite.end,
      error: error instanceof Error ? error.message : String(error),
    });
    const ring = (): void => {
      lite.isLoading = false;
      this.#catchUp(lite);
      this.#lookAgain();
    };
    const alarm: Alarm = { dueAtMs: 0, heapIndex: -1, ring };
    this.#parts.timeline.set(alarm, this.#parts.timeline.nowMs() + limits.readRetryDelayMs);
  }
}
