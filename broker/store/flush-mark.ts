// The flush mark: a few bytes that say up to where the log was known to be on stable storage, and
// during which running of the machine. Recovery needs it to tell a power cut's torn tail from
// damage. docs/format/checkpoint.md.
import { crc32 } from "node:zlib";
import type { Disk, DiskFile } from "./disk.ts";
import { readWhole } from "./disk.ts";
import { getLong, setLong } from "./record.ts";

/** What the mark says. */
export interface FlushMark {
  /** Counts the writings of the mark; the higher of the two slots counts. */
  readonly sequence: number;
  /** The log was flushed up to here. */
  readonly position: number;
  /** The machine's running in which the mark was written, see `Disk.bootId`. */
  readonly bootId: string;
}

/** Its name in the data folder. */
export const flushMarkFile = "flushed";
const markMagic = 0x434d4631;
const bootIdSizeMax = 40;

/** Bytes of one mark. */
export const markSize = 72;
/** Each slot lies in a sector of its own, so that writing one cannot tear the other. */
const slotSize = 512;

/** The bytes of a mark. */
export function encodeFlushMark(mark: FlushMark): Buffer {
  const bytes = Buffer.alloc(markSize);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bootId = mark.bootId.slice(0, bootIdSizeMax);
  view.setUint32(0, markMagic);
  setLong(view, 8, mark.sequence);
  setLong(view, 16, mark.position);
  view.setUint8(24, bootId.length);
  bytes.write(bootId, 25, "latin1");
  view.setUint32(4, crc32(bytes.subarray(8)));
  return bytes;
}

function decodeFlushMark(bytes: Buffer): FlushMark | undefined {
  if (bytes.length < markSize) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, markSize);
  if (view.getUint32(0) !== markMagic) return undefined;
  if (view.getUint32(4) !== crc32(bytes.subarray(8, markSize))) return undefined;
  const bootId = bytes.toString("latin1", 25, 25 + view.getUint8(24));
  return { sequence: getLong(view, 8), position: getLong(view, 16), bootId };
}

/** Reads the newest mark; undefined when there is none that is whole. */
export async function readFlushMark(disk: Disk, folder: string): Promise<FlushMark | undefined> {
  const bytes = await readWhole(disk, `${folder}/${flushMarkFile}`);
  if (bytes === undefined) return undefined;
  const one = decodeFlushMark(bytes);
  const other = decodeFlushMark(bytes.subarray(slotSize));
  if (one === undefined || other === undefined) return one ?? other;
  return one.sequence > other.sequence ? one : other;
}

/** Writes marks, in turn to the two slots: a power cut leaves at least the older one. */
export class FlushMarkFile {
  readonly #file: DiskFile;
  readonly #bootId: string;
  #sequence: number;
  #saved = -1;

  private constructor(file: DiskFile, bootId: string, sequence: number) {
    this.#file = file;
    this.#bootId = bootId;
    this.#sequence = sequence;
  }

  /** Opens or makes the file in `folder`; goes on behind what is there. */
  static async open(disk: Disk, folder: string): Promise<FlushMarkFile> {
    const sequence = (await readFlushMark(disk, folder))?.sequence ?? 0;
    const file = await disk.open(`${folder}/${flushMarkFile}`, { create: true });
    await disk.syncFolder(folder);
    return new FlushMarkFile(file, await disk.bootId(), sequence);
  }

  /** Says durably that the log is flushed up to `position`; does nothing when that is said already. One call at a time. */
  async save(position: number): Promise<void> {
    if (position === this.#saved) return;
    const sequence = this.#sequence + 1;
    const bytes = encodeFlushMark({ sequence, position, bootId: this.#bootId });
    await this.#file.write(bytes, (sequence % 2) * slotSize);
    await this.#file.datasync();
    this.#sequence = sequence;
    this.#saved = position;
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#file.close();
  }
}
