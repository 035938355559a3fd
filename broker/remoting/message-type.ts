// The kind of a message, derived as RocketMQ does from what the message carries, and what a topic accepts of it.
import type { MessageView } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";

/** A kind of message, as in a topic's `message.type`. */
export type MessageKind = "NORMAL" | "FIFO" | "DELAY" | "TRANSACTION" | "LITE" | "PRIORITY";

/** Numbers of `apache.rocketmq.v2.MessageType`. */
export const typeNumbers: Readonly<Record<MessageKind, number>> = {
  NORMAL: 1,
  FIFO: 2,
  DELAY: 3,
  TRANSACTION: 4,
  LITE: 5,
  PRIORITY: 6,
};

/** What a topic accepts: messages of one kind, the four that RocketMQ mixes, or any. */
export type AcceptedType = MessageKind | "MIXED" | "ANY";

/** What a MIXED topic accepts, as its routes say too. */
const mixedKinds: readonly MessageKind[] = ["NORMAL", "FIFO", "DELAY", "TRANSACTION"];

/** The kind of `message`, an empty message group or lite topic being none: transaction before delay before message group, whatever its type field says otherwise. */
export function typeOf(message: MessageView): MessageKind {
  if (message.messageType === typeNumbers.TRANSACTION) return "TRANSACTION";
  if (message.deliveryTimestampMs !== undefined) return "DELAY";
  if (message.messageGroup) return "FIFO";
  if (message.liteTopic) return "LITE";
  if (message.priority !== undefined) return "PRIORITY";
  return "NORMAL";
}

/**
 * The kind of `message`. Throws MESSAGE_PROPERTY_CONFLICT_WITH_TYPE unless a topic of `topicType` accepts it, and
 * UNSUPPORTED for the kinds this version does not handle.
 */
export function checkMessageType(message: MessageView, topicType: AcceptedType): MessageKind {
  const type = typeOf(message);
  if (!accepts(topicType, type)) {
    throw new MqError(
      "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
      `the message is of type ${type}, but topic "${message.topic}" accepts ${topicType === "MIXED" ? mixedKinds.join(", ") : topicType}`,
    );
  }
  if (type === "LITE") {
    throw new MqError(
      "UNSUPPORTED",
      `messages of type ${type} are not supported by this version of the server`,
    );
  }
  return type;
}

function accepts(topicType: AcceptedType, type: MessageKind): boolean {
  if (topicType === "MIXED") return mixedKinds.includes(type);
  return topicType === "ANY" || type === topicType;
}
