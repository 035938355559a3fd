// Picks single properties out of a stored message by name, for filters that look at every message of a topic: what
// nobody has named is passed over by its length.
import { ProtoError } from "../codec.ts";
import { decodeInterned } from "./text.ts";
import { WireReader } from "./wire-reader.ts";

/** System properties that can be picked. */
export type SystemPropertyName =
  | "tag"
  /** All of them, a blank between two. */
  | "keys"
  | "messageId"
  | "messageGroup"
  /** Milliseconds since 1970, as digits. */
  | "bornTimestamp"
  | "deliveryTimestamp"
  /** Where a dead letter came from. */
  | "deadLetterTopic"
  | "deadLetterMessageId";

/** Values in the order of the names that were asked for; undefined where the message has none. */
export type PickedValues = (string | undefined)[];

const noSlots: readonly number[] = [];

/** Picks user properties. Made once for a set of names, used for any number of messages. */
export class UserPropertyPicker {
  readonly #names: readonly Uint8Array[];
  /** Indices of names by their size in bytes: most properties are told apart by that alone. */
  readonly #bySize: (readonly number[] | undefined)[] = [];

  constructor(names: readonly string[]) {
    this.#names = names.map((name) => new TextEncoder().encode(name));
    this.#names.forEach(({ length }, slot) => {
      this.#bySize[length] = [...(this.#bySize[length] ?? noSlots), slot];
    });
  }

  /**
   * Sets `values[i]` to the value of name `i` for each that is in `userProperties`, as a stored record has them, and
   * leaves the others as they are. A key may be there twice: the last one counts. Throws ProtoError.
   */
  pick(userProperties: Uint8Array, values: PickedValues): void {
    const reader = new WireReader(userProperties);
    while (reader.pos < reader.end) {
      if (reader.tag() !== 18) throw new ProtoError(`no user property at byte ${reader.pos}`);
      const outerEnd = reader.enter();
      let [keyStart, keyEnd, valueStart, valueEnd] = [0, 0, 0, 0];
      while (reader.pos < reader.end) {
        const tag = reader.tag();
        if (tag === 10) {
          keyEnd = reader.size();
          keyStart = reader.pos;
          keyEnd += keyStart;
          reader.pos = keyEnd;
        } else if (tag === 18) {
          valueEnd = reader.size();
          valueStart = reader.pos;
          valueEnd += valueStart;
          reader.pos = valueEnd;
        } else reader.skip(tag);
      }
      reader.leave(outerEnd);
      const slot = this.#slotOf(userProperties, keyStart, keyEnd);
      if (slot >= 0) values[slot] = textAt(userProperties, valueStart, valueEnd);
    }
  }

  /** The index of the name that `[start, end)` spells, or -1. */
  #slotOf(bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#bySize[end - start];
    if (slots === undefined) return -1;
    for (const slot of slots) {
      if (isAt(this.#names[slot] as Uint8Array, bytes, start)) return slot;
    }
    return -1;
  }
}

function textAt(bytes: Uint8Array, start: number, end: number): string {
  try {
    return decodeInterned(bytes, start, end);
  } catch {
    throw new ProtoError(`text that is not UTF-8 at byte ${start}`);
  }
}

function isAt(name: Uint8Array, bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < name.length; at++) {
    if (name[at] !== bytes[start + at]) return false;
  }
  return true;
}

/** Picks system properties. Made once for a set of names, used for any number of messages. */
export class SystemPropertyPicker {
  readonly #slots: Readonly<Record<SystemPropertyName, number>>;
  readonly #deadLetter: boolean;

  constructor(names: readonly SystemPropertyName[]) {
    const slotOf = (name: SystemPropertyName): number => names.indexOf(name);
    this.#slots = {
      tag: slotOf("tag"),
      keys: slotOf("keys"),
      messageId: slotOf("messageId"),
      messageGroup: slotOf("messageGroup"),
      bornTimestamp: slotOf("bornTimestamp"),
      deliveryTimestamp: slotOf("deliveryTimestamp"),
      deadLetterTopic: slotOf("deadLetterTopic"),
      deadLetterMessageId: slotOf("deadLetterMessageId"),
    };
    this.#deadLetter = names.includes("deadLetterTopic") || names.includes("deadLetterMessageId");
  }

  /**
   * Sets `values[from + i]` to the value of name `i` for each that is in `systemProperties`, serialized
   * `SystemProperties`, and leaves the others as they are. Throws ProtoError.
   */
  pick(systemProperties: Uint8Array, values: PickedValues, from: number): void {
    const reader = new WireReader(systemProperties);
    let keys: string | undefined;
    while (reader.pos < reader.end) {
      const tag = reader.tag();
      const slot = this.#slotOf(tag);
      if (slot < 0) reader.skip(tag);
      else if (tag === 18) keys = keys === undefined ? reader.text() : `${keys} ${reader.text()}`;
      else if (tag === 58 || tag === 90) values[from + slot] = readMs(reader);
      else if (tag === 162) this.#pickDeadLetter(reader, values, from);
      else values[from + slot] = tag === 26 ? reader.text() : reader.interned();
    }
    if (keys !== undefined) values[from + this.#slots.keys] = keys;
  }

  /** Where the field with this tag goes; -1: nobody wants it. */
  #slotOf(tag: number): number {
    switch (tag) {
      case 10:
        return this.#slots.tag;
      case 18:
        return this.#slots.keys;
      case 26:
        return this.#slots.messageId;
      case 58:
        return this.#slots.bornTimestamp;
      case 90:
        return this.#slots.deliveryTimestamp;
      case 138:
        return this.#slots.messageGroup;
      case 162:
        return this.#deadLetter ? 0 : -1;
      default:
        return -1;
    }
  }

  #pickDeadLetter(reader: WireReader, values: PickedValues, from: number): void {
    const { deadLetterTopic, deadLetterMessageId } = this.#slots;
    const outerEnd = reader.enter();
    while (reader.pos < reader.end) {
      const tag = reader.tag();
      const slot = tag === 10 ? deadLetterTopic : tag === 18 ? deadLetterMessageId : -1;
      if (slot < 0) reader.skip(tag);
      else values[from + slot] = reader.text();
    }
    reader.leave(outerEnd);
  }
}

/** A `Timestamp` as whole milliseconds. One in parts, which protobuf allows and nobody writes, counts by its last part. */
function readMs(reader: WireReader): string {
  const outerEnd = reader.enter();
  let [seconds, nanos] = [0, 0];
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 8) seconds = reader.int64();
    else if (tag === 16) nanos = reader.int32();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  return String(seconds * 1000 + Math.trunc(nanos / 1e6));
}
