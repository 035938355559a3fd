// What a ReceiveMessage asks for, checked and completed from what the server knows of the client.
import { msOfDuration, type rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import type { Client } from "../clients/index.ts";
import { passedMs } from "../cluster/index.ts";
import type { Filter } from "../delivery/index.ts";
import type { GroupConfig, TopicConfig } from "../metadata/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import type { FilterCache } from "./filter-cache.ts";
import { receiverType } from "./lite-resources.ts";
import { pollingTimeMs } from "./polling-time.ts";
import { groupFor, requireConsuming, requireReadable, topicFor } from "./resources.ts";

/** A receive that is in order. */
export interface ReceiveWish {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
  /** A hint; -1 is any. */
  readonly queueId: number;
  readonly countMax: number;
  readonly invisibleMs: number;
  readonly autoRenew: boolean;
  readonly filter: Filter;
  readonly pollingMs: number;
  readonly attemptId?: string;
}

/**
 * Reads the wish and notes the client's subscription. Throws ILLEGAL_TOPIC, TOPIC_NOT_FOUND, ILLEGAL_CONSUMER_GROUP,
 * CONSUMER_GROUP_NOT_FOUND, FORBIDDEN, ILLEGAL_FILTER_EXPRESSION, ILLEGAL_INVISIBLE_TIME, ILLEGAL_POLLING_TIME.
 */
export async function readReceive(
  context: Pick<RemotingContext, "config" | "clients"> & Pick<LocalParts, "metadata">,
  request: rocketmq.v2.ReceiveMessageRequest,
  from: { readonly client: Client; readonly call: ServerCall; readonly filters: FilterCache },
): Promise<ReceiveWish> {
  const pollingMs = pollingTimeMs({
    requestedMs: optionalMs(request.longPollingTimeout),
    settingsMs: from.client.pollingMs ?? passedMs(from.call, "pollingMs"),
    remainingMs: from.call.remainingMs(),
    requestTimeoutMs: from.client.requestTimeoutMs ?? passedMs(from.call, "requestTimeoutMs"),
    clientVersion: from.client.identity.version,
  });
  const invisibleMs = invisibleTimeMs(request);
  const expression = request.filterExpression?.expression ?? "*";
  const filterType = request.filterExpression?.type ?? 0;
  const filter = from.filters.get(filterType, expression);
  const topic = await topicFor(context, request.messageQueue?.topic?.name ?? "");
  const group = await groupFor(context, request.group?.name ?? "", [topic.name]);
  requireReadable(topic);
  requireConsuming(group);
  const type = receiverType(topic, from.client.type);
  const subscription = { topic: topic.name, filterType, expression };
  context.clients.consuming(from.client, group.name, subscription, type);
  return {
    group,
    topic,
    queueId: request.messageQueue?.id ?? -1,
    countMax: Math.min(Math.max(request.batchSize, 1), limits.receiveBatchCountMax),
    invisibleMs,
    autoRenew: request.autoRenew,
    filter,
    pollingMs,
    ...(request.attemptId ? { attemptId: request.attemptId } : {}),
  };
}

function invisibleTimeMs(request: rocketmq.v2.ReceiveMessageRequest): number {
  if (request.autoRenew) return limits.invisibleRenewedMs;
  const invisibleMs = optionalMs(request.invisibleDuration) ?? 0;
  const { invisibleMinMs, invisibleMaxMs } = limits;
  if (invisibleMs >= invisibleMinMs && invisibleMs <= invisibleMaxMs) return invisibleMs;
  // Clients show these words; some tests look for them.
  const fault = invisibleMs < invisibleMinMs ? "small" : "large";
  throw new MqError(
    "ILLEGAL_INVISIBLE_TIME",
    `the invisibleTime is too ${fault}: ${invisibleMs} ms; ${invisibleMinMs} to ${invisibleMaxMs} ms are allowed`,
  );
}

function optionalMs(
  duration: Parameters<typeof msOfDuration>[0] | null | undefined,
): number | undefined {
  return duration ? msOfDuration(duration) : undefined;
}
