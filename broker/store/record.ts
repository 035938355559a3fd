// The record of the commit log: docs/format/commit-log.md. Encodes into a given buffer, checks
// bytes, and reads fields on demand. Knows nothing of files.
import { crc32 } from "node:zlib";
import {
  type Epoch,
  limits,
  type Position,
  type QueueOffset,
  epoch as toEpoch,
  position as toPosition,
  queueOffset as toQueueOffset,
} from "../../base/index.ts";

/** What a record is. Values are in the log: never reuse one. */
export const RecordType = {
  message: 1,
  deliveredTimer: 2,
  halfMessage: 3,
  transactionEnd: 4,
  progress: 5,
  metadata: 6,
  epochStart: 7,
  snapshot: 8,
  /** A message that is not in its queue before it is due; see `isHeld`. */
  delayedMessage: 9,
  /** Where held messages stand, and which of them are held no more. */
  held: 10,
  /** Another copy of a held message, made because the segment of the one before goes. */
  carriedMessage: 11,
} as const;

/** Flag of a record that a client has sent, as it came; the broker's own copies of it are without. */
export const sentFlag = 2;

/** Whether a record of this type begins the life of a held message: a due time stands in it, and no queue has it yet. */
export function isHeld(type: number): boolean {
  return type === RecordType.delayedMessage || type === RecordType.halfMessage;
}

/** Whether a record of this type has a queue offset and an entry in a consume queue. */
export function isQueued(type: number): boolean {
  return type === RecordType.message || type === RecordType.deliveredTimer;
}

/** A record to be appended. The bytes are copied by `append` before it returns. */
export interface RecordDraft {
  /** One of `RecordType`. `message` and `deliveredTimer` get a queue offset and a consume-queue entry. */
  readonly type: number;
  /** 8 bits for the owner of the type; 0 by default. */
  readonly flags?: number;
  /** Empty when the record belongs to no topic. At most 65,535 UTF-8 bytes. */
  readonly topic: string;
  /** -1 when none. */
  readonly queueId: number;
  readonly systemProperties: Uint8Array;
  readonly userProperties: Uint8Array;
  readonly body: Uint8Array;
  /** Unsigned 32 bits, see `tagHash`; 0 by default. */
  readonly tagHash?: number;
  /** `[0, 2^53 - 1]`; 0 (the default) is no message group. */
  readonly messageGroupHash?: number;
  /** Of a held message and its copies: when it is due, milliseconds since 1970, `[0, 2^53 - 1]`. Not for queued types. */
  readonly dueMs?: number;
}

const noBytes = new Uint8Array(0);

/** Opens an epoch. */
export const epochStartDraft: RecordDraft = {
  type: RecordType.epochStart,
  topic: "",
  queueId: -1,
  systemProperties: noBytes,
  userProperties: noBytes,
  body: noBytes,
};

/** Bytes with the two faces that reading and writing need. */
export interface RecordBuffer {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** What the log adds to a draft. */
export interface RecordStamp {
  position: number;
  queueOffset: number;
  epoch: number;
  storeTimeMs: number;
  /** Records of the same atomic group that follow. */
  groupRest: number;
}

/** Size of the fixed part of a record, bytes. */
export const recordHeaderSize = 80;

/** "CMQ" and the version of the format, big-endian. */
export const recordMagic = 0x434d5131;
/** Magics of later versions reach up to "CMQ9". */
const magicMax = 0x434d5139;

const at = {
  length: 0,
  magic: 4,
  checksum: 8,
  type: 12,
  flags: 13,
  topicSize: 14,
  groupRest: 16,
  queueId: 20,
  position: 24,
  /** Of held messages, which have none: when they are due. */
  queueOffset: 32,
  epoch: 40,
  storeTime: 48,
  systemPropertiesSize: 56,
  userPropertiesSize: 60,
  bodySize: 64,
  tagHash: 68,
  messageGroupHash: 72,
} as const;

const two32 = 2 ** 32;

/** Writes a whole number in `[0, 2^53 - 1]` as 64 bits, big-endian. */
export function setLong(view: DataView, place: number, value: number): void {
  view.setUint32(place, Math.floor(value / two32));
  view.setUint32(place + 4, value >>> 0);
}

/** Reads 64 bits, big-endian; exact up to 2^53 - 1. */
export function getLong(view: DataView, place: number): number {
  return view.getUint32(place) * two32 + view.getUint32(place + 4);
}

/** Makes the buffer of `sizeBytes` that records are encoded into; its bytes are not cleared. */
export function allocateRecordBuffer(sizeBytes: number): RecordBuffer {
  return asRecordBuffer(Buffer.allocUnsafeSlow(sizeBytes));
}

/** Lets records be read from bytes; shares them. */
export function asRecordBuffer(bytes: Buffer): RecordBuffer {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}

/** Bytes a draft takes in the log, a multiple of 8. `topicSize` is the topic in UTF-8 bytes. */
export function recordSize(draft: RecordDraft, topicSize: number): number {
  const content =
    topicSize + draft.systemProperties.length + draft.userProperties.length + draft.body.length;
  return alignUp(recordHeaderSize + content);
}

function alignUp(size: number): number {
  return Math.ceil(size / 8) * 8;
}

/** Writes one record at `start` of `target`, which has room for it. Gives the place behind it. */
export function encodeRecord(
  target: RecordBuffer,
  start: number,
  source: { readonly draft: RecordDraft; readonly topicBytes: Uint8Array },
  stamp: RecordStamp,
): number {
  const { bytes, view } = target;
  const { draft, topicBytes } = source;
  const end = start + recordSize(draft, topicBytes.length);
  view.setUint32(start + at.length, end - start);
  view.setUint32(start + at.magic, recordMagic);
  view.setUint8(start + at.type, draft.type);
  view.setUint8(start + at.flags, draft.flags ?? 0);
  view.setUint16(start + at.topicSize, topicBytes.length);
  view.setUint32(start + at.groupRest, stamp.groupRest);
  view.setInt32(start + at.queueId, draft.queueId);
  setLong(view, start + at.position, stamp.position);
  setLong(view, start + at.queueOffset, draft.dueMs ?? stamp.queueOffset);
  setLong(view, start + at.epoch, stamp.epoch);
  setLong(view, start + at.storeTime, stamp.storeTimeMs);
  view.setUint32(start + at.systemPropertiesSize, draft.systemProperties.length);
  view.setUint32(start + at.userPropertiesSize, draft.userProperties.length);
  view.setUint32(start + at.bodySize, draft.body.length);
  view.setUint32(start + at.tagHash, draft.tagHash ?? 0);
  setLong(view, start + at.messageGroupHash, draft.messageGroupHash ?? 0);
  let place = start + recordHeaderSize;
  bytes.set(topicBytes, place);
  place += topicBytes.length;
  bytes.set(draft.systemProperties, place);
  place += draft.systemProperties.length;
  bytes.set(draft.userProperties, place);
  place += draft.userProperties.length;
  bytes.set(draft.body, place);
  place += draft.body.length;
  while (place < end) bytes[place++] = 0;
  view.setUint32(start + at.checksum, checksum(bytes, start, end));
  return end;
}

function checksum(bytes: Buffer, start: number, end: number): number {
  return crc32(bytes.subarray(start + at.type, end));
}

/** Why bytes are no record: `short` needs more bytes, `version` was written by a newer release. */
export type RecordFault = "short" | "length" | "magic" | "version" | "position" | "checksum";

/**
 * Checks the record at `start` of `source`, whose valid bytes end at `end` (exclusive), expected at
 * log position `position`. Gives its size in bytes, or what is wrong.
 */
export function checkRecord(
  source: RecordBuffer,
  start: number,
  end: number,
  position: number,
): number | RecordFault {
  const { bytes, view } = source;
  if (end - start < recordHeaderSize) return "short";
  const magic = view.getUint32(start + at.magic);
  if (magic !== recordMagic) {
    return magic > recordMagic && magic <= magicMax ? "version" : "magic";
  }
  const size = view.getUint32(start + at.length);
  if (size > limits.recordSizeMax || size !== sizeFromParts(view, start)) return "length";
  if (getLong(view, start + at.position) !== position) return "position";
  if (end - start < size) return "short";
  if (view.getUint32(start + at.checksum) !== checksum(bytes, start, start + size)) {
    return "checksum";
  }
  return size;
}

/**
 * Whether the bytes at `start`, which end at `end`, are headed as the record of `size` bytes at log
 * position `position`. For memory that was written by this process: no checksum.
 */
export function isHeadedAs(
  source: RecordBuffer,
  range: { readonly start: number; readonly end: number },
  place: { readonly position: number; readonly size: number },
): boolean {
  const { view } = source;
  const { start, end } = range;
  return (
    end - start >= Math.max(recordHeaderSize, place.size) &&
    view.getUint32(start + at.length) === place.size &&
    view.getUint32(start + at.magic) === recordMagic &&
    getLong(view, start + at.position) === place.position
  );
}

/** Size that the header of a record claims, bytes; not to be trusted before `checkRecord`. */
export function claimedSize(source: RecordBuffer, start: number): number {
  return source.view.getUint32(start + at.length);
}

/** Records of its group that follow, as the header of a record claims; not to be trusted before `checkRecord`. */
export function claimedGroupRest(source: RecordBuffer, start: number): number {
  return source.view.getUint32(start + at.groupRest);
}

function sizeFromParts(view: DataView, start: number): number {
  return alignUp(
    recordHeaderSize +
      view.getUint16(start + at.topicSize) +
      view.getUint32(start + at.systemPropertiesSize) +
      view.getUint32(start + at.userPropertiesSize) +
      view.getUint32(start + at.bodySize),
  );
}

/**
 * A record that has been checked. Fields are read on demand; the byte fields are views of the
 * buffer the record lies in, valid as long as somebody holds them and never changed.
 */
export class RecordView {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly #start: number;

  /** Does not check: `checkRecord` comes first. */
  constructor(source: RecordBuffer, start: number) {
    this.#bytes = source.bytes;
    this.#view = source.view;
    this.#start = start;
  }

  get type(): number {
    return this.#view.getUint8(this.#start + at.type);
  }

  get flags(): number {
    return this.#view.getUint8(this.#start + at.flags);
  }

  get topic(): string {
    const from = this.#start + recordHeaderSize;
    return this.#bytes.toString("utf8", from, from + this.#topicSize);
  }

  /** Whether its topic is this one, in UTF-8; far cheaper than reading the topic. */
  hasTopic(bytes: Uint8Array): boolean {
    const size = this.#topicSize;
    if (bytes.length !== size) return false;
    const from = this.#start + recordHeaderSize;
    for (let index = 0; index < size; index++) {
      if (bytes[index] !== this.#bytes[from + index]) return false;
    }
    return true;
  }

  /** -1 when the record belongs to no queue. */
  get queueId(): number {
    return this.#view.getInt32(this.#start + at.queueId);
  }

  /** Index in its queue; 0 for types that have none. */
  get queueOffset(): QueueOffset {
    return toQueueOffset(getLong(this.#view, this.#start + at.queueOffset));
  }

  /** Of a held message and its copies: when it is due, milliseconds since 1970. */
  get dueMs(): number {
    return getLong(this.#view, this.#start + at.queueOffset);
  }

  /** Byte place in the commit log. */
  get position(): Position {
    return toPosition(getLong(this.#view, this.#start + at.position));
  }

  /** Bytes in the commit log; the next record starts at `position + size`. */
  get size(): number {
    return this.#view.getUint32(this.#start + at.length);
  }

  get epoch(): Epoch {
    return toEpoch(getLong(this.#view, this.#start + at.epoch));
  }

  /** Milliseconds since 1970; never less than that of the record before. */
  get storeTimeMs(): number {
    return getLong(this.#view, this.#start + at.storeTime);
  }

  /** Records of the same atomic group that follow. */
  get groupRest(): number {
    return this.#view.getUint32(this.#start + at.groupRest);
  }

  get tagHash(): number {
    return this.#view.getUint32(this.#start + at.tagHash);
  }

  get messageGroupHash(): number {
    return getLong(this.#view, this.#start + at.messageGroupHash);
  }

  get systemProperties(): Uint8Array {
    const from = this.#start + recordHeaderSize + this.#topicSize;
    return this.#bytes.subarray(from, from + this.#systemPropertiesSize);
  }

  get userProperties(): Uint8Array {
    const from = this.#start + recordHeaderSize + this.#topicSize + this.#systemPropertiesSize;
    return this.#bytes.subarray(from, from + this.#userPropertiesSize);
  }

  get body(): Uint8Array {
    const before = this.#topicSize + this.#systemPropertiesSize + this.#userPropertiesSize;
    const from = this.#start + recordHeaderSize + before;
    return this.#bytes.subarray(from, from + this.#view.getUint32(this.#start + at.bodySize));
  }

  get #topicSize(): number {
    return this.#view.getUint16(this.#start + at.topicSize);
  }

  get #systemPropertiesSize(): number {
    return this.#view.getUint32(this.#start + at.systemPropertiesSize);
  }

  get #userPropertiesSize(): number {
    return this.#view.getUint32(this.#start + at.userPropertiesSize);
  }
}
