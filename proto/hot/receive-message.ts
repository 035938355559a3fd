// The answer of ReceiveMessage over bytes: gRPC frames, one for each ReceiveMessageResponse, in one
// buffer. Stored properties and bodies are copied as they are; the broker's own properties follow
// the stored ones, where they win because they come last.
import { type StatusView, statusSize, writeStatusField } from "./status.ts";
import { textSize } from "./text.ts";
import { intSize, lengthSize, textFieldSize, varintSize, WireWriter } from "./wire-writer.ts";

/** A message to hand out. Nothing of it is kept after `ReceiveMessageWriter.message` returns. */
export interface DeliveredMessageView {
  readonly topicNamespace: string;
  readonly topic: string;
  /** As `MessageView.userProperties`. */
  readonly userProperties: Uint8Array;
  /** `SystemProperties` as the client sent them. */
  readonly systemProperties: Uint8Array;
  readonly body: Uint8Array;
  readonly receiptHandle: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** 1 for the first delivery. */
  readonly deliveryAttempt: number;
  /** Milliseconds since 1970. */
  readonly storeTimestampMs: number;
  readonly storeHost: string;
  readonly invisibleMs: number;
  /** Given when the client sent none: some clients fail without one. */
  readonly bodyDigest?: { readonly type: number; readonly checksum: string } | undefined;
}

/** Compression flag and length before each gRPC message. */
const framePrefixSize = 5;
const defaultSize = 16 * 1024;

/** Collects the messages of one answer. */
export class ReceiveMessageWriter {
  readonly #writer: WireWriter;

  /** `sizeHint` is in bytes; more is made when it does not suffice. */
  constructor(sizeHint: number = defaultSize) {
    this.#writer = new WireWriter(Buffer.allocUnsafe(sizeHint));
  }

  /** Bytes written since the last `take`. */
  get size(): number {
    return this.#writer.pos;
  }

  /** Adds the status of the answer. */
  status(code: number, message: string): void {
    const status: StatusView = { code, message };
    this.#frame(1 + lengthSize(statusSize(status)));
    writeStatusField(this.#writer, 10, status);
  }

  /** Adds a message. Its bytes are copied. */
  message(message: DeliveredMessageView): void {
    const topicSize = textFieldSize(message.topicNamespace) + textFieldSize(message.topic);
    const systemSize = message.systemProperties.length + addedSize(message);
    const size =
      1 +
      lengthSize(topicSize) +
      message.userProperties.length +
      1 +
      lengthSize(systemSize) +
      (message.body.length === 0 ? 0 : 1 + lengthSize(message.body.length));
    this.#frame(1 + lengthSize(size));
    const writer = this.#writer;
    writer.byte(18);
    writer.varint(size);
    writer.byte(10);
    writer.varint(topicSize);
    writer.textField(10, message.topicNamespace);
    writer.textField(18, message.topic);
    writer.raw(message.userProperties);
    writer.byte(26);
    writer.varint(systemSize);
    writer.raw(message.systemProperties);
    writeAdded(writer, message);
    if (message.body.length === 0) return;
    writer.byte(34);
    writer.varint(message.body.length);
    writer.raw(message.body);
  }

  /** Adds the time at which the broker began to answer, in milliseconds since 1970. */
  deliveryTimestamp(ms: number): void {
    const size = timeSize(ms);
    this.#frame(1 + lengthSize(size));
    this.#writer.byte(26);
    writeTime(this.#writer, ms);
  }

  /** Gives the frames written so far, and starts anew. The bytes are the caller's. */
  take(): Uint8Array {
    const writer = this.#writer;
    const taken = writer.bytes.subarray(0, writer.pos);
    // What is left of the buffer serves the next answer.
    writer.bytes = writer.bytes.subarray(writer.pos);
    writer.pos = 0;
    return taken;
  }

  #frame(size: number): void {
    const writer = this.#writer;
    const needed = writer.pos + framePrefixSize + size;
    if (needed > writer.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, 2 * writer.bytes.length, defaultSize));
      grown.set(writer.bytes.subarray(0, writer.pos));
      writer.bytes = grown;
    }
    writer.byte(0);
    writer.byte(size >>> 24);
    writer.byte(size >>> 16);
    writer.byte(size >>> 8);
    writer.byte(size);
  }
}

/** Bytes of the broker's own properties. */
function addedSize(message: DeliveredMessageView): number {
  const { bodyDigest } = message;
  return (
    1 +
    lengthSize(timeSize(message.storeTimestampMs)) +
    1 +
    lengthSize(textSize(message.storeHost)) +
    1 +
    lengthSize(textSize(message.receiptHandle)) +
    1 +
    intSize(message.queueId) +
    1 +
    intSize(message.queueOffset) +
    1 +
    lengthSize(timeSize(message.invisibleMs)) +
    2 +
    intSize(message.deliveryAttempt) +
    (bodyDigest === undefined ? 0 : 1 + lengthSize(digestSize(bodyDigest)))
  );
}

/** Writes them. Defaults too: they must win over what the client has sent. */
function writeAdded(writer: WireWriter, message: DeliveredMessageView): void {
  const { bodyDigest } = message;
  writer.byte(74);
  writeTime(writer, message.storeTimestampMs);
  writer.byte(82);
  writer.text(message.storeHost);
  writer.byte(98);
  writer.text(message.receiptHandle);
  writer.byte(104);
  writer.int(message.queueId);
  writer.byte(112);
  writer.int(message.queueOffset);
  writer.byte(122);
  writeTime(writer, message.invisibleMs);
  writer.varint(128);
  writer.int(message.deliveryAttempt);
  if (bodyDigest === undefined) return;
  writer.byte(34);
  writer.varint(digestSize(bodyDigest));
  writer.byte(8);
  writer.varint(bodyDigest.type);
  writer.byte(18);
  writer.text(bodyDigest.checksum);
}

function digestSize(digest: { readonly type: number; readonly checksum: string }): number {
  return 1 + varintSize(digest.type) + 1 + lengthSize(textSize(digest.checksum));
}

/** Bytes of a Timestamp or Duration with both its fields, zeros too. */
function timeSize(ms: number): number {
  const seconds = Math.floor(ms / 1000);
  return 1 + intSize(seconds) + 1 + varintSize(nanosOf(ms, seconds));
}

function writeTime(writer: WireWriter, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  const nanos = nanosOf(ms, seconds);
  writer.varint(timeSize(ms));
  writer.byte(8);
  writer.int(seconds);
  writer.byte(16);
  writer.varint(nanos);
}

function nanosOf(ms: number, seconds: number): number {
  return Math.round((ms - seconds * 1000) * 1e6);
}
