// What a topic is: its queues, permission, message type and attributes.
import { limits, MqError } from "../../base/index.ts";
import {
  checkAttributes,
  fifoBrokersKey,
  type MessageType,
  messageTypeKey,
  messageTypes,
  parseMessageType,
  topicAttributes,
} from "./attributes.ts";
import { checkTopicName, givenUpTopic } from "./names.ts";

/** Permission bits of a topic. */
export const permission = { write: 2, read: 4, readWrite: 6 } as const;

/** A topic as the broker keeps it. Always complete and checked. */
export interface TopicConfig {
  readonly name: string;
  /** Queues that can be read, `[1, limits.topicQueueCountMax]`; ids from 0. */
  readonly readQueueNums: number;
  /** Queues that can be written, `[1, limits.topicQueueCountMax]`; ids from 0. */
  readonly writeQueueNums: number;
  /** Bits: 2 write, 4 read. 0 is neither. */
  readonly perm: number;
  readonly messageType: MessageType;
  /** As given by operators; `message.type`, when present, says the same as `messageType`. */
  readonly attributes: Readonly<Record<string, string>>;
  /** RocketMQ's order flag; kept and shown, changes nothing. */
  readonly order: boolean;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
}

/** A topic as somebody asks for it: what is left out gets its default. */
export type TopicDraft = Pick<TopicConfig, "name"> & Partial<TopicConfig>;

/** Queues of a topic when nothing is said; RocketMQ's `defaultTopicQueueNums` for mqadmin. */
export const defaultQueueCount = 8;

/** Completes and checks a draft. Throws ILLEGAL_TOPIC or BAD_REQUEST naming the field and what is allowed. */
export function makeTopic(draft: TopicDraft, nowMs: number): TopicConfig {
  if (draft.name !== givenUpTopic) checkTopicName(draft.name);
  const readQueueNums = draft.readQueueNums ?? draft.writeQueueNums ?? defaultQueueCount;
  const writeQueueNums = draft.writeQueueNums ?? readQueueNums;
  checkQueueCount("readQueueNums", readQueueNums);
  checkQueueCount("writeQueueNums", writeQueueNums);
  const perm = draft.perm ?? permission.readWrite;
  if (perm !== 0 && perm !== 2 && perm !== 4 && perm !== 6) {
    throw new MqError(
      "BAD_REQUEST",
      `perm may not be ${perm}: allowed are 2 (write), 4 (read), 6 (both) and 0 (neither)`,
    );
  }
  const attributes = { ...draft.attributes };
  checkAttributes(attributes, topicAttributes);
  return {
    name: draft.name,
    readQueueNums,
    writeQueueNums,
    perm,
    messageType: chooseMessageType(draft.messageType, attributes[messageTypeKey]),
    attributes,
    order: draft.order ?? false,
    createdAtMs: draft.createdAtMs ?? nowMs,
  };
}

/** Throws BAD_REQUEST where messages of `old` would be left in queues that nobody reads. */
export function checkTypeChange(old: TopicConfig | undefined, changed: TopicConfig): void {
  if (old?.messageType !== "PRIORITY" || changed.messageType === "PRIORITY") return;
  throw new MqError(
    "BAD_REQUEST",
    `the message type of ${old.name} may not become ${changed.messageType}: a PRIORITY topic stays one, since its queues are its priorities; delete it and make it anew`,
  );
}

/** Whether messages with a message group may be sent to the topic. */
export function takesMessageGroups({ messageType }: Pick<TopicConfig, "messageType">): boolean {
  return messageType === "FIFO" || messageType === "MIXED";
}

/**
 * Queues of the topic that consumers may get messages of; ids from 0. Of a PRIORITY topic there is one a priority,
 * whatever its queue counts: docs/messages/priority.md.
 */
export function deliveredQueueNums(
  topic: Pick<TopicConfig, "messageType" | "readQueueNums">,
): number {
  if (topic.messageType !== "PRIORITY") return topic.readQueueNums;
  return Math.max(limits.priorityMax + 1, topic.readQueueNums);
}

/** The brokers among which the message groups of a topic are spread, as recorded; empty when that is the only one. */
export function brokersOfTopic({ attributes }: Pick<TopicConfig, "attributes">): readonly string[] {
  return attributes[fifoBrokersKey]?.split(";") ?? [];
}

/** The attribute decides; the field counts when there is no attribute. */
function chooseMessageType(
  field: MessageType | undefined,
  attribute: string | undefined,
): MessageType {
  const type =
    attribute === undefined ? parseMessageType(field ?? "NORMAL") : parseMessageType(attribute);
  if (type === undefined) {
    throw new MqError(
      "BAD_REQUEST",
      `message type may not be ${JSON.stringify(field)}: allowed are ${messageTypes.join(", ")}`,
    );
  }
  return type;
}

function checkQueueCount(field: string, count: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= limits.topicQueueCountMax) return;
  throw new MqError(
    "BAD_REQUEST",
    `${field} may not be ${count}: allowed are 1 to ${limits.topicQueueCountMax}`,
  );
}
