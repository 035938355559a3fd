// Encoder of header blocks, the small half of HPACK: static names, plain literals, never the dynamic table.
// Blocks therefore do not depend on a connection and are built once.
import { staticTable } from "./hpack-static-table.ts";

const nameIndices = new Map<string, number>();
const pairIndices = new Map<string, number>();
for (const [index, [name, value]] of staticTable.entries()) {
  if (!nameIndices.has(name)) nameIndices.set(name, index + 1);
  if (value !== "") pairIndices.set(`${name}\0${value}`, index + 1);
}

/**
 * Encodes fields in the given order. Names must be lower case; values are Latin-1 without control characters.
 * The bytes belong to the caller.
 */
export function encodeHeaders(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  const bytes: number[] = [];
  for (const [name, value] of fields) {
    const pair = pairIndices.get(`${name}\0${value}`);
    if (pair !== undefined) {
      pushInteger(bytes, pair, { mask: 127, flags: 0x80 });
      continue;
    }
    const nameIndex = nameIndices.get(name) ?? 0;
    pushInteger(bytes, nameIndex, { mask: 15, flags: 0 });
    if (nameIndex === 0) pushString(bytes, name);
    pushString(bytes, value);
  }
  return Buffer.from(bytes);
}

function pushInteger(
  bytes: number[],
  value: number,
  prefix: { readonly mask: number; readonly flags: number },
): void {
  if (value < prefix.mask) {
    bytes.push(prefix.flags | value);
    return;
  }
  bytes.push(prefix.flags | prefix.mask);
  let rest = value - prefix.mask;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
}

function pushString(bytes: number[], text: string): void {
  pushInteger(bytes, text.length, { mask: 127, flags: 0 });
  for (const byte of Buffer.from(text, "latin1")) bytes.push(byte);
}
