// Receipt handles: docs/format/receipt-handle.md. What a consumer shows to acknowledge a message; nobody
// without the key can make one or change one. Decision: docs/decisions/0004-receipt-handles.md.
import { type SipState, sipBlock, sipFinish, sipHash, sipStart } from "../../base/index.ts";
import type { Lane } from "./lane.ts";

const version = 1;
const at = {
  version: 0,
  brokerNameSize: 1,
  queueId: 4,
  topicHash: 8,
  groupHash: 16,
  offset: 24,
  deliveryNumber: 32,
  mac: 40,
  brokerName: 48,
} as const;
const macMessageSize = at.mac;
const two32 = 2 ** 32;
const brokerNameSizeMax = 255;
const handleSizeMax = at.brokerName + brokerNameSizeMax;

/** Makes and checks the handles of one broker. Not reentrant: `parse` fills fields that `matches` and the caller read. */
export class HandleCodec {
  /** Queue id of the handle parsed last; not to be trusted before `matches`. */
  queueId = 0;
  /** Queue offset of the handle parsed last; as above. */
  offset = 0;
  /** Delivery number of the handle parsed last; as above. */
  deliveryNumber = 0;
  readonly #start: SipState;
  readonly #brokerName: Buffer;
  readonly #size: number;
  readonly #textSize: number;
  readonly #bytes = Buffer.alloc(handleSizeMax + 8);
  readonly #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, handleSizeMax);
  readonly #state: SipState = new Int32Array(8);

  /** `key`: at least 16 unpredictable bytes, the first 16 count. `brokerName`: 1 to 255 UTF-8 bytes, else RangeError. */
  constructor(key: Uint8Array, brokerName: string) {
    this.#start = sipStart(key.subarray(0, 16));
    this.#brokerName = Buffer.from(brokerName);
    if (this.#brokerName.length < 1 || this.#brokerName.length > brokerNameSizeMax) {
      throw new RangeError(`a broker name has 1 to ${brokerNameSizeMax} bytes: ${brokerName}`);
    }
    this.#size = at.brokerName + this.#brokerName.length;
    this.#textSize = Math.ceil((this.#size * 4) / 3);
  }

  /** The handle of one delivery of the message at `offset` of the lane. */
  encode(lane: Lane, offset: number, deliveryNumber: number): string {
    const view = this.#view;
    const prefix = this.#prefixOf(lane);
    view.setInt32(0, firstWord(this.#brokerName.length), true);
    view.setInt32(at.queueId, lane.queueId, true);
    view.setInt32(at.topicHash, prefix[8] ?? 0, true);
    view.setInt32(at.topicHash + 4, prefix[9] ?? 0, true);
    view.setInt32(at.groupHash, prefix[10] ?? 0, true);
    view.setInt32(at.groupHash + 4, prefix[11] ?? 0, true);
    setLong(view, at.offset, offset);
    setLong(view, at.deliveryNumber, deliveryNumber);
    const state = this.#mac(prefix);
    view.setInt32(at.mac, state[0] ?? 0, true);
    view.setInt32(at.mac + 4, state[1] ?? 0, true);
    this.#bytes.set(this.#brokerName, at.brokerName);
    return this.#bytes.toString("base64url", 0, this.#size);
  }

  /** Reads the fields of a handle. False: no handle of this broker. True says nothing of its truth yet: `matches` does. */
  parse(handle: string): boolean {
    if (handle.length !== this.#textSize) return false;
    const size = this.#bytes.write(handle, 0, "base64url");
    if (size !== this.#size) return false;
    if (this.#view.getInt32(0, true) !== firstWord(this.#brokerName.length)) return false;
    if (this.#bytes.compare(this.#brokerName, 0, undefined, at.brokerName, size) !== 0)
      return false;
    this.queueId = this.#view.getInt32(at.queueId, true);
    this.offset = getLong(this.#view, at.offset);
    this.deliveryNumber = getLong(this.#view, at.deliveryNumber);
    return true;
  }

  /** Whether the handle parsed last was made here for this lane and is unaltered. */
  matches(lane: Lane): boolean {
    const view = this.#view;
    const prefix = this.#prefixOf(lane);
    if (view.getInt32(at.queueId, true) !== lane.queueId) return false;
    // Compared as a whole, so that the time taken tells nothing of where bytes differ.
    let difference = view.getInt32(at.topicHash, true) ^ (prefix[8] ?? 0);
    difference |= view.getInt32(at.topicHash + 4, true) ^ (prefix[9] ?? 0);
    difference |= view.getInt32(at.groupHash, true) ^ (prefix[10] ?? 0);
    difference |= view.getInt32(at.groupHash + 4, true) ^ (prefix[11] ?? 0);
    const state = this.#mac(prefix);
    difference |= view.getInt32(at.mac, true) ^ (state[0] ?? 0);
    difference |= view.getInt32(at.mac + 4, true) ^ (state[1] ?? 0);
    return difference === 0;
  }

  /** The MAC of what stands in the buffer: only the two last blocks differ within a lane. */
  #mac(prefix: SipState): SipState {
    const state = this.#state;
    for (let i = 0; i < 8; i++) state[i] = prefix[i] ?? 0;
    const view = this.#view;
    sipBlock(state, view.getInt32(at.offset, true), view.getInt32(at.offset + 4, true));
    sipBlock(
      state,
      view.getInt32(at.deliveryNumber, true),
      view.getInt32(at.deliveryNumber + 4, true),
    );
    sipFinish(state, macMessageSize);
    return state;
  }

  /** Hash state after the first 24 bytes, then the hashes of topic and group. Made once a lane. */
  #prefixOf(lane: Lane): SipState {
    if (lane.handlePrefix !== undefined) return lane.handlePrefix;
    const topic = sipHash(this.#start, Buffer.from(lane.topic));
    const group = sipHash(this.#start, Buffer.from(lane.group));
    const state = this.#start.slice();
    sipBlock(state, firstWord(this.#brokerName.length), lane.queueId);
    sipBlock(state, topic.low, topic.high);
    sipBlock(state, group.low, group.high);
    const prefix = Int32Array.of(...state, topic.low, topic.high, group.low, group.high);
    lane.handlePrefix = prefix;
    return prefix;
  }
}

/**
 * The broker a handle came from, so that another broker can pass a request on; undefined when it is no
 * handle. Says nothing of its truth: only the broker that made it can tell.
 */
export function handleBroker(handle: string): string | undefined {
  if (handle.length > Math.ceil((handleSizeMax * 4) / 3)) return undefined;
  const bytes = Buffer.from(handle, "base64url");
  if (bytes[at.version] !== version || bytes.length <= at.brokerName) return undefined;
  if (bytes[at.brokerNameSize] !== bytes.length - at.brokerName) return undefined;
  return bytes.toString("utf8", at.brokerName);
}

function firstWord(brokerNameSize: number): number {
  return version | (brokerNameSize << 8);
}

function setLong(view: DataView, place: number, value: number): void {
  view.setUint32(place, value >>> 0, true);
  view.setUint32(place + 4, Math.floor(value / two32), true);
}

function getLong(view: DataView, place: number): number {
  return view.getUint32(place + 4, true) * two32 + view.getUint32(place, true);
}
