// What a client shows to decide about a held message: docs/format/held-handle.md. Nobody without the key can make one
// or change one.
import { createHmac, timingSafeEqual } from "node:crypto";
import { type HeldKey, type HeldKind, heldKinds } from "../metadata/index.ts";

const version = 1;
const at = { version: 0, kind: 1, dueMs: 4, id: 12, mac: 20, brokerName: 36 } as const;
const macSize = at.brokerName - at.mac;
const brokerNameSizeMax = 255;
const textSizeMax = Math.ceil(((at.brokerName + brokerNameSizeMax) * 4) / 3);
const two32 = 2 ** 32;

/** Makes and checks the handles of one broker. */
export class HeldHandles {
  readonly #key: Uint8Array;
  readonly #brokerName: Buffer;

  /** `key`: 32 unpredictable bytes. `brokerName`: 1 to 255 UTF-8 bytes, else RangeError. */
  constructor(key: Uint8Array, brokerName: string) {
    this.#key = key;
    this.#brokerName = Buffer.from(brokerName);
    if (this.#brokerName.length < 1 || this.#brokerName.length > brokerNameSizeMax) {
      throw new RangeError(`a broker name has 1 to ${brokerNameSizeMax} bytes: ${brokerName}`);
    }
  }

  /** The handle of a held message of `topic`. */
  encode(topic: string, { kind, dueMs, id }: HeldKey): string {
    const bytes = Buffer.alloc(at.brokerName + this.#brokerName.length);
    bytes[at.version] = version;
    bytes[at.kind] = heldKinds.indexOf(kind);
    setLong(bytes, at.dueMs, dueMs);
    setLong(bytes, at.id, id);
    bytes.set(this.#brokerName, at.brokerName);
    bytes.set(this.#mac(bytes, topic), at.mac);
    return bytes.toString("base64url");
  }

  /** The message that a handle of this broker names; undefined when it is none, was altered, or is of another topic or kind. */
  decode(
    handle: string,
    expected: { readonly topic: string; readonly kind: HeldKind },
  ): HeldKey | undefined {
    const bytes = bytesOf(handle);
    if (bytes === undefined) return undefined;
    const { topic, kind } = expected;
    if (bytes[at.kind] !== heldKinds.indexOf(kind)) return undefined;
    if (!bytes.subarray(at.brokerName).equals(this.#brokerName)) return undefined;
    const mac = bytes.subarray(at.mac, at.brokerName);
    if (!timingSafeEqual(mac, this.#mac(bytes, topic))) return undefined;
    return { kind, dueMs: getLong(bytes, at.dueMs), id: getLong(bytes, at.id) };
  }

  /** Over everything else in the handle, and the topic. */
  #mac(bytes: Buffer, topic: string): Uint8Array {
    return createHmac("sha256", this.#key)
      .update(bytes.subarray(0, at.mac))
      .update(bytes.subarray(at.brokerName))
      .update("\0")
      .update(topic)
      .digest()
      .subarray(0, macSize);
  }
}

/**
 * The broker that a handle came from, so that another broker can pass a request on; undefined when it is no handle.
 * Says nothing of its truth: only that broker can tell.
 */
export function heldHandleBroker(handle: string): string | undefined {
  return bytesOf(handle)?.toString("utf8", at.brokerName);
}

function bytesOf(handle: string): Buffer | undefined {
  if (handle.length > textSizeMax) return undefined;
  const bytes = Buffer.from(handle, "base64url");
  if (bytes.length <= at.brokerName || bytes[at.version] !== version) return undefined;
  // Text that says the same in another way is not what was given.
  return bytes.toString("base64url") === handle ? bytes : undefined;
}

function setLong(bytes: Buffer, place: number, value: number): void {
  bytes.writeUInt32LE(value >>> 0, place);
  bytes.writeUInt32LE(Math.floor(value / two32), place + 4);
}

function getLong(bytes: Buffer, place: number): number {
  return bytes.readUInt32LE(place + 4) * two32 + bytes.readUInt32LE(place);
}
