// The Status message, which every answer holds.
import { intSize, lengthSize, textFieldSize, type WireWriter } from "./wire-writer.ts";

/** Outcome of a call or of one entry. */
export interface StatusView {
  /** Number of `Code`. */
  readonly code: number;
  readonly message: string;
}

/** Bytes of a status inside its field. */
export function statusSize(status: StatusView): number {
  const codeSize = status.code === 0 ? 0 : 1 + intSize(status.code);
  return codeSize + textFieldSize(status.message);
}

/** Bytes of a field with a tag of one byte that holds the status. */
export function statusFieldSize(status: StatusView): number {
  return 1 + lengthSize(statusSize(status));
}

/** Writes the field. */
export function writeStatusField(writer: WireWriter, tag: number, status: StatusView): void {
  writer.byte(tag);
  writer.varint(statusSize(status));
  if (status.code !== 0) {
    writer.byte(8);
    writer.int(status.code);
  }
  writer.textField(18, status.message);
}
