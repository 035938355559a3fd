// The flush mark: a few bytes that say up to where the log was known to be on stable storage, and
// during which running of the machine. Recovery needs it to tell a power cut's torn tail from
// damage. docs/format/checkpoint.md.
import { crc32 } from "node:zlib";
import type { Disk, DiskFile } from "./disk.ts";
import { readWhole } from "./disk.ts";
import { getLong, setLong } from "./record.ts";

/** What the mark says. */
export interface FlushMark {
  /** The log was flushed up to here. */
  readonly position: number;
  /** The machine's running in which the mark was written, see `Disk.bootId`. */
  readonly bootId: string;
}

const fileName = "flushed";
const markMagic = 0x434d4631;
const markSize = 64;
const bootIdSizeMax = 40;

/** Reads the mark; undefined when it is missing or damaged. */
export async function readFlushMark(disk: Disk, folder: string): Promise<FlushMark | undefined> {
  const bytes = await readWhole(disk, `${folder}/${fileName}`);
  if (bytes === undefined || bytes.length !== markSize) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== markMagic || view.getUint32(4) !== crc32(bytes.subarray(8))) {
    return undefined;
  }
  const bootId = bytes.toString("latin1", 17, 17 + view.getUint8(16));
  return { position: getLong(view, 8), bootId };
}

/** The bytes of a mark. */
export function encodeFlushMark(mark: FlushMark): Buffer {
  const bytes = Buffer.alloc(markSize);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const bootId = mark.bootId.slice(0, bootIdSizeMax);
  setLong(view, 8, mark.position);
  view.setUint8(16, bootId.length);
  bytes.write(bootId, 17, "latin1");
  view.setUint32(0, markMagic);
  view.setUint32(4, crc32(bytes.subarray(8)));
  return bytes;
}

/** Writes the mark in place: it fits one sector, so a power cut leaves the old or the new one. */
export class FlushMarkFile {
  readonly #file: DiskFile;
  readonly #bootId: string;
  #saved = -1;

  private constructor(file: DiskFile, bootId: string) {
    this.#file = file;
    this.#bootId = bootId;
  }

  /** Opens or makes the file in `folder`. */
  static async open(disk: Disk, folder: string): Promise<FlushMarkFile> {
    const file = await disk.open(`${folder}/${fileName}`, { create: true });
    await disk.syncFolder(folder);
    return new FlushMarkFile(file, await disk.bootId());
  }

  /** Says durably that the log is flushed up to `position`; does nothing when that is said already. One call at a time. */
  async save(position: number): Promise<void> {
    if (position === this.#saved) return;
    await this.#file.write(encodeFlushMark({ position, bootId: this.#bootId }), 0);
    await this.#file.datasync();
    this.#saved = position;
  }

  /** Closes the file. */
  close(): Promise<void> {
    return this.#file.close();
  }
}
