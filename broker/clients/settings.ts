// Settings of a client: what it sent, checked, and what it gets back. Pure.
import { durationOfMs, type google, msOfDuration, type rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import type { GroupConfig } from "../metadata/index.ts";
import type { RetryDialect } from "./identity.ts";
import { consumerRetryPolicy, producerRetryPolicy } from "./retry-policy.ts";

type SettingsFields = rocketmq.v2.ISettings;

/** Values of `apache.rocketmq.v2.ClientType` that this server serves. */
export const clientTypes = {
  producer: 1,
  pushConsumer: 2,
  simpleConsumer: 3,
  pullConsumer: 4,
} as const;

/** For messages: the types by name and number. */
export const knownClientTypes = "producer 1, push consumer 2, simple consumer 3, pull consumer 4";

const consumerTypes: readonly number[] = [
  clientTypes.pushConsumer,
  clientTypes.simpleConsumer,
  clientTypes.pullConsumer,
];

/** What a consumer wants of one topic, as it wrote it. */
export interface Subscription {
  readonly topic: string;
  /** `apache.rocketmq.v2.FilterType`: 1 tag, 2 SQL. */
  readonly filterType: number;
  readonly expression: string;
}

/** What the server needs to know of a client's settings. */
export type ClientRole =
  | { readonly kind: "producer"; readonly type: number; readonly topics: readonly string[] }
  | {
      readonly kind: "consumer";
      readonly type: number;
      readonly group: string;
      readonly subscriptions: readonly Subscription[];
      /** The wait it wants when a receive names none, milliseconds. */
      readonly pollingMs: number | undefined;
      readonly requestTimeoutMs: number | undefined;
    };

/** Values of the server that go into settings. */
export interface ServerSettings {
  /** Largest body a producer may send, bytes. */
  readonly bodySizeMax: number;
  readonly dialect: RetryDialect;
  /** Messages that a consumer of an ordered group gets at once. */
  readonly orderedBatchSize: number;
}

/**
 * The role in `settings`. Throws BAD_REQUEST when they are of neither kind, UNRECOGNIZED_CLIENT_TYPE when the type is
 * unknown or of the other kind, ILLEGAL_CONSUMER_GROUP without a group, INVALID_CLIENT_PROPERTIES. Names and filters
 * are taken as they came.
 */
export function readSettings(settings: SettingsFields): ClientRole {
  const type = settings.clientType ?? 0;
  checkClientProperties(settings.clientProperties ?? {});
  if (settings.publishing) {
    if (type !== clientTypes.producer) throw unrecognized(type, "publishing");
    const topics = (settings.publishing.topics ?? []).map((topic) => topic.name ?? "");
    checkTopicCount(topics.length);
    return { kind: "producer", type, topics };
  }
  if (settings.subscription) {
    const { subscription } = settings;
    if (!consumerTypes.includes(type)) throw unrecognized(type, "subscription");
    const group = subscription.group?.name ?? "";
    if (group === "") throw new MqError("ILLEGAL_CONSUMER_GROUP", "the settings name no group");
    const subscriptions = (subscription.subscriptions ?? []).map(readSubscription);
    checkTopicCount(subscriptions.length);
    return {
      kind: "consumer",
      type,
      group,
      subscriptions,
      pollingMs: optionalMs(subscription.longPollingTimeout),
      requestTimeoutMs: optionalMs(settings.requestTimeout),
    };
  }
  throw new MqError("BAD_REQUEST", "the settings carry neither publishing nor subscription");
}

/** Go would try to send its figures to whatever address it is given, or none. */
const metricOff = { on: false };

/** The settings to answer a producer with: its own, exactly as they came, plus what the server decides. */
export function producerSettings(
  sent: SettingsFields,
  server: Pick<ServerSettings, "bodySizeMax">,
): SettingsFields {
  return {
    ...sent,
    metric: metricOff,
    backoffPolicy: producerRetryPolicy,
    publishing: {
      ...sent.publishing,
      maxBodySize: server.bodySizeMax,
      validateMessageType: true,
    },
  };
}

/** The settings to answer a consumer of `group` with. */
export function consumerSettings(
  sent: SettingsFields,
  group: GroupConfig,
  server: Pick<ServerSettings, "dialect" | "orderedBatchSize">,
): SettingsFields {
  return {
    ...sent,
    metric: metricOff,
    backoffPolicy: consumerRetryPolicy(group, server.dialect),
    subscription: {
      ...sent.subscription,
      fifo: group.consumeMessageOrderly,
      receiveBatchSize: group.consumeMessageOrderly
        ? server.orderedBatchSize
        : limits.receiveBatchCountMax,
      longPollingTimeout: durationOfMs(limits.pollingMaxMs),
    },
  };
}

function optionalMs(duration: google.protobuf.IDuration | null | undefined): number | undefined {
  return duration ? msOfDuration(duration) : undefined;
}

function readSubscription(entry: rocketmq.v2.ISubscriptionEntry): Subscription {
  return {
    topic: entry.topic?.name ?? "",
    filterType: entry.expression?.type ?? 0,
    expression: entry.expression?.expression ?? "",
  };
}

function unrecognized(type: number, kind: string): MqError {
  return new MqError(
    "UNRECOGNIZED_CLIENT_TYPE",
    `client type ${type} does not go with ${kind} settings; known are ${knownClientTypes}`,
  );
}

function checkTopicCount(count: number): void {
  if (count > limits.clientTopicCountMax) {
    throw new MqError(
      "BAD_REQUEST",
      `the settings name ${count} topics, at most ${limits.clientTopicCountMax} are allowed`,
    );
  }
}

const propertyKey = /^[a-zA-Z][a-zA-Z0-9_.-]*$/;

function checkClientProperties(properties: Readonly<Record<string, string>>): void {
  const entries = Object.entries(properties);
  if (entries.length > limits.clientPropertyCountMax) {
    throw invalidProperties(`${entries.length} pairs, at most ${limits.clientPropertyCountMax}`);
  }
  let size = 0;
  for (const [key, value] of entries) {
    const shown = key.slice(0, limits.clientPropertyKeyLengthMax);
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (key.length > limits.clientPropertyKeyLengthMax || !propertyKey.test(key)) {
      throw invalidProperties(
        `the key "${shown}" is not 1 to ${limits.clientPropertyKeyLengthMax} letters, digits, _, . and - after a letter`,
      );
    }
    if (key.startsWith("rocketmq.")) throw invalidProperties(`the key "${shown}" is reserved`);
    if (value.length > limits.clientPropertyValueLengthMax) {
      throw invalidProperties(
        `the value of "${shown}" has ${value.length} characters, at most ${limits.clientPropertyValueLengthMax}`,
      );
    }
  }
  if (size > limits.clientPropertySizeMax) {
    throw invalidProperties(`${size} bytes in all, at most ${limits.clientPropertySizeMax}`);
  }
}

function invalidProperties(reason: string): MqError {
  return new MqError("INVALID_CLIENT_PROPERTIES", `client properties: ${reason}`);
}
