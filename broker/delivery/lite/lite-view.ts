// What operators see of lite topics: who subscribes to what, and how far groups are. Changes nothing.
import { setImmediate } from "node:timers/promises";
import { limits } from "../../../base/index.ts";
import type { Lane } from "../lane.ts";
import { messageGroupHash } from "../order/message-group-hash.ts";
import type { SubscriptionTable } from "../subscription-table.ts";
import type { LiteQueue } from "./lite-queue.ts";
import type { LiteStanding, LiteSubscription } from "./lite-subscription.ts";
import type { LiteTopics } from "./lite-topics.ts";

/** What it stands on. */
export interface LiteViewParts {
  readonly topics: LiteTopics;
  /** The table of all subscriptions, which is made later. */
  table(): SubscriptionTable;
}

/** The messages of a lite topic in one queue. Offsets are those of the queue. */
export interface LitePlace {
  readonly queueId: number;
  readonly minOffset: number;
  /** One past the newest. */
  readonly endOffset: number;
  readonly count: number;
}

/** Who subscribes to a lite topic. */
export interface LiteSubscriber {
  readonly group: string;
  readonly clientId: string;
}

/** What a client subscribes to. */
export interface LiteClientView {
  /** Sorted. */
  readonly names: readonly string[];
  /** Messages of them that the group has not acknowledged. */
  readonly lag: number;
  /** Its receives that wait. */
  readonly pollCount: number;
}

/** How far a group is in all lite topics of a LITE topic. */
export interface LiteLag {
  /** Messages that are not acknowledged, and those of them that were handed out. */
  readonly lag: number;
  readonly pending: number;
  /** Lite topics with most messages that are not acknowledged, most first. */
  readonly byLag: readonly LiteStanding[];
  /** Of each queue, those with the oldest message that is not acknowledged, oldest first. */
  readonly byAge: readonly (readonly LiteStanding[])[];
}

/** Lite topics for operators. */
export class LiteView {
  readonly #parts: LiteViewParts;

  constructor(parts: LiteViewParts) {
    this.#parts = parts;
  }

  /** Clients that subscribe to lite topics, and lite topics whose progress is kept by itself, both counted once a group. */
  counts(): { readonly clients: number; readonly progress: number } {
    let clients = 0;
    let progress = 0;
    for (const { lite } of this.#parts.table().all()) {
      for (const client of lite?.clients.values() ?? []) if (client.topics.size > 0) clients++;
      progress += lite?.progressCount ?? 0;
    }
    return { clients, progress };
  }

  /** Lite topics of a LITE topic that have messages, and messages whose place is kept. */
  countsOf(topic: string): { readonly topics: number; readonly messages: number } {
    let topics = 0;
    let messages = 0;
    for (const queue of this.#queuesOf(topic)) {
      topics += queue.topicCount;
      for (const [, offsets] of queue.topics()) messages += offsets.count;
    }
    return { topics, messages };
  }

  /** Where the messages of a lite topic are, by queue id. */
  placesOf(topic: string, name: string): readonly LitePlace[] {
    const hash = messageGroupHash(name);
    return this.#queuesOf(topic).flatMap((queue) => {
      const offsets = queue.offsets(hash);
      if (offsets?.first === undefined || offsets.last === undefined) return [];
      const [minOffset, endOffset] = [offsets.first, offsets.last + 1];
      return [{ queueId: queue.queue.queueId, minOffset, endOffset, count: offsets.count }];
    });
  }

  /** Who subscribes to a lite topic: how many, and `countMax` of them. */
  subscribersOf(
    topic: string,
    name: string,
    countMax: number,
  ): { readonly count: number; readonly some: readonly LiteSubscriber[] } {
    const hash = messageGroupHash(name);
    const some: LiteSubscriber[] = [];
    let count = 0;
    for (const { group, lite } of this.#parts.table().ofTopic(topic)) {
      for (const { id } of lite?.subscribers(hash) ?? []) {
        count++;
        if (some.length < countMax) some.push({ group, clientId: id });
      }
    }
    return { count, some };
  }

  /** What a client subscribes to; undefined when it has said nothing of that. */
  clientOf(topic: string, group: string, clientId: string): LiteClientView | undefined {
    const subscription = this.#parts.table().find(group, topic);
    const client = subscription?.lite?.clients.get(clientId);
    if (client === undefined) return undefined;
    let lag = 0;
    for (const queue of this.#queuesOf(topic)) {
      const lane = subscription?.lanes[queue.queue.queueId];
      if (lane === undefined) continue;
      for (const hash of client.topics.keys()) {
        lag += subscription?.lite?.standing(lane, queue, hash)?.lag ?? 0;
      }
    }
    const names = [...client.topics.values()].sort();
    return { names, lag, pollCount: client.polls.count };
  }

  /** How far a group is in one lite topic, by queue id. */
  standingsOf(topic: string, group: string, name: string): readonly LiteStanding[] {
    const subscription = this.#parts.table().find(group, topic);
    const hash = messageGroupHash(name);
    return this.#queuesOf(topic).flatMap((queue) => {
      const lane = subscription?.lanes[queue.queue.queueId];
      return (lane && subscription?.lite?.standing(lane, queue, hash)) ?? [];
    });
  }

  /**
   * Where a group is farthest behind, `countMax` lite topics in each list. Looks at all of the topic's, some at a time: what
   * comes meanwhile may be counted or not.
   */
  async lagOf(topic: string, group: string, countMax: number): Promise<LiteLag> {
    const subscription = this.#parts.table().find(group, topic);
    const byLag = new BestList(countMax, (a, b) => b.lag - a.lag);
    const byAge: (readonly LiteStanding[])[] = [];
    let [lag, pending] = [0, 0];
    for (const queue of this.#queuesOf(topic)) {
      const lane = subscription?.lanes[queue.queue.queueId];
      if (lane === undefined || subscription?.lite === undefined) continue;
      const oldest = new BestList(countMax, (a, b) => a.oldestOffset - b.oldestOffset);
      for await (const standing of behindIn(subscription.lite, lane, queue)) {
        lag += standing.lag - standing.pending;
        byLag.offer(standing);
        oldest.offer(standing);
      }
      pending += lane.pending.size;
      byAge.push(oldest.items);
    }
    return { lag: lag + pending, pending, byLag: byLag.items, byAge };
  }

  #queuesOf(topic: string): LiteQueue[] {
    return [...this.#parts.topics.ofTopic(topic)];
  }
}

/** Lite topics of which something is not acknowledged. */
async function* behindIn(
  lite: LiteSubscription,
  lane: Lane,
  queue: LiteQueue,
): AsyncGenerator<LiteStanding> {
  let count = 0;
  // What comes and goes meanwhile changes the order of the queue's own list.
  const hashes = Array.from(queue.topics(), ([hash]) => hash);
  for (const hash of hashes) {
    if (++count % limits.liteTopicsPerTurn === 0) await setImmediate();
    const standing = lite.standing(lane, queue, hash);
    if (standing !== undefined && standing.lag > 0) yield standing;
  }
}

/** The first `countMax` in an order. */
class BestList {
  readonly items: LiteStanding[] = [];
  readonly #countMax: number;
  readonly #compare: (a: LiteStanding, b: LiteStanding) => number;

  constructor(countMax: number, compare: (a: LiteStanding, b: LiteStanding) => number) {
    this.#countMax = countMax;
    this.#compare = compare;
  }

  offer(item: LiteStanding): void {
    const last = this.items.at(-1);
    const isFull = this.items.length >= this.#countMax;
    if (isFull && last !== undefined && this.#compare(last, item) <= 0) return;
    const index = this.items.findIndex((other) => this.#compare(item, other) < 0);
    this.items.splice(index < 0 ? this.items.length : index, 0, item);
    if (isFull) this.items.pop();
  }
}
