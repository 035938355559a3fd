// What a client tells servers about itself, and what it takes over from their answer. Pure.
import { hostname, platform } from "node:os";
import { durationOfMs, msOfDuration, type rocketmq } from "@cometmq/proto";
import { type Endpoints, endpointsMessage } from "./endpoints.ts";
import type { FilterExpression } from "./filter-expression.ts";
import { defaultConsumePolicy, defaultSendPolicy, type RetryPolicy } from "./retry-policy.ts";
import { clientVersion } from "./version.ts";

/** Values of `apache.rocketmq.v2.ClientType`. */
export const clientType = {
  producer: 1,
  pushConsumer: 2,
  simpleConsumer: 3,
  pullConsumer: 4,
  litePushConsumer: 5,
  liteSimpleConsumer: 6,
} as const;
export type ClientKind = keyof typeof clientType;

const languageNodeJs = 8;

/** What servers decide for a client. */
export interface ServerSettings {
  readonly bodySizeMaxBytes: number;
  /** Whether a message's type is compared with what the queue takes before it is sent. */
  readonly validateMessageType: boolean;
  readonly sendPolicy: RetryPolicy;
  readonly consumePolicy: RetryPolicy;
  /** Whether the group is served in order. */
  readonly fifo: boolean;
  readonly receiveBatchCountMax: number;
  readonly longPollingMs: number;
  /** Lite topics that a consumer may subscribe to. */
  readonly liteSubscriptionQuota: number;
  /** Longest name of a lite topic. */
  readonly liteTopicSizeMaxBytes: number;
}

/** What counts until a server answers. */
export const defaultServerSettings: ServerSettings = {
  bodySizeMaxBytes: 4 * 1024 * 1024,
  validateMessageType: true,
  sendPolicy: defaultSendPolicy,
  consumePolicy: defaultConsumePolicy,
  fifo: false,
  receiveBatchCountMax: 32,
  longPollingMs: 30_000,
  liteSubscriptionQuota: 2_000,
  liteTopicSizeMaxBytes: 64,
};

/** What a client says about itself. */
export interface OwnSettings {
  readonly kind: ClientKind;
  readonly namespace: string;
  readonly accessPoint: readonly Endpoints[];
  readonly requestTimeoutMs: number;
  /** Topics a producer sends to. */
  readonly topics: readonly string[];
  readonly consumerGroup: string;
  readonly subscriptions: ReadonlyMap<string, FilterExpression>;
  readonly longPollingMs: number;
  readonly attemptsMax: number;
}

/** The Settings message of a client. */
export function settingsMessage(own: OwnSettings): rocketmq.v2.ISettings {
  const resource = (name: string): rocketmq.v2.IResource => ({
    resourceNamespace: own.namespace,
    name,
  });
  const common: rocketmq.v2.ISettings = {
    clientType: clientType[own.kind],
    accessPoint: endpointsMessage(own.accessPoint),
    requestTimeout: durationOfMs(own.requestTimeoutMs),
    userAgent: {
      language: languageNodeJs,
      version: clientVersion,
      platform: platform(),
      hostname: hostname(),
    },
  };
  if (own.kind === "producer") {
    const publishing = { topics: own.topics.map(resource), validateMessageType: true };
    const exponentialBackoff = {
      initial: durationOfMs(0),
      max: durationOfMs(0),
      multiplier: 1,
    };
    return {
      ...common,
      publishing,
      backoffPolicy: { maxAttempts: own.attemptsMax, exponentialBackoff },
    };
  }
  const subscription: rocketmq.v2.ISubscription = {
    group: resource(own.consumerGroup),
    longPollingTimeout: durationOfMs(own.longPollingMs),
    subscriptions: [...own.subscriptions].map(([topic, filter]) => ({
      topic: resource(topic),
      expression: { type: filter.filterType, expression: filter.expression },
    })),
  };
  return { ...common, subscription };
}

/** `known` with what `message` sets. Values no client can work with, such as a batch of 0, are left as they were. */
export function withServerSettings(
  known: ServerSettings,
  message: rocketmq.v2.ISettings,
): ServerSettings {
  const publishing = message.publishing ?? undefined;
  const subscription = message.subscription ?? undefined;
  const policy = policyOf(message.backoffPolicy ?? undefined);
  const polling = subscription?.longPollingTimeout ?? undefined;
  return {
    bodySizeMaxBytes: positive(publishing?.maxBodySize, known.bodySizeMaxBytes),
    validateMessageType:
      publishing === undefined
        ? known.validateMessageType
        : publishing.validateMessageType === true,
    sendPolicy: publishing === undefined ? known.sendPolicy : (policy ?? known.sendPolicy),
    consumePolicy:
      subscription === undefined ? known.consumePolicy : (policy ?? known.consumePolicy),
    fifo: subscription?.fifo ?? known.fifo,
    receiveBatchCountMax: positive(subscription?.receiveBatchSize, known.receiveBatchCountMax),
    longPollingMs: positive(polling && msOfDuration(polling), known.longPollingMs),
    liteSubscriptionQuota: positive(
      subscription?.liteSubscriptionQuota,
      known.liteSubscriptionQuota,
    ),
    liteTopicSizeMaxBytes: positive(subscription?.maxLiteTopicSize, known.liteTopicSizeMaxBytes),
  };
}

function positive(value: number | null | undefined, otherwise: number): number {
  return (value ?? 0) > 0 ? Number(value) : otherwise;
}

function policyOf(message: rocketmq.v2.IRetryPolicy | undefined): RetryPolicy | undefined {
  const maxAttempts = positive(message?.maxAttempts, 1);
  const next = message?.customizedBackoff?.next ?? [];
  if (next.length > 0) return { kind: "customized", maxAttempts, nextMs: next.map(msOfDuration) };
  const backoff = message?.exponentialBackoff ?? undefined;
  if (backoff === undefined) return undefined;
  return {
    kind: "exponential",
    maxAttempts,
    initialMs: msOfDuration(backoff.initial ?? {}),
    maxMs: msOfDuration(backoff.max ?? {}),
    multiplier: positive(backoff.multiplier, 1),
  };
}
