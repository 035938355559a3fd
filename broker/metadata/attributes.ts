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
];

/** Every attribute a consumer group may carry. */
export const groupAttributes: readonly AttributeRule[] = [
  {
    key: consumeFromKey,
    meaning: "where the group starts on a queue it has not read",
    allowed: "default, first, last, or milliseconds since 1970",
    allows: (value) => parseConsumeFrom(value) !== undefined,
  },
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

function oneOf(key: string, meaning: string, values: readonly string[]): AttributeRule {
  return { key, meaning, allowed: values.join(", "), allows: (value) => values.includes(value) };
}
