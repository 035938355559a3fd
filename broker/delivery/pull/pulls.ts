// Reading a queue by offset: the client says where, and keeps its place itself. Nothing is handed out, so nothing is
// pending; at the end of the queue the pull is held until a message comes.
import { setImmediate } from "node:timers/promises";
import { MqError } from "../../../base/index.ts";
import type { Filter } from "../filter.ts";
import { PollQueue, type PollTable, type Waiting } from "../polls.ts";
import type { DeliveryMetadata, DeliveryQueue, DeliveryStore } from "../ports.ts";
import type { BoundsOf, QueueBounds, QueuePlace } from "../queue-bounds.ts";
import type { Timeline } from "../timeline.ts";
import { type PulledMessage, PullReader } from "./pull-reader.ts";

/** One PullMessage, validated by the caller: topic, group and queue exist. */
export interface PullRequest extends Waiting, QueuePlace {
  /** The first offset wanted. */
  readonly offset: number;
  /** `[1, limits.pullBatchCountMax]`. */
  readonly countMax: number;
  readonly filter: Filter;
  /** How long to wait when there is nothing, milliseconds; 0 answers at once. */
  readonly pollingMs: number;
  /** Asked before anything is given: a client that is closing gets nothing. */
  isClientGone(): boolean;
}

/** What a pull gets. `nextOffset` is where to go on. */
export type Pulled =
  | {
      readonly kind: "found";
      readonly messages: readonly PulledMessage[];
      readonly nextOffset: number;
    }
  /** Nothing came in time; what the filter does not want has been passed over. */
  | { readonly kind: "nothing"; readonly nextOffset: number }
  /** The queue does not have that offset: `nextOffset` is the nearest one it has. */
  | ({ readonly kind: "outside"; readonly nextOffset: number } & QueueBounds);

/** What pulls stand on. */
export interface PullsParts {
  readonly store: DeliveryStore;
  readonly metadata: DeliveryMetadata;
  readonly timeline: Timeline;
  readonly polls: PollTable;
  readonly boundsOf: BoundsOf;
}

/** Ends a held pull so that it looks again. */
const lookAgain = ["lookAgain"] as const;

type Held = PollQueue<PullRequest, (typeof lookAgain)[number]>;

/** Pulls of all groups. */
export class Pulls {
  readonly #parts: PullsParts;
  readonly #reader: PullReader;
  /** Pulls that wait at the end of a queue, by topic and queue id. */
  readonly #held = new Map<string, Map<number, Held>>();
  #isClosed = false;

  constructor(parts: PullsParts) {
    this.#parts = parts;
    this.#reader = new PullReader(parts.store);
  }

  /** Reads, and waits if there is nothing. Throws TOPIC_NOT_FOUND and CONSUMER_GROUP_NOT_FOUND when they are deleted meanwhile, TOO_MANY_REQUESTS, and what the store throws. */
  async pull(request: PullRequest): Promise<Pulled> {
    const { store, boundsOf, timeline } = this.#parts;
    const { topic, queueId, countMax, filter } = request;
    const endMs = timeline.nowMs() + request.pollingMs;
    for (let from = request.offset; ; ) {
      this.#checkNames(request);
      const bounds = boundsOf(request);
      const { minOffset, endOffset } = bounds;
      if (from < minOffset || from > endOffset) {
        const nextOffset = Math.min(Math.max(from, minOffset), endOffset);
        return { kind: "outside", nextOffset, minOffset, endOffset };
      }
      const queue = store.queue(topic, queueId);
      if (queue !== undefined && from < endOffset) {
        const { messages, nextOffset } = await this.#reader.read({ queue, from, countMax, filter });
        if (request.isClientGone()) return { kind: "nothing", nextOffset: from };
        if (messages.length > 0) return { kind: "found", messages, nextOffset };
        from = nextOffset;
        if (this.#isOver(request, endMs)) return { kind: "nothing", nextOffset };
        // A filter that passes over much must not keep others from their turn.
        if (nextOffset < boundsOf(request).endOffset) await setImmediate();
      } else if (this.#isOver(request, endMs) || !(await this.#arrival(request, endMs))) {
        return { kind: "nothing", nextOffset: from };
      }
    }
  }

  /** A message has come. */
  arrived(queue: DeliveryQueue): void {
    if (this.#held.size === 0) return;
    const held = this.#held.get(queue.topic)?.get(queue.queueId);
    if (held !== undefined) wake(held);
  }

  /** A topic or group is gone: whoever waits looks again. */
  namesChanged(): void {
    for (const queues of this.#held.values()) for (const held of queues.values()) wake(held);
  }

  /** Pulls under way end with what they have. The held ones are ended by the poll table. */
  close(): void {
    this.#isClosed = true;
  }

  #isOver(request: PullRequest, endMs: number): boolean {
    const isLate = this.#isClosed || this.#parts.timeline.nowMs() >= endMs;
    return isLate || request.signal.aborted || request.isClientGone();
  }

  /** True when something has come. */
  async #arrival(request: PullRequest, endMs: number): Promise<boolean> {
    const { polls, timeline } = this.#parts;
    const { topic, queueId } = request;
    const queues = this.#held.get(topic) ?? new Map<number, Held>();
    const held: Held = queues.get(queueId) ?? new PollQueue();
    this.#held.set(topic, queues);
    queues.set(queueId, held);
    try {
      const news = await polls.hold(held, request, endMs - timeline.nowMs());
      return news.length > 0;
    } finally {
      if (held.count === 0 && queues.get(queueId) === held) queues.delete(queueId);
      if (queues.size === 0 && this.#held.get(topic) === queues) this.#held.delete(topic);
    }
  }

  #checkNames({ topic, group }: PullRequest): void {
    const { metadata } = this.#parts;
    if (metadata.topic(topic) === undefined) {
      throw new MqError("TOPIC_NOT_FOUND", `topic ${JSON.stringify(topic)} does not exist`);
    }
    if (metadata.group(group.name) !== undefined) return;
    const name = JSON.stringify(group.name);
    throw new MqError("CONSUMER_GROUP_NOT_FOUND", `consumer group ${name} does not exist`);
  }
}

function wake(held: Held): void {
  for (const poll of held.all()) poll.end(lookAgain);
}
