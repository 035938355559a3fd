// The body of a metadata record and of the state's topic and group values: docs/format/state.md.
import { MqError } from "../../base/index.ts";
import { parseConsumeFrom, parseMessageType } from "./attributes.ts";
import type { GroupConfig, RetryPolicy } from "./group-config.ts";
import { JsonFields } from "./json-fields.ts";
import type { TopicConfig } from "./topic-config.ts";

/** Where a queue ends. */
export interface QueueEnd {
  readonly queueId: number;
  /** Offset the next message of the queue gets. */
  readonly nextOffset: number;
}

/** One change of the tables, as one metadata record holds it. */
export type MetadataChange =
  | { readonly kind: "putTopic"; readonly config: TopicConfig }
  | {
      readonly kind: "deleteTopic";
      readonly name: string;
      /** Where each of its queues ended; messages below are gone for good. */
      readonly queues: readonly QueueEnd[];
    }
  | { readonly kind: "putGroup"; readonly config: GroupConfig }
  | { readonly kind: "deleteGroup"; readonly name: string }
  | { readonly kind: "macKey" /** 32 bytes. */; readonly key: Uint8Array };

const formatVersion = 1;
const kindNumbers = {
  putTopic: 1,
  deleteTopic: 2,
  putGroup: 3,
  deleteGroup: 4,
  macKey: 5,
} as const;
const macKeySize = 32;

/** The body of the record for `change`, owned by the caller. */
export function encodeMetadataChange(change: MetadataChange): Uint8Array {
  return Buffer.concat([
    Uint8Array.of(formatVersion, kindNumbers[change.kind]),
    encodeContent(change),
  ]);
}

function encodeContent(change: MetadataChange): Uint8Array {
  if (change.kind === "putTopic") return encodeTopic(change.config);
  if (change.kind === "putGroup") return encodeGroup(change.config);
  if (change.kind === "macKey") return change.key;
  return change.kind === "deleteTopic" ? encodeDeletion(change) : Buffer.from(change.name);
}

/** Reads the body of a metadata record; keeps nothing of `body`. Throws CORRUPT for anything not written by this or an older version. */
export function decodeMetadataChange(body: Uint8Array): MetadataChange {
  if (body[0] !== formatVersion) {
    throw new MqError(
      "CORRUPT",
      `metadata record of version ${body[0]}: this broker reads version ${formatVersion}`,
    );
  }
  const content = body.subarray(2);
  switch (body[1]) {
    case kindNumbers.putTopic:
      return { kind: "putTopic", config: decodeTopic(content) };
    case kindNumbers.deleteTopic:
      return decodeDeletion(content);
    case kindNumbers.putGroup:
      return { kind: "putGroup", config: decodeGroup(content) };
    case kindNumbers.deleteGroup:
      return { kind: "deleteGroup", name: Buffer.from(content).toString() };
    case kindNumbers.macKey:
      if (content.length !== macKeySize)
        throw new MqError("CORRUPT", `receipt-handle key of ${content.length} bytes`);
      return { kind: "macKey", key: Uint8Array.from(content) };
    default:
      throw new MqError("CORRUPT", `metadata record of unknown kind ${body[1]}`);
  }
}

type Deletion = Extract<MetadataChange, { kind: "deleteTopic" }>;

function encodeDeletion(change: Deletion): Uint8Array {
  const queues = change.queues.map(({ queueId, nextOffset }) => [queueId, nextOffset]);
  return Buffer.from(JSON.stringify({ name: change.name, queues: queues.flat() }));
}

function decodeDeletion(content: Uint8Array): Deletion {
  const fields = JsonFields.parse(content, "deletion of a topic");
  const numbers = fields.numbers("queues");
  const queues: QueueEnd[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    const [queueId, nextOffset] = numbers.slice(index, index + 2);
    if (queueId === undefined || nextOffset === undefined) throw fields.wrong("queues");
    queues.push({ queueId, nextOffset });
  }
  return { kind: "deleteTopic", name: fields.string("name"), queues };
}

/** The stored form of a topic, without a version byte; owned by the caller. */
export function encodeTopic(config: TopicConfig): Uint8Array {
  return Buffer.from(JSON.stringify(config));
}

/**
 * Reads the stored form of a topic. Checks types, not what is allowed today: what was once accepted stays.
 * Throws CORRUPT.
 */
export function decodeTopic(bytes: Uint8Array): TopicConfig {
  const fields = JsonFields.parse(bytes, "topic");
  const messageType = parseMessageType(fields.string("messageType"));
  if (messageType === undefined) throw fields.wrong("messageType");
  return {
    name: fields.string("name"),
    readQueueNums: fields.number("readQueueNums"),
    writeQueueNums: fields.number("writeQueueNums"),
    perm: fields.number("perm"),
    messageType,
    attributes: fields.strings("attributes"),
    order: fields.boolean("order"),
    createdAtMs: fields.number("createdAtMs"),
  };
}

/** The stored form of a group, without a version byte; owned by the caller. */
export function encodeGroup(config: GroupConfig): Uint8Array {
  return Buffer.from(JSON.stringify(config));
}

/** Reads the stored form of a group, as `decodeTopic` does for a topic. Throws CORRUPT. */
export function decodeGroup(bytes: Uint8Array): GroupConfig {
  const fields = JsonFields.parse(bytes, "consumer group");
  const consumeFrom = parseConsumeFrom(String(fields.stringOrNumber("consumeFrom")));
  if (consumeFrom === undefined) throw fields.wrong("consumeFrom");
  return {
    name: fields.string("name"),
    consumeEnable: fields.boolean("consumeEnable"),
    consumeMessageOrderly: fields.boolean("consumeMessageOrderly"),
    consumeBroadcastEnable: fields.boolean("consumeBroadcastEnable"),
    retryMaxTimes: fields.number("retryMaxTimes"),
    retryPolicy: readRetryPolicy(fields.object("retryPolicy")),
    consumeFrom,
    attributes: fields.strings("attributes"),
  };
}

function readRetryPolicy(fields: JsonFields): RetryPolicy {
  const kind = fields.string("kind");
  if (kind === "customized") return { kind, nextMs: fields.numbers("nextMs") };
  if (kind !== "exponential") throw fields.wrong("kind");
  return {
    kind,
    initialMs: fields.number("initialMs"),
    maxMs: fields.number("maxMs"),
    multiplier: fields.number("multiplier"),
  };
}
