// The answers of ReceiveMessage and PullMessage over bytes: gRPC frames, one for each response, in one
// buffer. Stored properties and bodies are copied as they are; the broker's own properties follow
// the stored ones, where they win because they come last.
import { type StatusView, statusFieldSizeMax, writeStatusField } from "./status.ts";
import { BackwardWriter, putVarint, textFieldSizeMax, varintSize } from "./wire-writer.ts";

/** A message to hand out. Nothing of it is kept after `ReceiveMessageWriter.message` returns. */
export interface DeliveredMessageView {
  readonly topicNamespace: string;
  readonly topic: string;
  /** As `MessageView.userProperties`. */
  readonly userProperties: Uint8Array;
  /** `SystemProperties` as the client sent them. */
  readonly systemProperties: Uint8Array;
  readonly body: Uint8Array;
  /** Empty when it is pulled: there is nothing to acknowledge. */
  readonly receiptHandle: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** 1 for the first delivery; 0 when it is pulled. */
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
  #bytes: Uint8Array;
  #pos = 0;
  /** The broker's own properties of the message at hand, and other small parts. */
  readonly #part = new BackwardWriter(512);
  /** The topic of the last message, which is nearly always that of the next one. */
  #topicNamespace = "";
  #topic = "";
  #topicField: Uint8Array = topicField("", "");

  /** `sizeHint` is in bytes; more is made when it does not suffice. */
  constructor(sizeHint: number = defaultSize) {
    this.#bytes = Buffer.allocUnsafe(sizeHint);
  }

  /** Bytes written since the last `take`. */
  get size(): number {
    return this.#pos;
  }

  /** Adds the status of the answer. */
  status(code: number, message: string): void {
    const status: StatusView = { code, message };
    this.#part.reset(statusFieldSizeMax(status));
    writeStatusField(this.#part, 10, status);
    this.#addPart();
  }

  /** Adds a message. Its bytes are copied. */
  message(message: DeliveredMessageView): void {
    const { userProperties, systemProperties, body } = message;
    const topic = this.#topicFieldOf(message.topicNamespace, message.topic);
    const part = this.#part;
    writeAdded(part, message);
    const systemSize = systemProperties.length + part.bytes.length - part.start;
    const size =
      topic.length +
      userProperties.length +
      1 +
      varintSize(systemSize) +
      systemSize +
      (body.length === 0 ? 0 : 1 + varintSize(body.length) + body.length);
    this.#frame(1 + varintSize(size) + size);
    this.#head(18, size);
    this.#raw(topic);
    if (userProperties.length > 0) this.#raw(userProperties);
    this.#head(26, systemSize);
    this.#raw(systemProperties);
    this.#raw(part.written());
    if (body.length === 0) return;
    this.#head(34, body.length);
    this.#raw(body);
  }

  /** Adds the time at which the broker began to answer, in milliseconds since 1970. */
  deliveryTimestamp(ms: number): void {
    this.#part.reset(timeFieldSizeMax);
    writeTimeField(this.#part, 26, ms);
    this.#addPart();
  }

  /** Adds the offset where a pull goes on, which only PullMessage has. */
  nextOffset(offset: number): void {
    this.#part.reset(nextOffsetSizeMax);
    this.#part.intField(24, offset);
    this.#addPart();
  }

  /** Gives the frames written so far, and starts anew. The bytes are the caller's. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#pos);
    // What is left of the buffer serves the next answer.
    this.#bytes = this.#bytes.subarray(this.#pos);
    this.#pos = 0;
    return taken;
  }

  #topicFieldOf(topicNamespace: string, topic: string): Uint8Array {
    if (topic !== this.#topic || topicNamespace !== this.#topicNamespace) {
      this.#topicField = topicField(topicNamespace, topic);
      this.#topicNamespace = topicNamespace;
      this.#topic = topic;
    }
    return this.#topicField;
  }

  /** Adds a frame with what the part holds. */
  #addPart(): void {
    const part = this.#part.written();
    this.#frame(part.length);
    this.#raw(part);
  }

  /** Makes room for a frame and writes its prefix. `size` excludes the prefix. */
  #frame(size: number): void {
    const needed = this.#pos + framePrefixSize + size;
    if (needed > this.#bytes.length) this.#grow(needed);
    const [bytes, at] = [this.#bytes, this.#pos];
    bytes[at] = 0;
    bytes[at + 1] = size >>> 24;
    bytes[at + 2] = size >>> 16;
    bytes[at + 3] = size >>> 8;
    bytes[at + 4] = size;
    this.#pos = at + framePrefixSize;
  }

  #grow(needed: number): void {
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length, defaultSize));
    grown.set(this.#bytes.subarray(0, this.#pos));
    this.#bytes = grown;
  }

  #head(tag: number, size: number): void {
    this.#bytes[this.#pos] = tag;
    this.#pos = putVarint(this.#bytes, this.#pos + 1, size);
  }

  #raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#pos);
    this.#pos += bytes.length;
  }
}

/** Field 1 of `Message`. */
function topicField(topicNamespace: string, topic: string): Uint8Array {
  const writer = new BackwardWriter(
    12 + textFieldSizeMax(topicNamespace) + textFieldSizeMax(topic),
  );
  if (topic !== "") writer.textField(18, topic);
  if (topicNamespace !== "") writer.textField(10, topicNamespace);
  writer.headBefore(10, writer.bytes.length);
  return writer.written();
}

/**
 * Writes the broker's own properties. Defaults and zeros too: they must win over whatever the
 * client has sent in their place.
 */
function writeAdded(writer: BackwardWriter, message: DeliveredMessageView): void {
  const { bodyDigest } = message;
  writer.reset(
    addedIntsSizeMax +
      textFieldSizeMax(message.storeHost) +
      textFieldSizeMax(message.receiptHandle) +
      textFieldSizeMax(bodyDigest?.checksum ?? ""),
  );
  if (bodyDigest !== undefined) {
    const end = writer.start;
    writer.textField(18, bodyDigest.checksum);
    writer.intField(8, bodyDigest.type);
    writer.headBefore(34, end);
  }
  writer.intField(128, message.deliveryAttempt);
  writeTimeField(writer, 122, message.invisibleMs);
  writer.intField(112, message.queueOffset);
  writer.intField(104, message.queueId);
  writer.textField(98, message.receiptHandle);
  writer.textField(82, message.storeHost);
  writeTimeField(writer, 74, message.storeTimestampMs);
}

/** Upper bound of the field that `nextOffset` writes. */
const nextOffsetSizeMax = 12;
/** Upper bound of a field that holds a Timestamp or Duration. */
const timeFieldSizeMax = 26;
/** Upper bound of all that is written by `writeAdded` besides texts. */
const addedIntsSizeMax = 2 * timeFieldSizeMax + 4 * 12 + 12;

/** Writes a Timestamp or Duration of at least 0 ms, with both its fields. */
function writeTimeField(writer: BackwardWriter, tag: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  const end = writer.start;
  writer.intField(16, Math.round((ms - seconds * 1000) * 1e6));
  writer.intField(8, seconds);
  writer.headBefore(tag, end);
}
