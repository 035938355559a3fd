// Reads the log forward, record by record, checking each. The one reader behind recovery, replay
// and everything that follows the log from files.
import { limits, MqError } from "../../base/index.ts";
import {
  asRecordBuffer,
  checkRecord,
  claimedSize,
  type RecordBuffer,
  type RecordFault,
  RecordView,
  recordHeaderSize,
  recordMagic,
} from "./record.ts";
import type { Segments } from "./segments.ts";

/** Where and why a scan could not go on. */
export interface BadRecord {
  readonly position: number;
  readonly file: string;
  readonly fault: RecordFault;
}

/** A forward reading of `[position, end)`. */
export class LogScanner {
  readonly #segments: Segments;
  readonly #end: number;
  #position: number;
  #bad: BadRecord | undefined;

  /** `from` is a record's start; `end` (exclusive) where to stop: a record's end, or the end of the files. */
  constructor(segments: Segments, from: number, end: number) {
    this.#segments = segments;
    this.#position = from;
    this.#end = end;
  }

  /** Behind the last good record given. */
  get position(): number {
    return this.#position;
  }

  /** What stopped the scan before its end; undefined while all was good. */
  get bad(): BadRecord | undefined {
    return this.#bad;
  }

  /** The next records, none at the end or at a bad one. The bytes are a fresh buffer that views share. */
  async next(): Promise<RecordView[]> {
    const records: RecordView[] = [];
    if (this.#bad !== undefined) return records;
    let size: number = limits.logReadSize;
    while (records.length === 0 && this.#position < this.#end) {
      const segment = this.#segments.find(this.#position);
      if (segment === undefined) {
        this.#bad = { position: this.#position, file: this.#segments.folder, fault: "short" };
        break;
      }
      const blockEnd = Math.min(segment.end, this.#end, this.#position + size);
      const block = await readBlock(this.#segments, this.#position, blockEnd - this.#position);
      const isWhole = blockEnd === Math.min(segment.end, this.#end);
      const fault = this.#take(block, records);
      if (fault === undefined || (fault === "short" && records.length > 0)) break;
      if (fault === "short" && !isWhole) {
        size = Math.max(size * 2, neededSize(block));
        continue;
      }
      // A newer release begins a new segment: elsewhere its magic is a damaged one.
      const isNewer = fault === "version" && this.#position === segment.start;
      const said = fault === "version" && !isNewer ? "magic" : fault;
      this.#bad = { position: this.#position, file: segment.path, fault: said };
      break;
    }
    return records;
  }

  /** Takes the records of a block that starts at the current position; gives what ended it early. */
  #take(block: RecordBuffer, records: RecordView[]): RecordFault | undefined {
    const size = block.bytes.length;
    let place = 0;
    while (place < size) {
      const found = checkRecord(block, place, size, this.#position);
      if (typeof found === "string") return found;
      records.push(new RecordView(block, place));
      place += found;
      this.#position += found;
    }
    return undefined;
  }
}

/**
 * Gives every record of `[from, to)` in batches, checked. `from` is a record's start. Throws CORRUPT
 * at a bad record. Each batch has bytes of its own; the next is read when it is asked for.
 */
export async function* scanLog(
  segments: Segments,
  from: number,
  to: number,
): AsyncGenerator<RecordView[], void, void> {
  const scanner = new LogScanner(segments, from, to);
  while (scanner.position < to) {
    const records = await scanner.next();
    if (records.length > 0) {
      yield records;
      continue;
    }
    const bad = scanner.bad;
    if (bad === undefined) throw missingError(segments, scanner.position);
    throw corruptError(bad);
  }
}

/** As `scanLog`, from the first record at or behind `from`, any byte place, even before the log. */
export async function* scanTail(
  segments: Segments,
  from: number,
  to: number,
): AsyncGenerator<RecordView[], void, void> {
  const first = await findRecord(segments, Math.max(from, segments.start));
  if (first !== undefined && first < to) yield* scanLog(segments, first, to);
}

/** CORRUPT with file and position. */
export function corruptError(bad: BadRecord, why = ""): MqError {
  const hint =
    bad.fault === "version" ? "it was written by a newer release" : `its ${bad.fault} is wrong`;
  return new MqError(
    "CORRUPT",
    `the record at position ${bad.position} in ${bad.file} cannot be read: ${hint}${why}`,
    { facts: { file: bad.file, position: bad.position } },
  );
}

function missingError(segments: Segments, position: number): MqError {
  return new MqError("CORRUPT", `the log in ${segments.folder} has nothing at ${position}`, {
    facts: { file: segments.folder, position },
  });
}

async function readBlock(
  segments: Segments,
  position: number,
  size: number,
): Promise<RecordBuffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  const count = await segments.read(position, bytes);
  return asRecordBuffer(bytes.subarray(0, count));
}

function neededSize(block: RecordBuffer): number {
  return block.bytes.length < recordHeaderSize ? recordHeaderSize : claimedSize(block, 0);
}

const magicBytes = Buffer.alloc(4);
magicBytes.writeUInt32BE(recordMagic);

/** Position of the first valid record at or behind `from` (any byte place), searched through all later files; undefined when there is none. */
export async function findRecord(segments: Segments, from: number): Promise<number | undefined> {
  for (const segment of segments.all) {
    if (segment.end <= from) continue;
    const found = await findInSegment(segments, Math.max(from, segment.start), segment.end);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function findInSegment(
  segments: Segments,
  from: number,
  end: number,
): Promise<number | undefined> {
  for (let start = from; start < end; ) {
    const size = Math.min(limits.logReadSize, end - start);
    const block = await readBlock(segments, start, size);
    let place = block.bytes.indexOf(magicBytes);
    for (; place !== -1; place = block.bytes.indexOf(magicBytes, place + 1)) {
      const position = start + place - 4;
      if (position >= from && (await isRecord(segments, position, end))) return position;
    }
    if (block.bytes.length < 8) return undefined;
    // Magics that lie across two blocks are seen by the second one.
    start += Math.max(8, block.bytes.length - 8);
    if (block.bytes.length < size) return undefined;
    if (start + 8 >= end) return undefined;
  }
  return undefined;
}

async function isRecord(segments: Segments, position: number, end: number): Promise<boolean> {
  if (end - position < recordHeaderSize) return false;
  const head = await readBlock(segments, position, recordHeaderSize);
  const fault = checkRecord(head, 0, head.bytes.length, position);
  if (fault !== "short") return typeof fault === "number";
  const size = claimedSize(head, 0);
  if (size > end - position) return false;
  const whole = await readBlock(segments, position, size);
  return typeof checkRecord(whole, 0, whole.bytes.length, position) === "number";
}
