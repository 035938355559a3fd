// The kind of a message, derived as RocketMQ does from what the message carries, and what a topic accepts of it.
import type { MessageView } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";

/** Values of `apache.rocketmq.v2.MessageType` by name. */
export const messageTypes = {
  NORMAL: 1,
  FIFO: 2,
  DELAY: 3,
  TRANSACTION: 4,
  LITE: 5,
  PRIORITY: 6,
} as const;

/** A kind of message, as in a topic's `message.type`. */
export type MessageTypeName = keyof typeof messageTypes;

const mixedTypes: readonly number[] = [1, 2, 3, 4];

/** The `MessageType` values that a topic of type `topicType` accepts, in the order routes list them. */
export function acceptedTypes(topicType: string): readonly number[] {
  if (topicType === "MIXED") return mixedTypes;
  return topicType in messageTypes
    ? [messageTypes[topicType as MessageTypeName]]
    : [messageTypes.NORMAL];
}

/** The kind of `message`: transaction before delay before message group, whatever its type field says otherwise. */
export function typeOf(message: MessageView): MessageTypeName {
  if (message.messageType === messageTypes.TRANSACTION) return "TRANSACTION";
  if (message.deliveryTimestampMs !== undefined) return "DELAY";
  if (message.messageGroup !== undefined) return "FIFO";
  if (message.liteTopic !== undefined) return "LITE";
  if (message.priority !== undefined) return "PRIORITY";
  return "NORMAL";
}

/**
 * Throws MESSAGE_PROPERTY_CONFLICT_WITH_TYPE unless a topic of `topicType` accepts `message`, and UNSUPPORTED for
 * the kinds this version does not handle.
 */
export function checkMessageType(message: MessageView, topicType: string): void {
  const type = typeOf(message);
  if (type === "NORMAL" && topicType === "NORMAL") return;
  if (!acceptedTypes(topicType).includes(messageTypes[type])) {
    throw new MqError(
      "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
      `the message is of type ${type}, but topic "${message.topic}" accepts ${topicType}`,
    );
  }
  if (type !== "NORMAL") {
    throw new MqError(
      "UNSUPPORTED",
      `messages of type ${type} are not supported by this version of the server`,
    );
  }
}
