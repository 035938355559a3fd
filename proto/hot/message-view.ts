// Messages as they came, without decoding bodies or copying: views of the parts that are stored as
// they are, and the few properties that a broker looks at. All parts are checked, so that nothing
// is stored that would later break the decoder of a consumer.
import { ProtoError } from "../codec.ts";
import { WireReader } from "./wire-reader.ts";

/** What a broker reads out of a message's system properties. */
export interface MessageProperties {
  /** "" when the message has none. */
  readonly messageId: string;
  readonly tag: string | undefined;
  readonly keys: readonly string[];
  /** Number of `MessageType`; 0 when not said. */
  readonly messageType: number;
  /** Number of `Encoding`. */
  readonly bodyEncoding: number;
  readonly queueId: number;
  readonly messageGroup: string | undefined;
  readonly liteTopic: string | undefined;
  readonly priority: number | undefined;
  /** As the sender wrote it; `type` is a number of `DigestType`. */
  readonly bodyDigest: { readonly type: number; readonly checksum: string } | undefined;
  /** Milliseconds since 1970, parts of one dropped. */
  readonly bornTimestampMs: number | undefined;
  readonly deliveryTimestampMs: number | undefined;
  /** Milliseconds. */
  readonly orphanedRecoveryMs: number | undefined;
}

/** A message of a request. Its byte fields are views of the request unless said otherwise. */
export interface MessageView extends MessageProperties {
  readonly topicNamespace: string;
  readonly topic: string;
  /**
   * All entries of field 2 of `Message`, tag and length included, in the order they came. A copy
   * when something stood between them. A key may be there twice: the last one counts.
   */
  readonly userProperties: Uint8Array;
  /** Number of entries, those of a repeated key included. */
  readonly userPropertyCount: number;
  /** UTF-8 bytes of all keys and values. */
  readonly userPropertySize: number;
  /** `SystemProperties`, serialized. A copy when they came in parts. */
  readonly systemProperties: Uint8Array;
  readonly body: Uint8Array;
}

/** Shared by all messages without keys, never written to. */
const noKeys: string[] = [];
const nothing = new Uint8Array(0);

/** A time in the making: parts of it may come one by one, and the last ones win. */
class Time {
  seconds = 0;
  nanos = 0;

  get ms(): number {
    return this.seconds * 1000 + Math.trunc(this.nanos / 1e6);
  }
}

class Digest {
  type = 0;
  checksum = "";
}

class Properties implements MessageProperties {
  messageId = "";
  tag: string | undefined = undefined;
  keys: string[] = noKeys;
  messageType = 0;
  bodyEncoding = 0;
  queueId = 0;
  messageGroup: string | undefined = undefined;
  liteTopic: string | undefined = undefined;
  priority: number | undefined = undefined;
  bodyDigest: Digest | undefined = undefined;
  born: Time | undefined = undefined;
  delivery: Time | undefined = undefined;
  orphaned: Time | undefined = undefined;

  get bornTimestampMs(): number | undefined {
    return this.born?.ms;
  }

  get deliveryTimestampMs(): number | undefined {
    return this.delivery?.ms;
  }

  get orphanedRecoveryMs(): number | undefined {
    return this.orphaned?.ms;
  }
}

class View extends Properties implements MessageView {
  topicNamespace = "";
  topic = "";
  userPropertyCount = 0;
  userPropertySize = 0;
  userProperties: Uint8Array = nothing;
  systemProperties: Uint8Array = nothing;
  body: Uint8Array = nothing;
}

/** Reads what a broker needs of serialized `SystemProperties`. Throws ProtoError. */
export function readMessageProperties(systemProperties: Uint8Array): MessageProperties {
  const reader = new WireReader(systemProperties);
  const properties = new Properties();
  while (reader.pos < reader.end) readSystemField(reader, properties);
  return properties;
}

/** Reads a `Message` whose tag has just been read, to its end. */
export function readMessage(reader: WireReader): MessageView {
  const outerEnd = reader.enter();
  const messageStart = reader.pos;
  const view = new View();
  let [userStart, userEnd, systemStart, systemEnd] = [0, 0, 0, 0];
  let split = false;
  while (reader.pos < reader.end) {
    const start = reader.pos;
    const tag = reader.tag();
    switch (tag) {
      case 10:
        readTopic(reader, view);
        break;
      case 18:
        readEntry(reader, view);
        if (userEnd === 0) userStart = start;
        else if (userEnd !== start) split = true;
        userEnd = reader.pos;
        break;
      case 26:
        if (systemEnd !== 0) split = true;
        systemStart = readSystem(reader, view);
        systemEnd = reader.pos;
        break;
      case 34:
        view.body = readBytes(reader);
        break;
      default:
        reader.skip(tag);
    }
  }
  view.userProperties = reader.view(userStart, userEnd);
  view.systemProperties = reader.view(systemStart, systemEnd);
  if (split) rejoin(view, reader.view(messageStart, reader.end));
  reader.leave(outerEnd);
  return view;
}

/**
 * Calls `visit` for every entry of `userProperties` as a `MessageView` or a stored record has them.
 * A key may come twice: the last one counts. Throws ProtoError.
 */
export function forEachUserProperty(
  userProperties: Uint8Array,
  visit: (key: string, value: string) => void,
): void {
  const reader = new WireReader(userProperties);
  while (reader.pos < reader.end) {
    if (reader.tag() !== 18) throw new ProtoError(`no user property at byte ${reader.pos}`);
    const outerEnd = reader.enter();
    let key = "";
    let value = "";
    while (reader.pos < reader.end) {
      const tag = reader.tag();
      if (tag === 10) key = reader.interned();
      else if (tag === 18) value = reader.text();
      else reader.skip(tag);
    }
    reader.leave(outerEnd);
    visit(key, value);
  }
}

/** Gathers parts that came in pieces; a correct but unusual way to write a message. */
function rejoin(view: View, message: Uint8Array): void {
  const reader = new WireReader(message);
  const user: Uint8Array[] = [];
  const system: Uint8Array[] = [];
  while (reader.pos < reader.end) {
    const start = reader.pos;
    const tag = reader.tag();
    if (tag === 26) {
      system.push(readBytes(reader));
    } else {
      reader.skip(tag);
      if (tag === 18) user.push(reader.view(start, reader.pos));
    }
  }
  view.userProperties = Buffer.concat(user);
  view.systemProperties = Buffer.concat(system);
}

/** A view of a bytes field. */
function readBytes(reader: WireReader): Uint8Array {
  const size = reader.size();
  const start = reader.pos;
  reader.pos = start + size;
  return reader.view(start, reader.pos);
}

function readTopic(reader: WireReader, view: View): void {
  const outerEnd = reader.enter();
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 10) view.topicNamespace = reader.interned();
    else if (tag === 18) view.topic = reader.interned();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}

function readEntry(reader: WireReader, view: View): void {
  const outerEnd = reader.enter();
  let keySize = 0;
  let valueSize = 0;
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 10) keySize = reader.passText();
    else if (tag === 18) valueSize = reader.passText();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  view.userPropertyCount++;
  view.userPropertySize += keySize + valueSize;
}

/** Reads system properties over what is there; gives where they start. */
function readSystem(reader: WireReader, view: View): number {
  const outerEnd = reader.enter();
  const start = reader.pos;
  while (reader.pos < reader.end) readSystemField(reader, view);
  reader.leave(outerEnd);
  return start;
}

function readSystemField(reader: WireReader, into: Properties): void {
  const tag = reader.tag();
  switch (tag) {
    case 10:
      into.tag = reader.interned();
      return;
    case 18:
      if (into.keys === noKeys) into.keys = [reader.text()];
      else into.keys.push(reader.text());
      return;
    case 26:
      into.messageId = reader.text();
      return;
    case 34:
      readDigest(reader, (into.bodyDigest ??= new Digest()));
      return;
    case 40:
      into.bodyEncoding = reader.int32();
      return;
    case 48:
      into.messageType = reader.int32();
      return;
    case 58:
      readTime(reader, (into.born ??= new Time()));
      return;
    case 90:
      readTime(reader, (into.delivery ??= new Time()));
      return;
    case 104:
      into.queueId = reader.int32();
      return;
    case 138:
      into.messageGroup = reader.text();
      return;
    case 154:
      readTime(reader, (into.orphaned ??= new Time()));
      return;
    case 170:
      into.liteTopic = reader.text();
      return;
    case 176:
      into.priority = reader.int32();
      return;
    default:
      passSystemField(reader, tag);
  }
}

/** Checks a field that a broker only hands on. */
function passSystemField(reader: WireReader, tag: number): void {
  switch (tag) {
    case 66: // born_host
    case 82: // store_host
    case 98: // receipt_handle
    case 146: // trace_context
      reader.passText();
      return;
    case 74: // store_timestamp
    case 122: // invisible_duration
      readTime(reader, new Time());
      return;
    case 162: // dead_letter_queue: topic and message id
      passTexts(reader, 10, 18);
      return;
    default:
      reader.skip(tag);
  }
}

/** Reads a `Timestamp` or a `Duration` over what is there. */
function readTime(reader: WireReader, into: Time): void {
  const outerEnd = reader.enter();
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 8) into.seconds = reader.int64();
    else if (tag === 16) into.nanos = reader.int32();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}

/** Reads a `Digest` over what is there. */
function readDigest(reader: WireReader, into: Digest): void {
  const outerEnd = reader.enter();
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 8) into.type = reader.int32();
    else if (tag === 18) into.checksum = reader.text();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}

/** Passes a message whose fields of these two tags are strings. */
function passTexts(reader: WireReader, first: number, second: number): void {
  const outerEnd = reader.enter();
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === first || tag === second) reader.passText();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}
