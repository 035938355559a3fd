// Writes and reads the compact numbers and strings of progress and snapshot bodies: unsigned LEB128 up to
// 2^53 - 1, zigzag for differences, UTF-8 with its length before it. docs/format/progress-record.md shows them.
import { assert, MqError } from "../../base/index.ts";

const sizeHintDefault = 64;
/** Seven bits a byte: 8 bytes hold 56 bits, more than 2^53 - 1 needs. */
const varintSizeMax = 8;

/** Collects bytes; grows as needed. */
export class ByteWriter {
  #bytes: Buffer;
  #size = 0;

  constructor(sizeHintBytes: number = sizeHintDefault) {
    this.#bytes = Buffer.allocUnsafe(sizeHintBytes);
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  /** `[0, 255]`. */
  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#size++] = value;
  }

  /** A whole number in `[0, 2^53 - 1]`. */
  unsigned(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, `cannot be written unsigned: ${value}`);
    this.#room(varintSizeMax);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#size++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#size++] = rest;
  }

  /** A whole number in `[-2^52, 2^52 - 1]`. */
  signed(value: number): void {
    this.unsigned(value < 0 ? -2 * value - 1 : 2 * value);
  }

  /** The length and the bytes, which are copied. */
  bytes(value: Uint8Array): void {
    this.unsigned(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#size);
    this.#size += value.length;
  }

  /** The UTF-8 length and bytes. */
  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.unsigned(size);
    this.#room(size);
    this.#bytes.write(value, this.#size);
    this.#size += size;
  }

  /** What was written. The writer must not be used after. */
  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }

  #room(size: number): void {
    if (this.#size + size <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#size + size));
    larger.set(this.#bytes.subarray(0, this.#size));
    this.#bytes = larger;
  }
}

/** Reads what a ByteWriter wrote. Every method throws CORRUPT past the end or for an impossible value. */
export class ByteReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;

  /** Reads views of `bytes`; `what` names them in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  /** Bytes not read yet. */
  get rest(): number {
    return this.#bytes.length - this.#at;
  }

  byte(): number {
    const value = this.#bytes[this.#at++];
    if (value === undefined) throw this.broken("ends early");
    return value;
  }

  unsigned(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < varintSizeMax; count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return this.#safe(value);
      scale *= 0x80;
    }
    throw this.broken("holds a number of more than 8 bytes");
  }

  signed(): number {
    const value = this.unsigned();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A count of items that take at least one byte each, so that a broken count cannot ask for endless memory. */
  count(): number {
    const count = this.unsigned();
    if (count > this.rest)
      throw this.broken(`says ${count} items where ${this.rest} bytes are left`);
    return count;
  }

  /** A view of the bytes. */
  bytes(): Uint8Array {
    const size = this.count();
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  text(): string {
    const size = this.count();
    this.#at += size;
    return this.#bytes.toString("utf8", this.#at - size, this.#at);
  }

  /** Checks that nothing is left. */
  end(): void {
    if (this.rest !== 0) throw this.broken(`has ${this.rest} bytes too many`);
  }

  /** The error for these bytes. */
  broken(problem: string): MqError {
    return new MqError("CORRUPT", `${this.#what} ${problem}`);
  }

  #safe(value: number): number {
    if (!Number.isSafeInteger(value)) throw this.broken("holds a number over 2^53 - 1");
    return value;
  }
}
