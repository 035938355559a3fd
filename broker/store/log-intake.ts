// Cuts a stream of log bytes at the ends of atomic groups: what a slave appends is always whole, whatever
// the borders at which the bytes came.
import { limits, MqError } from "../../base/index.ts";
import {
  asRecordBuffer,
  claimedGroupRest,
  claimedSize,
  type RecordBuffer,
  recordHeaderSize,
} from "./record.ts";

/** Bytes of the log on their way in. */
export class LogIntake {
  #kept: Buffer[] = [];
  #keptSize = 0;
  /** Bytes that must be there before looking again makes sense. */
  #wantedSize = 0;

  /** Bytes that wait for the rest of their group. */
  get waitingBytes(): number {
    return this.#keptSize;
  }

  /** Takes the next bytes, which belong to it from now on; gives whole groups when there are any. Throws CORRUPT. */
  push(bytes: Buffer): RecordBuffer | undefined {
    this.#kept.push(bytes);
    this.#keptSize += bytes.length;
    if (this.#keptSize < this.#wantedSize) return undefined;
    const [only] = this.#kept;
    const all = this.#kept.length === 1 && only !== undefined ? only : Buffer.concat(this.#kept);
    const block = asRecordBuffer(all);
    const end = this.#lastGroupEnd(block);
    const rest = all.subarray(end);
    this.#kept = rest.length === 0 ? [] : [rest];
    this.#keptSize = rest.length;
    if (end === 0) return undefined;
    return end === all.length ? block : asRecordBuffer(all.subarray(0, end));
  }

  #lastGroupEnd(block: RecordBuffer): number {
    const size = block.bytes.length;
    let groupEnd = 0;
    let place = 0;
    while (size - place >= recordHeaderSize) {
      const recordSize = claimedSize(block, place);
      if (recordSize < recordHeaderSize || recordSize > limits.recordSizeMax) {
        throw new MqError("CORRUPT", `the master sent a record that claims ${recordSize} bytes`);
      }
      if (size - place < recordSize) {
        this.#wantedSize = place - groupEnd + recordSize;
        return groupEnd;
      }
      if (claimedGroupRest(block, place) === 0) groupEnd = place + recordSize;
      place += recordSize;
    }
    this.#wantedSize = place - groupEnd + recordHeaderSize;
    return groupEnd;
  }
}
