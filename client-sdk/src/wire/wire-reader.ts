// Reads protobuf fields from bytes without building objects for them. Throws RangeError on broken bytes.

/** A cursor over one protobuf message. `bytes` is not copied: views into it are handed out. */
export class WireReader {
  readonly #bytes: Buffer;
  #at: number;
  #end: number;

  constructor(bytes: Buffer, start = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Whether fields are left. */
  get more(): boolean {
    return this.#at < this.#end;
  }

  /** A varint as a number: exact within ±2^53; also the key of the next field. */
  varint(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const low = this.#bits(first, 4);
    if (!low.more) return low.value;
    const middle = this.#bits(this.#byte(), 4);
    if (!middle.more) return low.value + middle.value * 2 ** 28;
    const high = this.#bits(this.#byte(), 2);
    if (high.more) this.#broken();
    if ((high.value & 0x80) === 0) {
      return low.value + middle.value * 2 ** 28 + high.value * 2 ** 56;
    }
    // A negative number: two's complement over 64 bits, inverted part by part to stay exact.
    const inverted = (low.value ^ 0xfffffff) + (middle.value ^ 0xfffffff) * 2 ** 28;
    return -(inverted + ((high.value & 0xff) ^ 0xff) * 2 ** 56) - 1;
  }

  /** Up to `countMax` bytes of seven bits each, of which `first` is already read. */
  #bits(first: number, countMax: number): { value: number; more: boolean } {
    let byte = first;
    let value = byte & 0x7f;
    for (let count = 1; byte >= 0x80 && count < countMax; count++) {
      byte = this.#byte();
      value |= (byte & 0x7f) << (7 * count);
    }
    return { value, more: byte >= 0x80 };
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

  /** A nested message as a reader of its own. */
  nested(): WireReader {
    const start = this.#span();
    return new WireReader(this.#bytes, start, this.#at);
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

/** Milliseconds of a `google.protobuf.Timestamp` or `Duration` whose fields `reader` gives. */
export function readMilliseconds(reader: WireReader): number {
  let seconds = 0;
  let nanos = 0;
  while (reader.more) {
    const key = reader.varint();
    if (key === 8) seconds = reader.varint();
    else if (key === 16) nanos = reader.varint();
    else reader.skip(key);
  }
  return seconds * 1000 + Math.floor(nanos / 1_000_000);
}
