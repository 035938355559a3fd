// Reads protobuf's wire format from one piece of bytes, front to back: tags, varints, lengths. It
// never reads outside of the message that it is in, and never makes objects of its own.
import { ProtoError } from "../codec.ts";
import { checkText, decodeInterned, decodeText } from "./text.ts";

/** Deepest nesting of unknown groups that is skipped. */
const groupDepthMax = 100;

const nothing = new Uint8Array(0);

/** A place in bytes, and the end of the message around it. */
export class WireReader {
  readonly bytes: Uint8Array;
  /** Next byte to read. */
  pos: number;
  /** End of the innermost message that was entered, exclusive. */
  end: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.pos = 0;
    this.end = bytes.length;
  }

  /** Reads a tag: field number × 8 + wire type. */
  tag(): number {
    const byte = this.pos < this.end ? (this.bytes[this.pos] as number) : 0x80;
    if (byte >= 0x80) return this.#longTag();
    this.pos++;
    if (byte < 8) this.#fail("field number 0");
    return byte;
  }

  /** Reads a length, and checks that so many bytes follow. */
  size(): number {
    const byte = this.pos < this.end ? (this.bytes[this.pos] as number) : 0x80;
    let size = byte;
    if (byte < 0x80) this.pos++;
    else size = this.#varint();
    if (size > this.end - this.pos) this.#fail(`${size} bytes announced`);
    return size;
  }

  /** Reads an int32, also one of an enum. Higher bits are dropped, as protobuf wants it. */
  int32(): number {
    const byte = this.pos < this.end ? (this.bytes[this.pos] as number) : 0x80;
    if (byte >= 0x80) return this.#longInt32();
    this.pos++;
    return byte;
  }

  /** Reads an int64 as a number; beyond ±2^53 its low bits are lost. */
  int64(): number {
    return this.#varint(true);
  }

  /** Reads a string. */
  text(): string {
    const start = this.#span();
    try {
      return decodeText(this.bytes, start, this.pos);
    } catch {
      return this.#fail("text that is not UTF-8");
    }
  }

  /** Reads a string that is likely to have been read before. */
  interned(): string {
    const start = this.#span();
    try {
      return decodeInterned(this.bytes, start, this.pos);
    } catch {
      return this.#fail("text that is not UTF-8");
    }
  }

  /** Passes a string and checks that it is one. Gives its size in bytes. */
  passText(): number {
    const start = this.#span();
    try {
      checkText(this.bytes, start, this.pos);
    } catch {
      this.#fail("text that is not UTF-8");
    }
    return this.pos - start;
  }

  /** Enters a message in this one; gives what `leave` needs. */
  enter(): number {
    const size = this.size();
    const outerEnd = this.end;
    this.end = this.pos + size;
    return outerEnd;
  }

  /** Leaves a message that was read to its end. */
  leave(outerEnd: number): void {
    this.end = outerEnd;
  }

  /** Passes a field that nobody knows, whose tag has been read. */
  skip(tag: number): void {
    this.#skipValue(tag, 0);
  }

  /** A view of `[start, end)` of the bytes. */
  view(start: number, end: number): Uint8Array {
    const { buffer, byteOffset } = this.bytes;
    return start === end ? nothing : new Uint8Array(buffer, byteOffset + start, end - start);
  }

  /** Passes a length and as many bytes; gives where these start. */
  #span(): number {
    const size = this.size();
    const start = this.pos;
    this.pos = start + size;
    return start;
  }

  #longTag(): number {
    const tag = this.#varint();
    if (tag > 0xffffffff || tag < 8) this.#fail("a tag out of range");
    return tag;
  }

  #longInt32(): number {
    // Two's complement of the low 32 bits, also of a value that was written with ten bytes.
    const { bytes } = this;
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.end) this.#fail("a number that is cut off");
      const byte = bytes[this.pos++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return this.#fail("a number of more than ten bytes");
  }

  #varint(signed: boolean = false): number {
    const { bytes } = this;
    let [low, middle, high] = [0, 0, 0];
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.end) this.#fail("a number that is cut off");
      const byte = bytes[this.pos++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift < 56) middle |= bits << (shift - 28);
      else high |= bits << (shift - 56);
      if (byte >= 0x80) continue;
      if (high === 0) return middle * 0x10000000 + low;
      const top = high & 0xff;
      return (signed && top >= 0x80 ? top - 0x100 : top) * 2 ** 56 + middle * 0x10000000 + low;
    }
    return this.#fail("a number of more than ten bytes");
  }

  #skipValue(tag: number, depth: number): void {
    switch (tag & 7) {
      case 0:
        this.#varint();
        return;
      case 1:
        this.#skipBytes(8);
        return;
      case 2:
        this.#span();
        return;
      case 3:
        this.#skipGroup(tag, depth);
        return;
      case 5:
        this.#skipBytes(4);
        return;
      default:
        this.#fail(`wire type ${tag & 7}`);
    }
  }

  #skipBytes(size: number): void {
    if (size > this.end - this.pos) this.#fail(`${size} bytes wanted`);
    this.pos += size;
  }

  #skipGroup(startTag: number, depth: number): void {
    if (depth >= groupDepthMax) this.#fail("groups nested too deeply");
    for (;;) {
      const tag = this.tag();
      if ((tag & 7) !== 4) {
        this.#skipValue(tag, depth + 1);
        continue;
      }
      // The end tag is the start tag with wire type 4.
      if (tag !== startTag + 1) this.#fail("a group that ends as another one");
      return;
    }
  }

  #fail(what: string): never {
    throw new ProtoError(`${what} at byte ${this.pos}, where a message ends at ${this.end}`);
  }
}
