// Finds where atomic groups end in bytes that have not been checked yet.
import { limits } from "../../base/index.ts";
import { claimedGroupRest, claimedSize, type RecordBuffer, recordHeaderSize } from "./record.ts";

/** What the headers in a block claim. */
export interface WholeGroups {
  /** Behind the last group that is whole; 0 when none is. */
  readonly end: number;
  /** Bytes from `end` on that must be there before looking again makes sense. */
  readonly wantedSize: number;
  /** A size that no record has, claimed by the record behind the last one that was looked at. */
  readonly wrongSize?: number;
}

/** Looks at a block that begins with a group, by its headers alone. */
export function wholeGroups(block: RecordBuffer): WholeGroups {
  const size = block.bytes.length;
  let end = 0;
  let place = 0;
  while (size - place >= recordHeaderSize) {
    const recordSize = claimedSize(block, place);
    if (recordSize < recordHeaderSize || recordSize > limits.recordSizeMax) {
      return { end, wantedSize: 0, wrongSize: recordSize };
    }
    if (size - place < recordSize) return { end, wantedSize: place - end + recordSize };
    place += recordSize;
    if (claimedGroupRest(block, place - recordSize) === 0) end = place;
  }
  return { end, wantedSize: place - end + recordHeaderSize };
}
