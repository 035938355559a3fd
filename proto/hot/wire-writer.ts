// Writes protobuf's wire format from the end of a buffer to its beginning: lengths stand before
// what they count, so that going backwards each of them is known when it is written.
import { textSizeMax, writeTextBefore } from "./text.ts";

/** Most bytes that a varint takes. */
const varintSizeMax = 10;
/** Most bytes of a tag and a length. */
const headSizeMax = 2 + varintSizeMax;

/** Upper bound of a string field's size. */
export function textFieldSizeMax(text: string): number {
  return headSizeMax + textSizeMax(text);
}

/** A buffer that is filled from its end; `start` is the place of the first byte written. */
export class BackwardWriter {
  bytes: Uint8Array;
  /** Last byte written; what was written is `[start, bytes.length)`. */
  start: number;

  /** The caller makes the buffer large enough for all that it writes. */
  constructor(sizeMax: number) {
    this.bytes = Buffer.allocUnsafe(sizeMax);
    this.start = sizeMax;
  }

  /** Starts anew in the same buffer, or in a larger one. What was written is overwritten. */
  reset(sizeMax: number): void {
    if (this.bytes.length < sizeMax) this.bytes = Buffer.allocUnsafe(2 * sizeMax);
    this.start = this.bytes.length;
  }

  /** What was written. */
  written(): Uint8Array {
    return this.bytes.subarray(this.start);
  }

  /** Writes a varint, a whole number in `[0, 2^53)`. */
  varint(value: number): void {
    if (value < 0x80) {
      this.bytes[--this.start] = value;
      return;
    }
    this.start -= varintSize(value);
    putVarint(this.bytes, this.start, value);
  }

  /** Writes a field of type int64, int32 or enum, a whole number in `(-2^53, 2^53)`. */
  intField(tag: number, value: number): void {
    if (value >= 0) this.varint(value);
    else this.#negative(value);
    this.varint(tag);
  }

  /** Writes a string field. */
  textField(tag: number, text: string): void {
    const end = this.start;
    this.start = writeTextBefore(this.bytes, end, text);
    this.headBefore(tag, end);
  }

  /** Writes tag and length of a field whose content ends at `end` and starts at `start`. */
  headBefore(tag: number, end: number): void {
    this.varint(end - this.start);
    this.varint(tag);
  }

  /** Copies bytes. */
  raw(bytes: Uint8Array): void {
    this.start -= bytes.length;
    this.bytes.set(bytes, this.start);
  }

  #negative(value: number): void {
    this.start -= varintSizeMax;
    let rest = BigInt.asUintN(64, BigInt(value));
    for (let at = this.start; at < this.start + varintSizeMax - 1; at++) {
      this.bytes[at] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.start + varintSizeMax - 1] = Number(rest);
  }
}

/** Writes a varint, a whole number in `[0, 2^53)`, at `offset`; gives the place after it. */
export function putVarint(bytes: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80);
  }
  bytes[at++] = rest;
  return at;
}

/** Bytes of a varint, a whole number in `[0, 2^53)`. */
export function varintSize(value: number): number {
  if (value < 0x4000) return value < 0x80 ? 1 : 2;
  if (value < 0x10000000) return value < 0x200000 ? 3 : 4;
  let size = 5;
  for (let rest = value / 2 ** 35; rest >= 1; rest /= 0x80) size++;
  return size;
}
