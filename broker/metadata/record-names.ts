// Names in the bodies of records that hold many changes: each stands there once.
import type { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * Writes a name, or its number when `names`, those of this record so far, has it. Numbers count from 1; 0 says that a
 * new name follows.
 */
export function writeName(writer: ByteWriter, names: Map<string, number>, name: string): void {
  const number = names.get(name);
  writer.unsigned(number ?? 0);
  if (number !== undefined) return;
  names.set(name, names.size + 1);
  writer.text(name);
}

/** Reads what `writeName` wrote. Throws CORRUPT. */
export function readName(reader: ByteReader, names: string[]): string {
  const number = reader.unsigned();
  if (number === 0) {
    const name = reader.text();
    names.push(name);
    return name;
  }
  const name = names[number - 1];
  if (name === undefined) throw reader.broken(`refers to name ${number} of ${names.length}`);
  return name;
}
