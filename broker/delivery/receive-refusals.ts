// What a receive ends with when its topic or group is gone, or its group has too much in hand.
import { MqError } from "../../base/index.ts";
import type { PendingBound } from "./pending-bound.ts";
import type { Subscription } from "./subscription.ts";

/** Of a topic. */
export function topicGone(topic: string): MqError {
  return new MqError("TOPIC_NOT_FOUND", `topic ${JSON.stringify(topic)} does not exist`);
}

/** Of a group that may have no more pending messages: of a queue, or since all groups together have too many. */
export function noRoom(subscription: Subscription, bound: PendingBound): MqError {
  const { perQueue, total } = bound.maxima;
  return bound.isFullFor(subscription.group)
    ? tooManyInAll(subscription, total)
    : tooManyPending(subscription, perQueue);
}

function tooManyPending({ group, topic }: Subscription, max: number): MqError {
  return new MqError(
    "TOO_MANY_REQUESTS",
    `consumer group ${JSON.stringify(group)} has ${max} messages of one queue of topic ${JSON.stringify(topic)} that are ` +
      "not acknowledged, and gets no more of it (popInflightMessageThreshold): acknowledge, or wait for the invisible time",
  );
}

function tooManyInAll({ group }: Subscription, max: number): MqError {
  return new MqError(
    "TOO_MANY_REQUESTS",
    `the broker keeps ${max} messages that are not acknowledged, of all groups, and consumer group ${JSON.stringify(group)} gets ` +
      "no new ones (popInflightTotalThreshold): acknowledge, or wait for the invisible time",
  );
}

/** Of a consumer group. */
export function groupGone(group: string): MqError {
  return new MqError(
    "CONSUMER_GROUP_NOT_FOUND",
    `consumer group ${JSON.stringify(group)} does not exist`,
  );
}
