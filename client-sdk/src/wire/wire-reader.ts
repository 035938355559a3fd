// Reads protobuf fields from bytes without building objects for them. Throws RangeError on broken bytes.

/** A cursor over one protobuf message. `bytes` is not copied: views into it are handed out. */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** Whether fields are left. */
  get more(): boolean {
    return this.#at < this.#end;
  }

  /** A varint as a number: exact within ±2^53; also the key of the next field. */
  varint(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let middle = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      middle |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low + middle * 2 ** 28;
    }
    const ninth = this.#byte();
    const tenth = ninth < 0x80 ? 0 : this.#byte();
    if (tenth > 1) this.#broken();
    if (tenth === 0) return low + middle * 2 ** 28 + (ninth & 0x7f) * 2 ** 56;
    // A negative number: two's complement over 64 bits, inverted part by part to stay exact.
    const inverted = (low ^ 0xfffffff) + (middle ^ 0xfffffff) * 2 ** 28;
    return -(inverted + ((ninth & 0x7f) ^ 0x7f) * 2 ** 56) - 1;
  }

  #byte(): number {
    if (this.#at >= this.#end) this.#broken();
    return this.#bytes[this.#at++] ?? 0;
  }

  /** The inside of a length-delimited field as [start, end) of the given bytes; moves behind it. */
  #span(): number {
    const size = this.varint();
    const start = this.#at;
    if (size < 0 || size > this.#end - start) this.#broken();
    this.#at = start + size;
    return start;
  }

  /** A string field. */
  text(): string {
    const start = this.#span();
    return this.#bytes.toString("utf8", start, this.#at);
  }

  /** A bytes field as a view. */
  view(): Buffer {
    const start = this.#span();
    return this.#bytes.subarray(start, this.#at);
  }

  /** Goes into a nested message: `more` is now about its fields. Give the result to `leave` behind the last one. */
  enter(): number {
    const outerEnd = this.#end;
    const start = this.#span();
    this.#end = this.#at;
    this.#at = start;
    return outerEnd;
  }

  /** Goes back to the outer message, behind the nested one. */
  leave(outerEnd: number): void {
    this.#at = this.#end;
    this.#end = outerEnd;
  }

  /** Moves behind a field of the given key that is not wanted. */
  skip(key: number): void {
    switch (key & 7) {
      case 0:
        this.varint();
        return;
      case 1:
        return this.#advance(8);
      case 2:
        this.#span();
        return;
      case 5:
        return this.#advance(4);
      default:
        this.#broken();
    }
  }

  #advance(size: number): void {
    if (size > this.#end - this.#at) this.#broken();
    this.#at += size;
  }

  #broken(): never {
    throw new RangeError(`broken protobuf bytes at ${this.#at} of ${this.#end}`);
  }
}

/** Reads a field that is a `google.protobuf.Timestamp` or `Duration`, in milliseconds. */
export function readMilliseconds(reader: WireReader): number {
  const outerEnd = reader.enter();
  let seconds = 0;
  let nanos = 0;
  while (reader.more) {
    const key = reader.varint();
    if (key === 8) seconds = reader.varint();
    else if (key === 16) nanos = reader.varint();
    else reader.skip(key);
  }
  reader.leave(outerEnd);
  return seconds * 1000 + Math.floor(nanos / 1_000_000);
}
