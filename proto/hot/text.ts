// Strings from bytes and back, fast for ASCII, which nearly all of them are. Bytes that are not
// UTF-8 are refused: they would break every consumer that they are handed to.

type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;

/** Node.js' own method behind `toString("latin1")`: it saves the look-up of the encoding. */
const nativeSlice: unknown = Reflect.get(Buffer.prototype, "latin1Slice");
const latin1Slice: Latin1Slice =
  typeof nativeSlice === "function" ? (nativeSlice as Latin1Slice) : documentedSlice;

function documentedSlice(this: Uint8Array, start: number, end: number): string {
  return Buffer.from(this.buffer, this.byteOffset, this.length).toString("latin1", start, end);
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
    ? latin1Slice.call(bytes, start, end)
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
  const text = latin1Slice.call(bytes, start, end);
  slots[slot] = text;
  return text;
}

/** Throws TypeError when `[start, end)` is not UTF-8. */
export function checkText(bytes: Uint8Array, start: number, end: number): void {
  if (!isAscii(bytes, start, end)) strictUtf8.decode(bytes.subarray(start, end));
}

/** Upper bound of the UTF-8 size of `text` in bytes. */
export function textSizeMax(text: string): number {
  return text.length * 3;
}

/**
 * Writes `text` so that it ends before `end`, and gives where it starts. `bytes` must have
 * `textSizeMax` bytes before `end`.
 */
export function writeTextBefore(bytes: Uint8Array, end: number, text: string): number {
  const start = end - text.length;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x80) return writeUtf8Before(bytes, end, text);
    bytes[start + at] = unit;
  }
  return start;
}

function writeUtf8Before(bytes: Uint8Array, end: number, text: string): number {
  const size = Buffer.byteLength(text);
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).write(text, end - size, size, "utf8");
  return end - size;
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
