// One message as operators look for it: where it stands with each group, and how a group that is done with it gets it
// again.
import type { DeliveryCounters } from "./counters.ts";
import { nextDeliveryNumber } from "./hand-out.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import type { DeliveryMetadata } from "./ports.ts";
import type { ProgressWriter } from "./progress-writer.ts";
import type { QueuePlace } from "./queue-bounds.ts";
import { noRoom } from "./receive-refusals.ts";
import type { Subscription } from "./subscription.ts";
import type { SubscriptionTable } from "./subscription-table.ts";
import type { Timeline } from "./timeline.ts";

/** One message of a queue. */
export interface MessagePlace extends QueuePlace {
  readonly queueOffset: number;
}

/** Where a message stands with one group. Times are milliseconds since 1970. */
export type MessageStanding =
  /** Not handed out yet. */
  | { readonly kind: "waiting" }
  /** Not handed out yet: an earlier one of its message group is not done. */
  | { readonly kind: "waiting for its message group" }
  /** Handed out. */
  | {
      readonly kind: "invisible";
      readonly attempt: number;
      readonly visibleAtMs: number;
      /** Since the last start at most. */
      readonly deliveredAtMs: number;
      /** Empty when it was handed out before the last start. */
      readonly clientId: string;
      /** Extended for as long as the client lives. */
      readonly isRenewed: boolean;
    }
  /** Handed out in vain. */
  | { readonly kind: "visible again"; readonly attempt: number }
  /** On its way to the dead-letter topic. */
  | { readonly kind: "dying"; readonly attempt: number }
  /** The group does not get it any more. */
  | { readonly kind: "done" };

/** What became of a message that a group shall get again. */
export type GivenAgain =
  | "given"
  /** The group is not done with it: it has it before it. */
  | "not done"
  /** It is not in its queue any more. */
  | "gone"
  /** The group has no place in the queue yet. */
  | "no progress";

/** What tracking stands on. */
export interface TrackingParts {
  readonly store: { readonly epoch: number };
  readonly metadata: Pick<DeliveryMetadata, "group" | "topic">;
  readonly table: SubscriptionTable;
  readonly writer: ProgressWriter;
  readonly timeline: Timeline;
  readonly counters: DeliveryCounters;
  wake(subscription: Subscription): void;
}

/** Looks at single messages. */
export class Tracking {
  readonly #parts: TrackingParts;

  constructor(parts: TrackingParts) {
    this.#parts = parts;
  }

  /** Where the message stands with each group that has progress on its queue, by group. */
  standings(place: MessagePlace): ReadonlyMap<string, MessageStanding> {
    const found = new Map<string, MessageStanding>();
    const nowMs = this.#parts.timeline.nowMs();
    for (const subscription of this.#parts.table.ofTopic(place.topic)) {
      const lane = subscription.lanes[place.queueId];
      if (lane === undefined) continue;
      found.set(subscription.group, standingOf({ subscription, lane }, place.queueOffset, nowMs));
    }
    return found;
  }

  /**
   * Lets `group` get a message again that it is done with: at once, with no attempt counted, in the place it has, so that
   * in an ordered group the rest of its message group waits for it. Receipt handles of before are invalid. Counts when
   * `written` has resolved. Throws TOO_MANY_REQUESTS when the group has too many pending messages in the queue.
   */
  giveAgain(
    group: string,
    { topic, queueId, queueOffset }: MessagePlace,
    messageGroupHash: number,
  ): GivenAgain {
    const { table, timeline, store, metadata } = this.#parts;
    const subscription = table.find(group, topic);
    const [groupConfig, topicConfig] = [metadata.group(group), metadata.topic(topic)];
    // Otherwise known from the first receive after a start on.
    if (groupConfig !== undefined && topicConfig !== undefined) {
      subscription?.configure(groupConfig, topicConfig);
    }
    const lane = subscription?.lanes[queueId];
    if (subscription === undefined || lane === undefined || lane.starting) return "no progress";
    if (queueOffset < (lane.queue?.minOffset ?? 0)) return "gone";
    const nowMs = timeline.nowMs();
    if (standingOf({ subscription, lane }, queueOffset, nowMs).kind !== "done") return "not done";
    if (lane.isFull) throw noRoom(subscription, lane.bound);
    const entry = lane.addAgain(queueOffset);
    entry.deliveryNumber = nextDeliveryNumber(entry, store.epoch);
    entry.deliveredAtMs = nowMs;
    entry.dueAtMs = nowMs;
    putBack(subscription, entry, messageGroupHash);
    lane.touch(entry);
    this.#parts.counters.givenAgain++;
    this.#parts.wake(subscription);
    return "given";
  }

  /** Resolves when what was given again is in the log. Rejects with what the store says; it is written later then. */
  written(): Promise<void> {
    return this.#parts.writer.written();
  }
}

function putBack(subscription: Subscription, entry: PendingMessage, hash: number): void {
  const { lane } = entry;
  if (subscription.lite !== undefined) {
    subscription.lite.hold(entry, hash);
    entry.group?.changed();
    return;
  }
  const isKnown = subscription.orders[lane.queueId]?.knows(hash) === true;
  if (!subscription.isOrdered && !isKnown) {
    subscription.due.push(entry);
    return;
  }
  subscription.orderOf(lane).holdAgain(entry, hash);
  entry.group?.changed();
}

function standingOf(
  { subscription, lane }: { readonly subscription: Subscription; readonly lane: Lane },
  queueOffset: number,
  nowMs: number,
): MessageStanding {
  const entry = lane.pending.get(queueOffset);
  if (entry !== undefined) return pendingStanding(entry, nowMs);
  if (lane.starting) return { kind: "waiting" };
  if (subscription.lite !== undefined) {
    return { kind: subscription.lite.isDoneAnywhere(lane, queueOffset) ? "done" : "waiting" };
  }
  if (queueOffset >= lane.cursor) return { kind: "waiting" };
  const isPassed = subscription.orders[lane.queueId]?.isPassed(queueOffset) === true;
  return { kind: isPassed ? "waiting for its message group" : "done" };
}

function pendingStanding(entry: PendingMessage, nowMs: number): MessageStanding {
  const { attempt, state, dueAtMs, deliveredAtMs, clientId, hold } = entry;
  if (state === "dying" || state === "moving") return { kind: "dying", attempt };
  const isRenewed = hold !== undefined;
  // What is renewed is extended when the next receive looks at it: until then it is out all the same.
  if (dueAtMs <= nowMs && !isRenewed) return { kind: "visible again", attempt };
  return { kind: "invisible", attempt, visibleAtMs: dueAtMs, deliveredAtMs, clientId, isRenewed };
}
