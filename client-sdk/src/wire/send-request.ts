// Writes SendMessageRequest bytes in one pass over one buffer: sizes were added up when the messages
// were made, and what all messages of a request share is written once and copied.
import type { BufferPool } from "./buffer-pool.ts";

/** A message ready to be written: checked, with its id, its sizes counted. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly messageId: string;
  /** Value of `apache.rocketmq.v2.MessageType`. */
  readonly messageType: number;
  readonly body: Uint8Array;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  readonly properties: ReadonlyMap<string, string> | undefined;
  readonly messageGroup: string | undefined;
  readonly deliveryTimestampMs: number | undefined;
  readonly liteTopic: string | undefined;
  readonly priority: number | undefined;
  /** Bytes of its own system properties, from `ownPropertiesSize`. */
  readonly ownSize: number;
  /** Bytes of its user properties, from `userPropertiesSize`. */
  readonly userSize: number;
}

/** What keeps the order of messages: those with the same are sent one after another. */
export function orderOf(
  message: Pick<OutgoingMessage, "messageGroup" | "liteTopic"> | undefined,
): string | undefined {
  return message?.messageGroup ?? message?.liteTopic;
}

/** What all messages of a request share. */
export interface RequestHeader {
  readonly namespace: string;
  readonly topic: string;
  readonly queueId: number;
  readonly messageType: number;
  readonly bornHost: string;
  readonly bornTimestampMs: number;
}

const encodingIdentity = 1;

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Bytes of a length-delimited field whose key takes `keySize` bytes. */
function fieldSize(size: number, keySize = 1): number {
  return keySize + varintSize(size) + size;
}

function textFieldSize(text: string, keySize = 1): number {
  return fieldSize(Buffer.byteLength(text), keySize);
}

type OwnProperties = Omit<
  OutgoingMessage,
  "ownSize" | "userSize" | "topic" | "messageType" | "body"
>;

/** Bytes that a message's own system properties take. */
export function ownPropertiesSize(message: OwnProperties): number {
  let size = textFieldSize(message.messageId);
  if (message.tag !== undefined) size += textFieldSize(message.tag);
  for (const key of message.keys) size += textFieldSize(key);
  if (message.deliveryTimestampMs !== undefined) {
    size += fieldSize(timestampSize(message.deliveryTimestampMs));
  }
  if (message.messageGroup !== undefined) size += textFieldSize(message.messageGroup, 2);
  if (message.liteTopic !== undefined) size += textFieldSize(message.liteTopic, 2);
  if (message.priority !== undefined) size += 2 + varintSize(message.priority);
  return size;
}

/** Bytes that user properties take. */
export function userPropertiesSize(properties: ReadonlyMap<string, string> | undefined): number {
  let size = 0;
  for (const [key, value] of properties ?? []) {
    size += fieldSize(textFieldSize(key) + textFieldSize(value));
  }
  return size;
}

/** An upper bound of the bytes a message takes in a request. */
export function requestSizeOf(message: OutgoingMessage): number {
  return message.body.length + message.ownSize + message.userSize + 3 * message.topic.length + 128;
}

function timestampSize(ms: number): number {
  const nanos = (ms % 1000) * 1_000_000;
  return 1 + varintSize(Math.floor(ms / 1000)) + (nanos === 0 ? 0 : 1 + varintSize(nanos));
}

/** The bytes of a SendMessageRequest, in a buffer of the pool. Bodies are copied; nothing of `messages` is kept. */
export function writeSendRequest(
  header: RequestHeader,
  messages: readonly OutgoingMessage[],
  pool: BufferPool,
): Buffer {
  const topic = sharedTopic(header);
  const shared = sharedProperties(header);
  const sizes: number[] = [];
  let total = 0;
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index];
    if (message === undefined) continue;
    const size =
      topic.length +
      message.userSize +
      fieldSize(shared.length + message.ownSize) +
      fieldSize(message.body.length);
    sizes.push(size);
    total += fieldSize(size);
  }
  const writer = new Writer(pool.take(total));
  for (let index = 0; index < messages.length; index++) {
    const message = messages[index];
    if (message === undefined) continue;
    writer.key(0x0a, sizes[index] ?? 0);
    writer.raw(topic);
    writeUserProperties(writer, message.properties);
    writer.key(0x1a, shared.length + message.ownSize);
    writer.raw(shared);
    writeOwnProperties(writer, message);
    writer.key(0x22, message.body.length);
    writer.raw(message.body);
  }
  return writer.finished();
}

function sharedTopic(header: RequestHeader): Buffer {
  let size = textFieldSize(header.topic);
  if (header.namespace !== "") size += textFieldSize(header.namespace);
  const writer = new Writer(Buffer.allocUnsafe(fieldSize(size)));
  writer.key(0x0a, size);
  if (header.namespace !== "") writer.text(0x0a, header.namespace);
  writer.text(0x12, header.topic);
  return writer.finished();
}

function sharedProperties(header: RequestHeader): Buffer {
  const born = timestampSize(header.bornTimestampMs);
  const size =
    4 + fieldSize(born) + textFieldSize(header.bornHost) + 1 + varintSize(header.queueId);
  const writer = new Writer(Buffer.allocUnsafe(size));
  writer.key(0x28, encodingIdentity);
  writer.key(0x30, header.messageType);
  writer.timestamp(0x3a, header.bornTimestampMs);
  writer.text(0x42, header.bornHost);
  writer.key(0x68, header.queueId);
  return writer.finished();
}

function writeOwnProperties(writer: Writer, message: OutgoingMessage): void {
  if (message.tag !== undefined) writer.text(0x0a, message.tag);
  for (const key of message.keys) writer.text(0x12, key);
  writer.text(0x1a, message.messageId);
  if (message.deliveryTimestampMs !== undefined)
    writer.timestamp(0x5a, message.deliveryTimestampMs);
  if (message.messageGroup !== undefined) writer.text(0x8a, message.messageGroup, 1);
  if (message.liteTopic !== undefined) writer.text(0xaa, message.liteTopic, 1);
  if (message.priority !== undefined) {
    writer.byte(0xb0);
    writer.key(1, message.priority);
  }
}

function writeUserProperties(
  writer: Writer,
  properties: ReadonlyMap<string, string> | undefined,
): void {
  if (properties === undefined) return;
  for (const [key, value] of properties) {
    writer.key(0x12, textFieldSize(key) + textFieldSize(value));
    writer.text(0x0a, key);
    writer.text(0x12, value);
  }
}

/** Texts up to this length are written here; longer ones by the native function. */
const shortTextMax = 40;

class Writer {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  /** One key byte and a varint: the value of a number field or the length of a delimited one. */
  key(key: number, value: number): void {
    this.#bytes[this.#at++] = key;
    this.#varint(value);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** A string field; `secondKey` is the second byte of keys above field 15. */
  text(key: number, text: string, secondKey?: number): void {
    this.#bytes[this.#at++] = key;
    if (secondKey !== undefined) this.#bytes[this.#at++] = secondKey;
    if (text.length <= shortTextMax && this.#shortAscii(text)) return;
    this.#varint(Buffer.byteLength(text));
    this.#at += this.#bytes.write(text, this.#at, "utf8");
  }

  /** Writes length and text when all of it is ASCII; else writes nothing that counts. */
  #shortAscii(text: string): boolean {
    const bytes = this.#bytes;
    const start = this.#at;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code >= 128) return false;
      bytes[start + 1 + index] = code;
    }
    bytes[start] = text.length;
    this.#at = start + 1 + text.length;
    return true;
  }

  timestamp(key: number, ms: number): void {
    this.key(key, timestampSize(ms));
    this.key(8, Math.floor(ms / 1000));
    const nanos = (ms % 1000) * 1_000_000;
    if (nanos !== 0) this.key(16, nanos);
  }

  finished(): Buffer {
    return this.#bytes;
  }
}
