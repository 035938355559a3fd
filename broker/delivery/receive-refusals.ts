// What a receive ends with when its topic or group is gone, or its group has too much in hand.
import { MqError } from "../../base/index.ts";
import type { Subscription } from "./subscription.ts";

/** Of a topic. */
export function topicGone(topic: string): MqError {
  return new MqError("TOPIC_NOT_FOUND", `topic ${JSON.stringify(topic)} does not exist`);
}

/** Of a group that has as many pending messages of a queue as it may have. */
export function tooManyPending({ group, topic }: Subscription, max: number): MqError {
  return new MqError(
    "TOO_MANY_REQUESTS",
    `consumer group ${JSON.stringify(group)} has ${max} messages of one queue of topic ${JSON.stringify(topic)} that are ` +
      "not acknowledged, and gets no more of it (popInflightMessageThreshold): acknowledge, or wait for the invisible time",
  );
}

/** Of a group, when all groups together have as many pending messages as the broker keeps. */
export function tooManyInAll({ group }: Subscription, max: number): MqError {
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
