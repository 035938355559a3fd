// Cuts a stream of log bytes at the ends of atomic groups: what a slave appends is always whole, whatever
// the borders at which the bytes came.
import { MqError } from "../../base/index.ts";
import { asRecordBuffer, type RecordBuffer } from "./record.ts";
import { wholeGroups } from "./whole-groups.ts";

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

  /**
   * Takes the next bytes; gives whole groups when there are any. They are good until `bytes` change: what it keeps is
   * copied. Throws CORRUPT.
   */
  push(bytes: Buffer): RecordBuffer | undefined {
    const all = this.#joined(bytes);
    if (all === undefined) return undefined;
    const block = asRecordBuffer(all);
    const { end, wantedSize, wrongSize } = wholeGroups(block);
    if (wrongSize !== undefined) {
      throw new MqError("CORRUPT", `the master sent a record that claims ${wrongSize} bytes`);
    }
    this.#wantedSize = wantedSize;
    if (end < all.length) this.#keep(all.subarray(end));
    if (end === 0) return undefined;
    return end === all.length ? block : asRecordBuffer(all.subarray(0, end));
  }

  /** With what was kept before; undefined when that is too little still. */
  #joined(bytes: Buffer): Buffer | undefined {
    if (this.#keptSize === 0) return bytes;
    if (this.#keptSize + bytes.length < this.#wantedSize) {
      this.#keep(bytes);
      return undefined;
    }
    const all = Buffer.concat([...this.#kept, bytes]);
    this.#kept = [];
    this.#keptSize = 0;
    return all;
  }

  #keep(bytes: Buffer): void {
    this.#kept.push(Buffer.from(bytes));
    this.#keptSize += bytes.length;
  }
}
