// The kind of a message, derived as RocketMQ does from what the message carries, and what a topic accepts of it.
import type { MessageView } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";

/** `apache.rocketmq.v2.MessageType.TRANSACTION`. */
const transactionType = 4;

/** A kind of message, as in a topic's `message.type`. */
export type MessageKind = "NORMAL" | "FIFO" | "DELAY" | "TRANSACTION" | "LITE" | "PRIORITY";

/** The kind of `message`, an empty message group or lite topic being none: transaction before delay before message group, whatever its type field says otherwise. */
export function typeOf(message: MessageView): MessageKind {
  if (message.messageType === transactionType) return "TRANSACTION";
  if (message.deliveryTimestampMs !== undefined) return "DELAY";
  if (message.messageGroup) return "FIFO";
  if (message.liteTopic) return "LITE";
  if (message.priority !== undefined) return "PRIORITY";
  return "NORMAL";
}

/**
 * Throws MESSAGE_PROPERTY_CONFLICT_WITH_TYPE unless a topic of `topicType` accepts `message`, and UNSUPPORTED for
 * the kinds this version does not handle.
 */
export function checkMessageType(message: MessageView, topicType: string): void {
  const type = typeOf(message);
  if (type !== topicType && topicType !== "MIXED") {
    throw new MqError(
      "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
      `the message is of type ${type}, but topic "${message.topic}" accepts ${topicType}`,
    );
  }
  if (type !== "NORMAL" && type !== "FIFO") {
    throw new MqError(
      "UNSUPPORTED",
      `messages of type ${type} are not supported by this version of the server`,
    );
  }
}
