// SipHash-2-4 with a 64-bit result (Aumasson and Bernstein, 2012), on 32-bit halves so that it costs no
// bigint. A short keyed hash: nobody without the key can make or change a message that verifies.
// Checked against the vectors of the paper's reference code in sip-hash.test.ts.

/** The eight 32-bit halves (low, high) of v0 … v3. Copy it to go on from a known prefix. */
export type SipState = Int32Array;

/** A 64-bit hash in two halves, each a signed 32-bit number. */
export interface Hash64 {
  readonly low: number;
  readonly high: number;
}

/** Makes the state that a hash under `key` (16 bytes, little-endian) starts from. Throws RangeError for another size. */
export function sipStart(key: Uint8Array): SipState {
  if (key.length !== 16) throw new RangeError(`a SipHash key has 16 bytes, not ${key.length}`);
  const view = new DataView(key.buffer, key.byteOffset, 16);
  const key0Low = view.getInt32(0, true);
  const key0High = view.getInt32(4, true);
  const key1Low = view.getInt32(8, true);
  const key1High = view.getInt32(12, true);
  return Int32Array.of(
    key0Low ^ 0x70736575,
    key0High ^ 0x736f6d65,
    key1Low ^ 0x6e646f6d,
    key1High ^ 0x646f7261,
    key0Low ^ 0x6e657261,
    key0High ^ 0x6c796765,
    key1Low ^ 0x79746573,
    key1High ^ 0x74656462,
  );
}

/** Takes in 8 bytes, given as two little-endian halves. Changes `state`. */
export function sipBlock(state: SipState, low: number, high: number): void {
  state[6] = at(state, 6) ^ low;
  state[7] = at(state, 7) ^ high;
  sipRounds(state, 2);
  state[0] = at(state, 0) ^ low;
  state[1] = at(state, 1) ^ high;
}

/**
 * Ends a message of `size` bytes that was a whole number of blocks. The hash is then in `state[0]` (low
 * half) and `state[1]` (high half): no object is made, as this runs once a message.
 */
export function sipFinish(state: SipState, size: number): void {
  finishWith(state, 0, (size & 0xff) << 24);
}

/** The hash of `message` from a fresh `start` state, which stays as it is. */
export function sipHash(start: SipState, message: Uint8Array): Hash64 {
  const state = start.slice();
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const blocksEnd = message.length - (message.length % 8);
  for (let place = 0; place < blocksEnd; place += 8) {
    sipBlock(state, view.getInt32(place, true), view.getInt32(place + 4, true));
  }
  let low = 0;
  let high = (message.length & 0xff) << 24;
  for (let place = blocksEnd; place < message.length; place++) {
    const shift = (place - blocksEnd) * 8;
    if (shift < 32) low |= view.getUint8(place) << shift;
    else high |= view.getUint8(place) << (shift - 32);
  }
  finishWith(state, low, high);
  return { low: at(state, 0), high: at(state, 1) };
}

function finishWith(state: SipState, low: number, high: number): void {
  sipBlock(state, low, high);
  state[4] = at(state, 4) ^ 0xff;
  sipRounds(state, 4);
  state[0] = at(state, 0) ^ at(state, 2) ^ at(state, 4) ^ at(state, 6);
  state[1] = at(state, 1) ^ at(state, 3) ^ at(state, 5) ^ at(state, 7);
}

function at(state: SipState, index: number): number {
  return state[index] ?? 0;
}

// One function with local variables: fields or an array in the loop would cost several times as much.
function sipRounds(state: SipState, count: number): void {
  let v0l = at(state, 0);
  let v0h = at(state, 1);
  let v1l = at(state, 2);
  let v1h = at(state, 3);
  let v2l = at(state, 4);
  let v2h = at(state, 5);
  let v3l = at(state, 6);
  let v3h = at(state, 7);
  let swap = 0;
  for (let round = 0; round < count; round++) {
    // v0 += v1; v1 = rotl(v1, 13) ^ v0; v0 = rotl(v0, 32)
    v0h = (v0h + v1h + carry(v0l, v1l)) | 0;
    v0l = (v0l + v1l) | 0;
    swap = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
    v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h;
    v1l = swap;
    swap = v0l;
    v0l = v0h;
    v0h = swap;
    // v2 += v3; v3 = rotl(v3, 16) ^ v2
    v2h = (v2h + v3h + carry(v2l, v3l)) | 0;
    v2l = (v2l + v3l) | 0;
    swap = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
    v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h;
    v3l = swap;
    // v0 += v3; v3 = rotl(v3, 21) ^ v0
    v0h = (v0h + v3h + carry(v0l, v3l)) | 0;
    v0l = (v0l + v3l) | 0;
    swap = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
    v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h;
    v3l = swap;
    // v2 += v1; v1 = rotl(v1, 17) ^ v2; v2 = rotl(v2, 32)
    v2h = (v2h + v1h + carry(v2l, v1l)) | 0;
    v2l = (v2l + v1l) | 0;
    swap = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
    v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h;
    v1l = swap;
    swap = v2l;
    v2l = v2h;
    v2h = swap;
  }
  state[0] = v0l;
  state[1] = v0h;
  state[2] = v1l;
  state[3] = v1h;
  state[4] = v2l;
  state[5] = v2h;
  state[6] = v3l;
  state[7] = v3h;
}

/** 1 when adding two low halves overflows. */
function carry(left: number, right: number): number {
  return (left + right) >>> 0 < left >>> 0 ? 1 : 0;
}
