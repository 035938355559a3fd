// Puts stored messages into the answer of a receive or a pull.
import type { ReceiveMessageWriter } from "@cometmq/proto";
import type { RecordView } from "../store/index.ts";
import { md5Digest } from "./body-digest.ts";
import { messageFlags } from "./message-flags.ts";

/** A message as its client gets it. */
export interface AnsweredMessage {
  readonly record: Pick<
    RecordView,
    "body" | "flags" | "size" | "storeTimeMs" | "systemProperties" | "userProperties"
  >;
  readonly queueId: number;
  readonly queueOffset: number;
  /** From 1; 0 when it is pulled, as for the two below. */
  readonly attempt: number;
  readonly invisibleMs: number;
  readonly receiptHandle: string;
}

/** Bytes of an answer that are handed to the transport before the next messages are put together. */
export const chunkSizeBytes: number = 256 * 1024;
/** What the broker adds to a stored message, less the log's own header, bytes at most, about. */
export const addedSizeBytes = 256;

/** Bytes that the first part of an answer takes, about. */
export function answerSize(messages: readonly Pick<AnsweredMessage, "record">[]): number {
  let size = 64;
  for (const { record } of messages) size += record.size + addedSizeBytes;
  return Math.min(size, chunkSizeBytes + 2 * addedSizeBytes);
}

/** Adds a message; gives the bytes of its body. */
export function addMessage(
  writer: ReceiveMessageWriter,
  message: AnsweredMessage,
  place: { readonly topic: string; readonly storeHost: string },
): number {
  const { record } = message;
  // Each look at it makes a view.
  const { body } = record;
  const digestMissing = (record.flags & messageFlags.bodyDigestMissing) !== 0;
  writer.message({
    topicNamespace: "",
    topic: place.topic,
    userProperties: record.userProperties,
    systemProperties: record.systemProperties,
    body,
    receiptHandle: message.receiptHandle,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    deliveryAttempt: message.attempt,
    storeTimestampMs: record.storeTimeMs,
    storeHost: place.storeHost,
    invisibleMs: message.invisibleMs,
    bodyDigest: digestMissing ? md5Digest(body) : undefined,
  });
  return body.length;
}
