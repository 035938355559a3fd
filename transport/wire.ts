// The protobuf wire format for the few small messages of health and reflection. Not for hot paths.
import { GrpcStatus, RpcError } from "./status.ts";

/** A field of a message. `bytes` is empty for other wire types than 2, `value` is 0 for that one. */
export interface WireField {
  readonly number: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

const noBytes = new Uint8Array(0);

/** The fields of a message, in order; `bytes` are views. Throws RpcError INVALID_ARGUMENT when broken. */
export function fieldsOf(message: Uint8Array): WireField[] {
  const fields: WireField[] = [];
  const cursor = { message, at: 0 };
  while (cursor.at < message.length) {
    const tag = varint(cursor);
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case 0:
        fields.push({ number, value: varint(cursor), bytes: noBytes });
        break;
      case 1:
        skip(cursor, 8);
        break;
      case 2:
        fields.push({ number, value: 0, bytes: skip(cursor, varint(cursor)) });
        break;
      case 5:
        skip(cursor, 4);
        break;
      default:
        throw broken();
    }
  }
  return fields;
}

/** The field's bytes as UTF-8. */
export function text(field: WireField): string {
  return new TextDecoder().decode(field.bytes);
}

interface Cursor {
  readonly message: Uint8Array;
  at: number;
}

function varint(cursor: Cursor): number {
  let value = 0;
  for (let factor = 1; factor <= 2 ** 63; factor *= 128) {
    const byte = cursor.message[cursor.at];
    if (byte === undefined) throw broken();
    cursor.at += 1;
    value += (byte & 127) * factor;
    if (byte < 128) return value;
  }
  throw broken();
}

function skip(cursor: Cursor, size: number): Uint8Array {
  const start = cursor.at;
  cursor.at += size;
  if (cursor.at > cursor.message.length) throw broken();
  return cursor.message.subarray(start, cursor.at);
}

function broken(): RpcError {
  return new RpcError(GrpcStatus.invalidArgument, "the message is not valid protobuf");
}

/** Writes a message field by field. */
export class MessageWriter {
  readonly #bytes: number[] = [];

  /** A varint field; `value` is a whole number in `[0, 2^53)`. */
  number(field: number, value: number): this {
    this.#varint(field * 8);
    this.#varint(value);
    return this;
  }

  /** A length-delimited field: bytes, text or a message. */
  bytes(field: number, value: Uint8Array | string): this {
    const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value;
    this.#varint(field * 8 + 2);
    this.#varint(bytes.length);
    for (const byte of bytes) this.#bytes.push(byte);
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  #varint(value: number): void {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#bytes.push((rest % 128) | 128);
    this.#bytes.push(rest);
  }
}
