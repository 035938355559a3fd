// The Status message, which every answer holds.
import { type BackwardWriter, textFieldSizeMax } from "./wire-writer.ts";

/** Outcome of a call or of one entry. */
export interface StatusView {
  /** Number of `Code`. */
  readonly code: number;
  readonly message: string;
}

/** Upper bound of the size of a field that holds the status. */
export function statusFieldSizeMax(status: StatusView): number {
  return 24 + textFieldSizeMax(status.message);
}

/** Writes a field that holds the status. */
export function writeStatusField(writer: BackwardWriter, tag: number, status: StatusView): void {
  const end = writer.start;
  if (status.message !== "") writer.textField(18, status.message);
  if (status.code !== 0) writer.intField(8, status.code);
  writer.headBefore(tag, end);
}
