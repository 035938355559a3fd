// A message on its way out: what the application gives, checked, and what is needed to write it.
import { ClientError } from "./client-error.ts";
import { createMessageId } from "./message-id.ts";
import {
  type OutgoingMessage,
  ownPropertiesSize,
  userPropertiesSize,
} from "./wire/send-request.ts";

/** A message to send. */
export interface MessageOptions {
  readonly topic: string;
  /** At least one byte. It is copied when the request is written: do not change it before `send` has settled. */
  readonly body: Uint8Array;
  readonly tag?: string | undefined;
  /** Keys to find the message by. */
  readonly keys?: readonly string[] | undefined;
  readonly properties?: ReadonlyMap<string, string> | undefined;
  /** Messages of one group are stored and delivered in the order of `send`. */
  readonly messageGroup?: string | undefined;
  /** Milliseconds from now until it is delivered. */
  readonly delay?: number | undefined;
  /** When it is delivered; wins over `delay`. */
  readonly deliveryTimestamp?: Date | undefined;
  /** From 0, at most 2,147,483,647: a higher one is delivered first. Brokers tell apart as many as they have. */
  readonly priority?: number | undefined;
  readonly liteTopic?: string | undefined;
}

/** Values of `apache.rocketmq.v2.MessageType`. */
export const MessageType = {
  NORMAL: 1,
  FIFO: 2,
  DELAY: 3,
  TRANSACTION: 4,
  LITE: 5,
  PRIORITY: 6,
} as const;

const noKeys: readonly string[] = [];
const priorityMax = 2_147_483_647;
const propertyCountMax = 128;
const propertySizeMaxBytes = 16_384;

/** Checks `options` and gives the message its id. Throws ClientError with the code a server would answer. */
export function prepareMessage(
  options: MessageOptions,
  limits: {
    readonly bodySizeMaxBytes: number;
    readonly nowMs: number;
    /** It is the message of a transaction. */
    readonly isHalf: boolean;
  },
): OutgoingMessage {
  const { topic, body } = options;
  if (typeof topic !== "string" || topic === "") {
    throw new ClientError("ILLEGAL_TOPIC", "the message has no topic");
  }
  checkBody(options, limits.bodySizeMaxBytes);
  const keys = options.keys ?? noKeys;
  if (keys.some((key) => key.trim() === "")) {
    throw new ClientError("ILLEGAL_MESSAGE_KEY", "a message key is blank", { topic });
  }
  if (options.tag !== undefined && (options.tag.trim() === "" || options.tag.includes("|"))) {
    throw new ClientError("ILLEGAL_MESSAGE_TAG", `the tag "${options.tag}" is blank or holds |`, {
      topic,
    });
  }
  const properties = options.properties?.size === 0 ? undefined : options.properties;
  const message = {
    topic,
    body,
    messageId: createMessageId(limits.nowMs),
    messageType: MessageType.NORMAL as number,
    tag: options.tag,
    keys,
    properties,
    messageGroup: options.messageGroup,
    deliveryTimestampMs: deliveryTimestampOf(options, limits.nowMs),
    liteTopic: options.liteTopic,
    priority: options.priority,
    ownSize: 0,
    userSize: 0,
  };
  message.messageType = limits.isHalf ? halfType(message) : typeOf(message);
  message.ownSize = ownPropertiesSize(message);
  if (properties !== undefined) {
    message.userSize = userPropertiesSize(properties);
    checkProperties(topic, properties.size, message.userSize);
  }
  return message;
}

function checkBody(options: MessageOptions, sizeMaxBytes: number): void {
  const { topic, body } = options;
  if (!(body instanceof Uint8Array)) {
    throw new ClientError("BAD_REQUEST", "the body must be a Buffer or Uint8Array", { topic });
  }
  if (body.length === 0) {
    throw new ClientError("MESSAGE_BODY_EMPTY", "the body is empty: send at least one byte", {
      topic,
    });
  }
  if (body.length > sizeMaxBytes) {
    throw new ClientError(
      "MESSAGE_BODY_TOO_LARGE",
      `the body has ${body.length} bytes, the server takes at most ${sizeMaxBytes}`,
      { topic },
    );
  }
}

function checkProperties(topic: string, count: number, size: number): void {
  if (count > propertyCountMax || size > propertySizeMaxBytes + 8 * propertyCountMax) {
    throw new ClientError(
      "MESSAGE_PROPERTIES_TOO_LARGE",
      `the message has ${count} properties of ${size} bytes, at most ${propertyCountMax} of ${propertySizeMaxBytes} are allowed`,
      { topic },
    );
  }
}

function deliveryTimestampOf(options: MessageOptions, nowMs: number): number | undefined {
  if (options.deliveryTimestamp !== undefined) {
    const ms = options.deliveryTimestamp.getTime();
    if (ms >= 0) return ms;
    throw new ClientError("ILLEGAL_DELIVERY_TIME", "deliveryTimestamp is not a valid date", {
      topic: options.topic,
    });
  }
  if (options.delay === undefined || options.delay <= 0) return undefined;
  return nowMs + Math.round(options.delay);
}

type Kinds = Pick<
  OutgoingMessage,
  "topic" | "messageGroup" | "deliveryTimestampMs" | "liteTopic" | "priority"
>;

function typeOf(kinds: Kinds): number {
  const { topic, messageGroup, deliveryTimestampMs, liteTopic, priority } = kinds;
  if (isPlain(kinds)) return MessageType.NORMAL;
  const given = [messageGroup, deliveryTimestampMs, liteTopic, priority];
  if (given.filter((kind) => kind !== undefined).length > 1) {
    throw new ClientError(
      "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
      "messageGroup, delay or deliveryTimestamp, liteTopic and priority exclude each other: set one",
      { topic },
    );
  }
  if (messageGroup !== undefined) return checkedGroup(messageGroup, topic);
  if (deliveryTimestampMs !== undefined) return MessageType.DELAY;
  if (liteTopic !== undefined) return MessageType.LITE;
  const isAllowed = Number.isInteger(priority) && Number(priority) >= 0;
  if (isAllowed && Number(priority) <= priorityMax) return MessageType.PRIORITY;
  throw new ClientError(
    "BAD_REQUEST",
    `priority must be a whole number from 0 to ${priorityMax}, got ${priority}`,
    { topic },
  );
}

function halfType(kinds: Kinds): number {
  if (isPlain(kinds)) return MessageType.TRANSACTION;
  throw new ClientError(
    "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
    "the message of a transaction has no messageGroup, delay, deliveryTimestamp, liteTopic or priority",
    { topic: kinds.topic },
  );
}

function isPlain(kinds: Kinds): boolean {
  return (
    kinds.messageGroup === undefined &&
    kinds.deliveryTimestampMs === undefined &&
    kinds.liteTopic === undefined &&
    kinds.priority === undefined
  );
}

function checkedGroup(messageGroup: string, topic: string): number {
  if (messageGroup.trim() !== "") return MessageType.FIFO;
  throw new ClientError("ILLEGAL_MESSAGE_GROUP", "the message group is blank", { topic });
}
