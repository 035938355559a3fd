// What a client shows to decide about a held message: docs/format/held-handle.md. Nobody without the key can make one
// or change one.
import { type SipState, sipBlock, sipFinish, sipHash, sipStart } from "../../base/index.ts";
import { type HeldKey, type HeldKind, heldKinds } from "../metadata/index.ts";

const version = 2;
const at = { version: 0, kind: 1, dueMs: 4, id: 12, mac: 20, brokerName: 28 } as const;
const brokerNameSizeMax = 255;
const textSizeMax = Math.ceil(((at.brokerName + brokerNameSizeMax) * 4) / 3);
const two32 = 2 ** 32;
/** The MAC is over the hash of broker and topic, what stands before it in the handle, and four zeros. */
const macMessageSize = 8 + at.mac + 4;

/** Makes and checks the handles of one broker. */
export class HeldHandles {
  readonly #start: SipState;
  readonly #brokerName: Buffer;
  readonly #state: SipState = new Int32Array(8);
  /** Hash state after the block that says broker and topic, and the topic: calls for one topic come together. */
  #prefix: SipState;
  #topic = "";

  /** `key`: 32 unpredictable bytes, the last 16 count. `brokerName`: 1 to 255 UTF-8 bytes, else RangeError. */
  constructor(key: Uint8Array, brokerName: string) {
    this.#start = sipStart(key.subarray(16, 32));
    this.#brokerName = Buffer.from(brokerName);
    if (this.#brokerName.length < 1 || this.#brokerName.length > brokerNameSizeMax) {
      throw new RangeError(`a broker name has 1 to ${brokerNameSizeMax} bytes: ${brokerName}`);
    }
    this.#prefix = this.#prefixOf("");
  }

  /** The handle of a held message of `topic`. */
  encode(topic: string, { kind, dueMs, id }: HeldKey): string {
    const bytes = Buffer.alloc(at.brokerName + this.#brokerName.length);
    bytes[at.version] = version;
    bytes[at.kind] = heldKinds.indexOf(kind);
    setLong(bytes, at.dueMs, dueMs);
    setLong(bytes, at.id, id);
    const mac = this.#mac(bytes, topic);
    bytes.writeInt32LE(mac[0] ?? 0, at.mac);
    bytes.writeInt32LE(mac[1] ?? 0, at.mac + 4);
    bytes.set(this.#brokerName, at.brokerName);
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
    const mac = this.#mac(bytes, topic);
    // Compared as a whole, so that the time taken tells nothing of where bytes differ.
    const lowDiffers = bytes.readInt32LE(at.mac) ^ (mac[0] ?? 0);
    const highDiffers = bytes.readInt32LE(at.mac + 4) ^ (mac[1] ?? 0);
    if ((lowDiffers | highDiffers) !== 0) return undefined;
    return { kind, dueMs: getLong(bytes, at.dueMs), id: getLong(bytes, at.id) };
  }

  /** In the first two words of what it gives, until the next call. */
  #mac(bytes: Buffer, topic: string): SipState {
    if (topic !== this.#topic) {
      this.#prefix = this.#prefixOf(topic);
      this.#topic = topic;
    }
    const state = this.#state;
    state.set(this.#prefix);
    sipBlock(state, bytes.readInt32LE(0), bytes.readInt32LE(4));
    sipBlock(state, bytes.readInt32LE(8), bytes.readInt32LE(12));
    sipBlock(state, bytes.readInt32LE(16), 0);
    sipFinish(state, macMessageSize);
    return state;
  }

  #prefixOf(topic: string): SipState {
    const names = Buffer.concat([this.#brokerName, Buffer.from(`\0${topic}`)]);
    const { low, high } = sipHash(this.#start, names);
    const state = this.#start.slice();
    sipBlock(state, low, high);
    return state;
  }
}

/**
 * The broker that a handle came from, so that another broker can pass a request on; undefined when it is no handle.
 * Says nothing of its truth: only that broker can tell.
 */
export function heldHandleBroker(handle: string): string | undefined {
  return bytesOf(handle)?.toString("utf8", at.brokerName);
}

let lastHandle = "";
let lastBytes: Buffer | undefined;

/** Not to be changed: who asks for the broker of a handle asks for its message next, and gets the same bytes. */
function bytesOf(handle: string): Buffer | undefined {
  if (handle !== lastHandle) {
    lastBytes = parsed(handle);
    lastHandle = lastBytes === undefined ? "" : handle;
  }
  return lastBytes;
}

function parsed(handle: string): Buffer | undefined {
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
