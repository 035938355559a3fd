// All (group, topic) states of the broker: found by name, made when first asked for, dropped with their
// topic or group; and where a group starts on a queue it has no progress on.
import { background, type Logger, limits, type MqError } from "../../base/index.ts";
import {
  deliveredQueueNums,
  type GroupConfig,
  isLite,
  type PendingEntry,
  pendingFlags,
  type QueueProgress,
  type TopicConfig,
} from "../metadata/index.ts";
import { Lane, type PendingMessage } from "./lane.ts";
import { LiteSubscription } from "./lite/lite-subscription.ts";
import type { LiteTopics } from "./lite/lite-topics.ts";
import { Pending } from "./pending.ts";
import type { PendingBound } from "./pending-bound.ts";
import type { DeliveryMetadata, DeliveryQueue, DeliveryStore } from "./ports.ts";
import type { ProgressWriter } from "./progress-writer.ts";
import { type ColdReader, ReadAhead } from "./read-ahead.ts";
import { Subscription } from "./subscription.ts";
import type { Timeline } from "./timeline.ts";

/** What the table stands on. */
export interface TableParts {
  readonly store: DeliveryStore;
  readonly metadata: DeliveryMetadata;
  readonly timeline: Timeline;
  readonly writer: ProgressWriter;
  readonly cold: ColdReader;
  readonly logger: Logger;
  readonly lite: LiteTopics;
  readonly pendingBound: PendingBound;
  /** Serves the polls of a subscription. */
  serve(subscription: Subscription): void;
  /** Lets the polls of a subscription be served soon. */
  wake(subscription: Subscription): void;
}

/** Subscriptions by group and by topic. */
export class SubscriptionTable {
  readonly #parts: TableParts;
  readonly #byGroup = new Map<string, Map<string, Subscription>>();
  readonly #byTopic = new Map<string, Subscription[]>();

  constructor(parts: TableParts) {
    this.#parts = parts;
  }

  find(group: string, topic: string): Subscription | undefined {
    return this.#byGroup.get(group)?.get(topic);
  }

  /** Subscriptions of one group. */
  ofGroup(group: string): Iterable<Subscription> {
    return this.#byGroup.get(group)?.values() ?? [];
  }

  /** Subscriptions to one topic. */
  ofTopic(topic: string): readonly Subscription[] {
    return this.#byTopic.get(topic) ?? [];
  }

  /** The oldest offset of a queue of a LITE topic that a group needs; undefined when none has progress there. */
  neededFrom({ topic, queueId }: DeliveryQueue): number | undefined {
    let from: number | undefined;
    for (const { lite, lanes } of this.ofTopic(topic)) {
      const lane = lanes[queueId];
      if (lane === undefined || lite === undefined) continue;
      from = Math.min(from ?? Number.POSITIVE_INFINITY, lite.neededFrom(lane));
    }
    return from;
  }

  *all(): Iterable<Subscription> {
    for (const subscriptions of this.#byTopic.values()) yield* subscriptions;
  }

  groups(): Iterable<string> {
    return this.#byGroup.keys();
  }

  /** The subscription of a receive, complete with its lanes and as configured now. */
  attach(group: GroupConfig, topic: TopicConfig): Subscription {
    const subscription = this.find(group.name, topic.name) ?? this.#make(group.name, topic.name);
    const { readQueueNums } = subscription;
    subscription.configure(group, topic);
    if (!subscription.attached || subscription.readQueueNums !== readQueueNums) {
      this.resize(subscription, topic, group);
    }
    return subscription;
  }

  /** Makes lanes for all readable queues. */
  resize(subscription: Subscription, topic: TopicConfig, group: GroupConfig): void {
    const { hasPriorities } = subscription;
    // A priority that is used for the first time is a new queue to a group that was here before, too.
    const isKnown = subscription.attached || (hasPriorities && subscription.isRestored);
    subscription.attached = true;
    for (let queueId = 0; queueId < subscription.readQueueNums; queueId++) {
      const lane = subscription.lanes[queueId];
      if (lane === undefined) {
        if (queueId >= topic.readQueueNums && !this.#hasQueue(topic.name, queueId)) continue;
        // A queue that comes while the group consumes holds nothing the group may pass over.
        this.#start(this.#makeLane(subscription, queueId), subscription, {
          from: isKnown ? "first" : group.consumeFrom,
        });
      } else {
        lane.queue ??= this.#parts.store.queue(subscription.topic, queueId);
        subscription.makeReady(lane);
      }
    }
  }

  /** The lane of a queue in which something has arrived; undefined when the group does not read that queue. */
  laneFor(subscription: Subscription, queue: DeliveryQueue): Lane | undefined {
    let lane = subscription.lanes[queue.queueId];
    if (lane === undefined) {
      const topic = this.#parts.metadata.topic(queue.topic);
      const isRead = topic !== undefined && queue.queueId < deliveredQueueNums(topic);
      if (!subscription.attached || !isRead) return undefined;
      subscription.readQueueNums = deliveredQueueNums(topic);
      lane = this.#makeLane(subscription, queue.queueId);
      lane.startAt(this.#parts.metadata.firstOffset(queue.topic, queue.queueId));
    }
    lane.queue = queue;
    return lane;
  }

  /** The lane of a group on one queue; a new one has no place yet: the caller says where it starts. */
  laneAt(place: { readonly group: string; readonly topic: string; readonly queueId: number }): {
    readonly subscription: Subscription;
    readonly lane: Lane;
    readonly isNew: boolean;
  } {
    const { group, topic, queueId } = place;
    const subscription = this.find(group, topic) ?? this.#make(group, topic);
    const known = subscription.lanes[queueId];
    const lane = known ?? this.#makeLane(subscription, queueId);
    lane.queue ??= this.#parts.store.queue(topic, queueId);
    return { subscription, lane, isNew: known === undefined || known.starting };
  }

  /** Takes over what an earlier run has stored of one queue. */
  restore(progress: QueueProgress): void {
    const { group, topic, queueId } = progress;
    const subscription = this.find(group, topic) ?? this.#make(group, topic);
    subscription.isRestored = true;
    const lane = this.#makeLane(subscription, queueId);
    lane.queue = this.#parts.store.queue(topic, queueId);
    lane.restoreAt(progress.cursor);
    const nowMs = this.#parts.timeline.nowMs();
    for (const stored of progress.pending) {
      if ((stored.flags & pendingFlags.anchor) !== 0) {
        restoreAnchor(subscription, lane, stored);
        continue;
      }
      const entry = lane.add(stored.offset);
      const isRenewed = (stored.flags & pendingFlags.renewing) !== 0;
      const earliestMs = isRenewed ? nowMs + limits.renewGraceMs : 0;
      // A clock that was ahead in the earlier run must not hide the message for longer than is allowed.
      const visibleAtMs = Math.min(stored.visibleAtMs, nowMs + limits.invisibleMaxMs);
      entry.dueAtMs = Math.max(visibleAtMs, earliestMs);
      entry.attempt = stored.attempt;
      entry.deliveryNumber = stored.deliveryNumber;
      entry.deliveredAtMs = nowMs;
      entry.stored = true;
      if (stored.order === undefined) subscription.due.push(entry);
      else if (subscription.lite !== undefined) subscription.lite.restore(entry, stored.order);
      else subscription.orderOf(lane).restore(entry, stored.order);
    }
    subscription.orders[queueId]?.restored();
  }

  /** Forgets a subscription with all it holds; its polls end with `error`. */
  drop(subscription: Subscription, error: MqError): void {
    subscription.dropped = true;
    this.#parts.timeline.cancel(subscription.alarm);
    for (const lane of subscription.lanes) {
      if (lane === undefined) continue;
      this.#parts.cold.clear(lane.ahead);
      lane.drop();
    }
    const topics = this.#byGroup.get(subscription.group);
    topics?.delete(subscription.topic);
    if (topics?.size === 0) this.#byGroup.delete(subscription.group);
    const rest = this.ofTopic(subscription.topic).filter((other) => other !== subscription);
    if (rest.length > 0) this.#byTopic.set(subscription.topic, rest);
    else this.#byTopic.delete(subscription.topic);
    for (const poll of subscription.polls.all()) poll.fail(error);
    for (const { id, polls } of subscription.lite?.clients.values() ?? []) {
      for (const poll of polls.all()) poll.fail(error);
      subscription.lite?.leave(id);
    }
  }

  #make(group: string, topic: string): Subscription {
    const subscription = new Subscription({ group, topic }, (woken) => this.#parts.serve(woken));
    const config = this.#parts.metadata.topic(topic);
    if (config !== undefined && isLite(config)) {
      const { lite } = this.#parts;
      const queues = lite.queuesOf(topic);
      subscription.lite = new LiteSubscription(subscription.lanes, queues, lite.figures);
    }
    const topics = this.#byGroup.get(group);
    if (topics === undefined) this.#byGroup.set(group, new Map([[topic, subscription]]));
    else topics.set(topic, subscription);
    const others = this.#byTopic.get(topic);
    if (others === undefined) this.#byTopic.set(topic, [subscription]);
    else others.push(subscription);
    return subscription;
  }

  #hasQueue(topic: string, queueId: number): boolean {
    return this.#parts.store.queue(topic, queueId) !== undefined;
  }

  #makeLane(subscription: Subscription, queueId: number): Lane {
    const { group, topic } = subscription;
    const { writer, pendingBound } = this.#parts;
    const lane = new Lane({ group, topic, queueId }, writer, new ReadAhead(), pendingBound);
    subscription.lanes[queueId] = lane;
    return lane;
  }

  /** Finds where a lane without progress starts. Where it started is stored, so that a restart asks no second time. */
  #start(
    lane: Lane,
    subscription: Subscription,
    rule: { readonly from: GroupConfig["consumeFrom"] },
  ): void {
    const queue = this.#parts.store.queue(lane.topic, lane.queueId);
    const firstOffset = this.#parts.metadata.firstOffset(lane.topic, lane.queueId);
    if (queue === undefined) return lane.startAt(firstOffset);
    lane.queue = queue;
    if (typeof rule.from === "number") {
      background(this.#startByTime(lane, subscription, queue.offsetByTime(rule.from)));
      return;
    }
    lane.startAt(startOffset(queue, rule.from, firstOffset));
    subscription.makeReady(lane);
  }

  async #startByTime(
    lane: Lane,
    subscription: Subscription,
    offset: Promise<number>,
  ): Promise<void> {
    lane.starting = true;
    subscription.startingCount++;
    try {
      const found = await offset;
      // It may have been told meanwhile where to start.
      if (lane.starting) lane.startAt(found);
      lane.starting = false;
    } catch (error) {
      this.#parts.logger.error("where a group starts cannot be looked up; tried again", {
        group: lane.group,
        topic: lane.topic,
        queueId: lane.queueId,
        error: error instanceof Error ? error.message : String(error),
      });
      if (lane.starting) {
        // The next receive of the group asks again.
        subscription.lanes[lane.queueId] = undefined;
        subscription.readQueueNums = 0;
        subscription.attached = false;
        lane.dropped = true;
      }
    } finally {
      subscription.startingCount--;
      subscription.waitsFor = undefined;
    }
    if (lane.starting || lane.dropped) return;
    subscription.lite?.restart(lane);
    subscription.makeReady(lane);
    this.#parts.wake(subscription);
  }
}

function restoreAnchor(
  subscription: Subscription,
  lane: Lane,
  { offset, deliveryNumber, order }: PendingEntry,
): void {
  const entry: PendingMessage = new Pending<Lane>(lane, offset);
  entry.state = "anchor";
  entry.stored = true;
  entry.deliveryNumber = deliveryNumber;
  if (order === undefined) return;
  if (subscription.lite !== undefined) subscription.lite.restore(entry, order);
  else subscription.orderOf(lane).restore(entry, order);
}

/** RocketMQ's rule when nothing is said: from the oldest message while nothing has expired, else from the end. */
function startOffset(
  queue: DeliveryQueue,
  from: "default" | "first" | "last",
  firstOffset: number,
): number {
  if (from === "first") return queue.minOffset;
  if (from === "last") return queue.endOffset;
  return queue.minOffset <= firstOffset ? queue.minOffset : queue.endOffset;
}
