// What some senders leave out of the system properties and some consumers cannot do without: C# needs the time of
// birth, Python an encoding it knows, and all of them a digest that all spell alike.
import { type MessageView, rocketmq, timestampOfMs } from "@cometmq/proto";
import { clientHost, type IncomingCall } from "../cluster/index.ts";
import { typeNumbers, typeOf } from "./message-type.ts";

const { Encoding, MessageType } = rocketmq.v2;

/** When and from where a message came. */
export interface Arrival {
  readonly nowMs: number;
  readonly call: IncomingCall;
}

/**
 * The system properties of `message` with what is missing appended; protobuf reads them as one. A born_host that the
 * sender gave without a timestamp is replaced. The very bytes of the message when nothing is missing, else the caller's.
 */
export function completedProperties(message: MessageView, arrival: Arrival): Uint8Array {
  const missing: rocketmq.v2.ISystemProperties = {};
  let count = 0;
  if (message.bornTimestampMs === undefined) {
    missing.bornTimestamp = timestampOfMs(arrival.nowMs);
    missing.bornHost = clientHost(arrival.call);
    count++;
  }
  if (message.bodyEncoding === Encoding.ENCODING_UNSPECIFIED) {
    missing.bodyEncoding = Encoding.IDENTITY;
    count++;
  }
  if (isTypeMissing(message)) {
    missing.messageType = typeNumbers[typeOf(message)];
    count++;
  }
  if (count === 0) return message.systemProperties;
  const appended = rocketmq.v2.SystemProperties.encode(missing).finish();
  return Buffer.concat([message.systemProperties, appended]);
}

/** Some clients leave the type to the server, and not all of those that say it look at the delivery time. */
function isTypeMissing(message: MessageView): boolean {
  const { messageType, deliveryTimestampMs } = message;
  if (messageType === MessageType.MESSAGE_TYPE_UNSPECIFIED) return true;
  return deliveryTimestampMs !== undefined && messageType !== typeNumbers[typeOf(message)];
}

const md5 = { type: 2, checksum: /^[0-9A-F]{32}$/ };
const sha1 = { type: 3, checksum: /^[0-9A-F]{40}$/ };

/**
 * Whether every client reads the digest of `message`: MD5 or SHA1 in upper-case hex. Clients write CRC32 in three ways
 * and find messages of each other corrupted.
 */
export function hasReadableDigest({ bodyDigest }: Pick<MessageView, "bodyDigest">): boolean {
  if (bodyDigest === undefined) return false;
  const { type, checksum } = bodyDigest;
  if (type === md5.type) return md5.checksum.test(checksum);
  return type === sha1.type && sha1.checksum.test(checksum);
}
