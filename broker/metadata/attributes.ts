// The attributes that topics and consumer groups may carry, and the values each may have.
// How `+key=value` and `-key` change them is the business of those who take the request.
import { limits, MqError } from "../../base/index.ts";

/** What one attribute may be. */
export interface AttributeRule {
  readonly key: string;
  readonly meaning: string;
  /** The allowed values as people read them. */
  readonly allowed: string;
  /** Whether `value` is allowed. */
  readonly allows: (value: string) => boolean;
}

/** What kind of messages a topic takes. */
export const messageTypes = [
  "NORMAL",
  "FIFO",
  "DELAY",
  "TRANSACTION",
  "LITE",
  "PRIORITY",
  "MIXED",
] as const;
export type MessageType = (typeof messageTypes)[number];

/** The attribute of a topic that names its message type. */
export const messageTypeKey = "message.type";
/** The attribute of a topic that names the brokers among which its message groups are spread; kept by the brokers. */
export const fifoBrokersKey = "fifo.brokers";
/** The attribute of a topic that lets message groups go on elsewhere while their broker is down, out of order. */
export const fifoFailoverKey = "fifo.failover";
/** The attribute of a LITE topic that says after how many minutes without a message its lite topics are gone. */
export const liteExpirationKey = "lite.topic.expiration";
/** The attribute of a group that names the LITE topic whose lite topics it consumes. */
export const liteBindTopicKey = "lite.bind.topic";
/** The attribute of a group that says whether several of its clients may subscribe to one lite topic. */
export const liteModelKey = "lite.sub.model";
/** The attribute of a group that says how many lite topics each of its clients may subscribe to. */
export const liteClientQuotaKey = "lite.sub.client.quota";
/** The attribute of a group that lets a lite topic begin anew when another of its clients takes it alone. */
export const liteResetExclusiveKey = "lite.sub.reset.offset.exclusive";
/** The attribute of a group that lets a lite topic begin anew when a client subscribes to it no more. */
export const liteResetUnsubscribeKey = "lite.sub.reset.offset.unsubscribe";
/** The attribute of a group that says where it starts on a queue it has not read. */
export const consumeFromKey = "consume.from";

/** Every attribute a topic may carry. */
export const topicAttributes: readonly AttributeRule[] = [
  oneOf(messageTypeKey, "the kind of messages the topic takes", messageTypes),
  oneOf("cleanup.policy", "how old messages go", ["DELETE"]),
  oneOf("queue.type", "how queues are kept", ["SimpleCQ"]),
  oneOf(fifoFailoverKey, "whether message groups go on elsewhere while their broker is down", [
    "true",
    "false",
  ]),
  {
    key: fifoBrokersKey,
    meaning: "the brokers among which message groups are spread",
    allowed: "broker names with ; between them",
    allows: (value) => value.length <= limits.fifoBrokersSizeMax && !/(^|;)(;|$)/.test(value),
  },
  {
    key: liteExpirationKey,
    meaning: "minutes without a message after which a lite topic is gone",
    allowed: `-1 (never) or ${limits.liteExpirationMinMinutes} to ${limits.liteExpirationMaxMinutes}`,
    allows: (value) =>
      value === "-1" ||
      isWhole(value, limits.liteExpirationMinMinutes, limits.liteExpirationMaxMinutes),
  },
];

/** Every attribute a consumer group may carry. */
export const groupAttributes: readonly AttributeRule[] = [
  {
    key: consumeFromKey,
    meaning: "where the group starts on a queue it has not read",
    allowed: "default, first, last, or milliseconds since 1970",
    allows: (value) => parseConsumeFrom(value) !== undefined,
  },
  {
    key: liteBindTopicKey,
    meaning: "the LITE topic whose lite topics the group consumes; kept by the broker",
    allowed: `a topic name of at most ${limits.topicLengthMax} characters`,
    allows: (value) => /^[%|a-zA-Z0-9_-]+$/.test(value) && value.length <= limits.topicLengthMax,
  },
  oneOf(liteModelKey, "how many clients of the group may subscribe to one lite topic", [
    "Shared",
    "Exclusive",
  ]),
  {
    key: liteClientQuotaKey,
    meaning: "lite topics that one client of the group may subscribe to",
    allowed: `1 to ${limits.liteClientQuotaMax}`,
    allows: (value) => isWhole(value, 1, limits.liteClientQuotaMax),
  },
  oneOf(liteResetExclusiveKey, "whether who takes a lite topic from another begins it anew", [
    "true",
    "false",
  ]),
  oneOf(liteResetUnsubscribeKey, "whether a lite topic that is unsubscribed from begins anew", [
    "true",
    "false",
  ]),
];

/** Where a group starts on a queue it has no progress on: RocketMQ's rule, the oldest message, the end, or a time in ms. */
export type ConsumeFrom = "default" | "first" | "last" | number;

/** Reads a value of `consume.from`; undefined when it is not allowed. */
export function parseConsumeFrom(value: string): ConsumeFrom | undefined {
  if (value === "default" || value === "first" || value === "last") return value;
  if (!/^\d{1,15}$/.test(value)) return undefined;
  return Number(value);
}

/** Reads a value of `message.type`; undefined when it is not allowed. */
export function parseMessageType(value: string): MessageType | undefined {
  return messageTypes.find((type) => type === value);
}

/** Checks all of `attributes` against `rules`. Throws BAD_REQUEST naming key, value and what is allowed. */
export function checkAttributes(
  attributes: Readonly<Record<string, string>>,
  rules: readonly AttributeRule[],
): void {
  for (const [key, value] of Object.entries(attributes)) {
    const rule = rules.find((candidate) => candidate.key === key);
    if (rule === undefined) {
      const keys = rules.map((candidate) => candidate.key).join(", ");
      throw new MqError(
        "BAD_REQUEST",
        `unknown attribute ${JSON.stringify(key)}: allowed are ${keys}`,
      );
    }
    if (!rule.allows(value)) {
      throw new MqError(
        "BAD_REQUEST",
        `attribute ${key} may not be ${JSON.stringify(value)}: allowed are ${rule.allowed}`,
      );
    }
  }
}

function isWhole(value: string, min: number, max: number): boolean {
  return /^\d{1,9}$/.test(value) && Number(value) >= min && Number(value) <= max;
}

function oneOf(key: string, meaning: string, values: readonly string[]): AttributeRule {
  return { key, meaning, allowed: values.join(", "), allows: (value) => values.includes(value) };
}
