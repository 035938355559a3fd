// Reads ReceiveMessageResponse frames: each holds a status, a message or a delivery timestamp.
import { readStatus, type StatusView } from "./send-response.ts";
import { readMilliseconds, WireReader } from "./wire-reader.ts";

/** A message as it came. Buffers are views of the frame. */
export interface ReceivedMessage {
  topic: string;
  body: Buffer;
  userProperties: Map<string, string>;
  messageId: string;
  tag: string | undefined;
  keys: string[];
  digestType: number;
  digestChecksum: string;
  /** Value of `apache.rocketmq.v2.Encoding`; 2 is GZIP. */
  bodyEncoding: number;
  bornHost: string;
  bornTimestampMs: number | undefined;
  deliveryTimestampMs: number | undefined;
  receiptHandle: string;
  queueId: number;
  queueOffset: number | undefined;
  deliveryAttempt: number | undefined;
  messageGroup: string | undefined;
  liteTopic: string | undefined;
  priority: number | undefined;
}

/** What a frame holds. */
export type ReceiveFrame =
  | { readonly kind: "status"; readonly status: StatusView }
  | { readonly kind: "message"; readonly message: ReceivedMessage }
  | { readonly kind: "deliveryTimestamp"; readonly ms: number }
  | { readonly kind: "nothing" };

const noBytes = Buffer.alloc(0);

/** Reads a frame. Throws RangeError when the bytes are broken. */
export function readReceiveFrame(bytes: Buffer): ReceiveFrame {
  const reader = new WireReader(bytes);
  let frame: ReceiveFrame = { kind: "nothing" };
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) frame = { kind: "status", status: readStatus(reader) };
    else if (key === 0x12) frame = { kind: "message", message: readMessage(reader) };
    else if (key === 0x1a) {
      frame = { kind: "deliveryTimestamp", ms: readMilliseconds(reader) };
    } else reader.skip(key);
  }
  return frame;
}

/** Reads a message field. Throws RangeError when the bytes are broken. */
export function readMessage(reader: WireReader): ReceivedMessage {
  const outerEnd = reader.enter();
  const message: ReceivedMessage = {
    topic: "",
    body: noBytes,
    userProperties: new Map(),
    messageId: "",
    tag: undefined,
    keys: [],
    digestType: 0,
    digestChecksum: "",
    bodyEncoding: 0,
    bornHost: "",
    bornTimestampMs: undefined,
    deliveryTimestampMs: undefined,
    receiptHandle: "",
    queueId: 0,
    queueOffset: undefined,
    deliveryAttempt: undefined,
    messageGroup: undefined,
    liteTopic: undefined,
    priority: undefined,
  };
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) message.topic = readResourceName(reader);
    else if (key === 0x12) readUserProperty(reader, message);
    else if (key === 0x1a) readSystemProperties(reader, message);
    else if (key === 0x22) message.body = reader.view();
    else reader.skip(key);
  }
  reader.leave(outerEnd);
  return message;
}

function readResourceName(reader: WireReader): string {
  const outerEnd = reader.enter();
  let name = "";
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x12) name = reader.text();
    else reader.skip(key);
  }
  reader.leave(outerEnd);
  return name;
}

function readUserProperty(reader: WireReader, message: ReceivedMessage): void {
  const outerEnd = reader.enter();
  let name = "";
  let value = "";
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) name = reader.text();
    else if (key === 0x12) value = reader.text();
    else reader.skip(key);
  }
  message.userProperties.set(name, value);
  reader.leave(outerEnd);
}

function readSystemProperties(reader: WireReader, message: ReceivedMessage): void {
  const outerEnd = reader.enter();
  while (reader.more) {
    const key = reader.varint();
    switch (key) {
      case 0x0a:
        message.tag = reader.text();
        break;
      case 0x12:
        message.keys.push(reader.text());
        break;
      case 0x1a:
        message.messageId = reader.text();
        break;
      case 0x22:
        readDigest(reader, message);
        break;
      case 0x28:
        message.bodyEncoding = reader.varint();
        break;
      case 0x3a:
        message.bornTimestampMs = readMilliseconds(reader);
        break;
      case 0x42:
        message.bornHost = reader.text();
        break;
      case 0x5a:
        message.deliveryTimestampMs = readMilliseconds(reader);
        break;
      case 0x62:
        message.receiptHandle = reader.text();
        break;
      case 0x68:
        message.queueId = reader.varint();
        break;
      case 0x70:
        message.queueOffset = reader.varint();
        break;
      case 0x80:
        message.deliveryAttempt = reader.varint();
        break;
      case 0x8a:
        message.messageGroup = reader.text();
        break;
      case 0xaa:
        message.liteTopic = reader.text();
        break;
      case 0xb0:
        message.priority = reader.varint();
        break;
      default:
        reader.skip(key);
    }
  }
  reader.leave(outerEnd);
}

function readDigest(reader: WireReader, message: ReceivedMessage): void {
  const outerEnd = reader.enter();
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x08) message.digestType = reader.varint();
    else if (key === 0x12) message.digestChecksum = reader.text();
    else reader.skip(key);
  }
  reader.leave(outerEnd);
}
