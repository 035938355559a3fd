// Writes protobuf's wire format into bytes that are large enough, because the caller has added up
// the sizes before; the size functions here say how much each field takes.
import { textSize, writeText } from "./text.ts";

/** Bytes of a varint of `value`, a whole number in `[0, 2^53)`. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Bytes of an int64 or int32; negative ones take ten. */
export function intSize(value: number): number {
  return value < 0 ? 10 : varintSize(value);
}

/** Bytes of a field that holds `size` bytes, without its tag. */
export function lengthSize(size: number): number {
  return varintSize(size) + size;
}

/** Bytes of a string field with a tag of one byte; 0 when it is left out because it is empty. */
export function textFieldSize(text: string): number {
  return text === "" ? 0 : 1 + lengthSize(textSize(text));
}

/** A place in bytes to write to. */
export class WireWriter {
  bytes: Uint8Array;
  /** Next byte to write. */
  pos = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Writes one byte: tags of the fields 1 to 15. */
  byte(value: number): void {
    this.bytes[this.pos++] = value;
  }

  /** Writes a varint, a whole number in `[0, 2^53)`. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.pos++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.bytes[this.pos++] = rest;
  }

  /** Writes an int64 or int32, a whole number in `(-2^53, 2^53)`. */
  int(value: number): void {
    if (value >= 0) {
      this.varint(value);
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (let count = 1; count < 10; count++) {
      this.bytes[this.pos++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.bytes[this.pos++] = Number(rest);
  }

  /** Writes length and text. */
  text(text: string): void {
    const size = textSize(text);
    this.varint(size);
    writeText(this.bytes, text, this.pos, size);
    this.pos += size;
  }

  /** Writes a string field with a tag of one byte, unless it is empty. */
  textField(tag: number, text: string): void {
    if (text === "") return;
    this.byte(tag);
    this.text(text);
  }

  /** Copies bytes. */
  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.pos);
    this.pos += bytes.length;
  }
}
