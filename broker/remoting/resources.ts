// Topics and groups that requests name: looked up, checked, and created when that is allowed.
import type { rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import {
  checkGroupName,
  checkTopicName,
  type GroupConfig,
  isDerivedTopic,
  type Metadata,
  permission,
  type TopicConfig,
} from "../metadata/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";

type Needs = Pick<RemotingContext, "config"> & Pick<LocalParts, "metadata">;

/** What is served here. Throws HA_NOT_AVAILABLE while nothing is. */
export function servedHere(context: Pick<RemotingContext, "local" | "standing">): LocalParts {
  const parts = context.local();
  if (parts !== undefined) return parts;
  const standing = context.standing();
  const why = standing.kind === "none" ? standing.reason : `it is a ${standing.kind} now`;
  throw new MqError("HA_NOT_AVAILABLE", `this broker serves no messages: ${why}`);
}

/** What is served here, by a master. Throws HA_NOT_AVAILABLE where none is, also at a broker that acts for its master. */
export function masterHere(context: Pick<RemotingContext, "local" | "standing">): LocalParts {
  const parts = servedHere(context);
  if (parts.canSend) return parts;
  throw new MqError("HA_NOT_AVAILABLE", "this broker acts for its master: that waits for a master");
}

/**
 * The topic `name`, created when there is none and autoCreateTopicEnable is on.
 * Throws ILLEGAL_TOPIC or TOPIC_NOT_FOUND.
 */
export async function topicFor(context: Needs, name: string): Promise<TopicConfig> {
  const topic = context.metadata.topic(name);
  if (topic !== undefined) return topic;
  checkTopicName(name);
  const { autoCreateTopicEnable, defaultTopicQueueNums } = context.config.values;
  if (!autoCreateTopicEnable || isDerivedTopic(name)) throw topicNotFound(name);
  return await context.metadata.ensureTopic({
    name,
    readQueueNums: defaultTopicQueueNums,
    writeQueueNums: defaultTopicQueueNums,
  });
}

/**
 * The group `name`, created when there is none and autoCreateSubscriptionGroup is on: it consumes in order when all
 * topics that it first subscribes to are FIFO.
 * Throws ILLEGAL_CONSUMER_GROUP or CONSUMER_GROUP_NOT_FOUND.
 */
export async function groupFor(
  context: Needs,
  name: string,
  topics: readonly string[],
): Promise<GroupConfig> {
  const group = context.metadata.group(name);
  if (group !== undefined) return group;
  checkGroupName(name);
  if (!context.config.values.autoCreateSubscriptionGroup) throw groupNotFound(name);
  const isFifo = (topic: string): boolean => context.metadata.topic(topic)?.messageType === "FIFO";
  const consumeMessageOrderly = topics.length > 0 && topics.every(isFifo);
  return await context.metadata.ensureGroup({ name, consumeMessageOrderly });
}

/** A queue that consumers may read. */
export interface ReadableQueue {
  readonly topic: TopicConfig;
  readonly queueId: number;
}

/**
 * The queue that a request names; its topic is made when there is none and that is allowed. Throws ILLEGAL_TOPIC,
 * TOPIC_NOT_FOUND, FORBIDDEN, BAD_REQUEST for an id that is not one of a readable queue, and UNSUPPORTED for a PRIORITY
 * topic: who reads queue by queue would not see the order, nor the queues of priorities that routes do not list.
 */
export async function readableQueue(
  context: Needs,
  queue: rocketmq.v2.IMessageQueue | null,
): Promise<ReadableQueue> {
  const topic = await topicFor(context, queue?.topic?.name ?? "");
  requireReadable(topic);
  if (topic.messageType === "PRIORITY") {
    throw new MqError(
      "UNSUPPORTED",
      `topic ${topic.name} is of type PRIORITY: its messages are received in the order of their priority, and not pulled by queue`,
    );
  }
  const queueId = queue?.id ?? 0;
  if (queueId >= 0 && queueId < topic.readQueueNums) return { topic, queueId };
  throw new MqError(
    "BAD_REQUEST",
    `topic ${topic.name} has no queue ${queueId} on broker ${context.config.values.brokerName}: ` +
      `its readable queues are 0 to ${topic.readQueueNums - 1}`,
  );
}

/** The topic `name`, which must be there. Throws ILLEGAL_TOPIC or TOPIC_NOT_FOUND. */
export function existingTopic(context: Needs, name: string): TopicConfig {
  const topic = context.metadata.topic(name);
  if (topic !== undefined) return topic;
  checkTopicName(name);
  throw topicNotFound(name);
}

/**
 * Checks the names that come with a receipt handle: ILLEGAL_TOPIC or ILLEGAL_CONSUMER_GROUP. Whether they exist does
 * not matter: of a deleted topic the handle is invalid, which is what ends a client's retries.
 */
export function checkHandleNames(
  metadata: Metadata | undefined,
  names: { readonly group: string; readonly topic: string },
): void {
  if (metadata?.group(names.group) === undefined) checkGroupName(names.group);
  if (metadata?.topic(names.topic) === undefined) checkTopicName(names.topic);
}

/** The group `name`, which must be there. Throws ILLEGAL_CONSUMER_GROUP or CONSUMER_GROUP_NOT_FOUND. */
export function existingGroup(context: Needs, name: string): GroupConfig {
  const group = context.metadata.group(name);
  if (group !== undefined) return group;
  checkGroupName(name);
  throw groupNotFound(name);
}

/** Throws FORBIDDEN unless `topic` may be written. */
export function requireWritable(topic: Pick<TopicConfig, "name" | "perm">): void {
  if ((topic.perm & permission.write) === 0) {
    throw new MqError("FORBIDDEN", `topic "${topic.name}" is not writable (perm ${topic.perm})`);
  }
}

/** Throws FORBIDDEN unless `topic` may be read. */
export function requireReadable(topic: Pick<TopicConfig, "name" | "perm">): void {
  if ((topic.perm & permission.read) === 0) {
    throw new MqError("FORBIDDEN", `topic "${topic.name}" is not readable (perm ${topic.perm})`);
  }
}

/** Throws FORBIDDEN unless `group` may consume. */
export function requireConsuming(group: Pick<GroupConfig, "name" | "consumeEnable">): void {
  if (group.consumeEnable) return;
  throw new MqError(
    "FORBIDDEN",
    `the consumer group ${group.name} may not consume (consumeEnable)`,
  );
}

// Clients and their tests look for RocketMQ's words.
function topicNotFound(name: string): MqError {
  return new MqError(
    "TOPIC_NOT_FOUND",
    `CODE: 17  DESC: No topic route info in name server for the topic: ${name}. ` +
      `Create it with mqadmin updateTopic -t ${name}, or allow autoCreateTopicEnable.`,
  );
}

function groupNotFound(name: string): MqError {
  return new MqError(
    "CONSUMER_GROUP_NOT_FOUND",
    `the consumer group ${name} does not exist. Create it with mqadmin updateSubGroup -g ${name}, ` +
      "or allow autoCreateSubscriptionGroup.",
  );
}
