// Strings from bytes and back, fast for ASCII, which nearly all of them are. Bytes that are not
// UTF-8 are refused: they would break every consumer that they are handed to.

interface NativeText {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  latin1Write(this: Uint8Array, text: string, offset: number, length: number): number;
  utf8Write(this: Uint8Array, text: string, offset: number, length: number): number;
}

// These methods save the look-up of an encoding by name. They have no types, so that their
// presence is checked, and what every Node.js documents stands by.
const native: NativeText = {
  latin1Slice: nativeMethod("latin1Slice", function (start: number, end: number): string {
    return Buffer.from(this.buffer, this.byteOffset, this.length).toString("latin1", start, end);
  }),
  latin1Write: nativeMethod("latin1Write", function (text: string, at: number, size: number) {
    return Buffer.from(this.buffer, this.byteOffset, this.length).write(text, at, size, "latin1");
  }),
  utf8Write: nativeMethod("utf8Write", function (text: string, at: number, size: number) {
    return Buffer.from(this.buffer, this.byteOffset, this.length).write(text, at, size, "utf8");
  }),
};

function nativeMethod<A extends unknown[], R>(
  name: string,
  otherwise: (this: Uint8Array, ...args: A) => R,
): (this: Uint8Array, ...args: A) => R {
  const method: unknown = Reflect.get(Buffer.prototype, name);
  return typeof method === "function" ? (method as typeof otherwise) : otherwise;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Texts at most this long are kept for reuse; longer ones are rarely repeated. */
const internedSizeMax = 64;
/** Slots of the cache: at 64 characters each it stays under half a megabyte. */
const slotCount = 2048;
const slots: string[] = Array.from({ length: slotCount }, () => "");

/** Decodes `[start, end)`. Throws TypeError when it is not UTF-8. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (start === end) return "";
  return isAscii(bytes, start, end)
    ? native.latin1Slice.call(bytes, start, end)
    : strictUtf8.decode(bytes.subarray(start, end));
}

/**
 * Decodes like `decodeText`, but gives the very same string for the same bytes as long as its slot
 * of a small cache is not taken by another one. For names that come again and again.
 */
export function decodeInterned(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length === 0 || length > internedSizeMax) return decodeText(bytes, start, end);
  let hash = length;
  let seen = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    seen |= byte;
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  if (seen >= 0x80) return decodeText(bytes, start, end);
  const slot = (hash ^ (hash >>> 15)) & (slotCount - 1);
  const known = slots[slot] as string;
  if (known.length === length && isText(known, bytes, start)) return known;
  const text = native.latin1Slice.call(bytes, start, end);
  slots[slot] = text;
  return text;
}

/** Throws TypeError when `[start, end)` is not UTF-8. */
export function checkText(bytes: Uint8Array, start: number, end: number): void {
  if (!isAscii(bytes, start, end)) strictUtf8.decode(bytes.subarray(start, end));
}

/** UTF-8 size of `text` in bytes; equal to its length when it is ASCII. */
export function textSize(text: string): number {
  const length = text.length;
  for (let at = 0; at < length; at++) {
    if (text.charCodeAt(at) >= 0x80) return Buffer.byteLength(text);
  }
  return length;
}

/** Writes `text`, whose `textSize` is `size`, at `offset`. `bytes` must have the room. */
export function writeText(bytes: Uint8Array, text: string, offset: number, size: number): void {
  if (size !== text.length) {
    native.utf8Write.call(bytes, text, offset, size);
  } else if (size > 24) {
    native.latin1Write.call(bytes, text, offset, size);
  } else {
    for (let at = 0; at < size; at++) bytes[offset + at] = text.charCodeAt(at);
  }
}

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let seen = 0;
  for (let at = start; at < end; at++) seen |= bytes[at] as number;
  return seen < 0x80;
}

function isText(text: string, bytes: Uint8Array, start: number): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) !== bytes[start + at]) return false;
  }
  return true;
}
