// The values of the state: docs/format/state.md. Each carries a checksum over its key and itself,
// because level does not check what it reads.
import { crc32 } from "node:zlib";
import { type Epoch, epoch, MqError, type Position, position } from "../../base/index.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { HeldEntry, HeldKey } from "./held-entry.ts";
import type { PendingEntry } from "./progress-change.ts";
import { readFlags, writeFlags } from "./progress-codec.ts";
import type { StateDigest } from "./state-digest.ts";

/** Version of keys and values. Older ones are read; the state is thrown away and rebuilt when a newer one is found. */
export const stateVersion = 2;

const checksumSize = 4;

/** Which part of the log the state reflects. */
export interface Applied {
  /** Everything before it is in the state, nothing behind it. */
  readonly position: Position;
  /** Epoch of the log just before `position`; 0 when there was none. */
  readonly epoch: Epoch;
  /** Version of the tables, see `Metadata.version`. */
  readonly metadataVersion: number;
}

/** The messages of a queue, as offsets `[minOffset, nextOffset)`. */
export interface QueueRange {
  readonly topic: string;
  readonly queueId: number;
  /** Offset of the oldest message that may still be read. */
  readonly minOffset: number;
  /** Offset the next message gets. */
  readonly nextOffset: number;
}

/** The bounds of a queue that has lost messages, or whose topic is deleted. */
export interface QueueBounds extends QueueRange {
  /** See `Metadata.firstOffset`. */
  readonly firstOffset: number;
}

/** Where a group is on a queue. */
export interface CursorValue {
  readonly cursor: number;
  /** Behind the largest offset that may have a pending key. */
  readonly pendingEnd: number;
}

/** Puts the checksum before the content. */
export function seal(key: string, content: Uint8Array): Uint8Array {
  const value = Buffer.allocUnsafe(checksumSize + content.length);
  value.writeUInt32BE(checksum(key, content));
  value.set(content, checksumSize);
  return value;
}

/** Gives a view of the content. Throws CORRUPT naming the key when the checksum fails. */
export function unseal(key: string, value: Uint8Array): Uint8Array {
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const content = value.subarray(checksumSize);
  if (value.length < checksumSize || view.getUint32(0) !== checksum(key, content)) {
    throw new MqError("CORRUPT", `the value of ${key} in the state is damaged`);
  }
  return content;
}

function checksum(key: string, content: Uint8Array): number {
  return crc32(content, crc32(key));
}

/** Content of the `applied` key. */
export function encodeApplied(applied: Applied): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(stateVersion);
  writer.unsigned(applied.position);
  writer.unsigned(applied.epoch);
  writer.unsigned(applied.metadataVersion);
  return writer.take();
}

/** Reads the content of the `applied` key. Throws CORRUPT, also for a newer version. */
export function decodeApplied(content: Uint8Array): Applied {
  const reader = new ByteReader(content, "applied position of the state");
  const version = reader.byte();
  if (version < 1 || version > stateVersion) {
    throw reader.broken(`is of version ${version}: this broker reads up to ${stateVersion}`);
  }
  const applied = {
    position: position(reader.unsigned()),
    epoch: epoch(reader.unsigned()),
    metadataVersion: reader.unsigned(),
  };
  reader.end();
  return applied;
}

/** Content of the `digest` key. */
export function encodeDigest(digest: StateDigest): Uint8Array {
  const writer = new ByteWriter();
  writer.unsigned(digest.count);
  writer.unsigned(digest.sum);
  return writer.take();
}

/** Reads the content of the `digest` key. Throws CORRUPT. */
export function decodeDigest(content: Uint8Array): StateDigest {
  const reader = new ByteReader(content, "digest of the state");
  const digest = { count: reader.unsigned(), sum: reader.unsigned() };
  reader.end();
  return digest;
}

/** Content of a queue's bounds. */
export function encodeBounds(bounds: QueueBounds): Uint8Array {
  const writer = new ByteWriter();
  writer.unsigned(bounds.minOffset);
  writer.unsigned(bounds.nextOffset);
  writer.unsigned(bounds.firstOffset);
  return writer.take();
}

/** Reads the content of a queue's bounds. Throws CORRUPT. */
export function decodeBounds(topic: string, queueId: number, content: Uint8Array): QueueBounds {
  const reader = new ByteReader(content, `bounds of queue ${topic}/${queueId}`);
  const bounds = {
    topic,
    queueId,
    minOffset: reader.unsigned(),
    nextOffset: reader.unsigned(),
    firstOffset: reader.unsigned(),
  };
  reader.end();
  return bounds;
}

/** Content of a cursor. */
export function encodeCursor(value: CursorValue): Uint8Array {
  const writer = new ByteWriter();
  writer.unsigned(value.cursor);
  writer.unsigned(value.pendingEnd);
  return writer.take();
}

/** Reads the content of a cursor. Throws CORRUPT. */
export function decodeCursor(content: Uint8Array): CursorValue {
  const reader = new ByteReader(content, "cursor in the state");
  const value = { cursor: reader.unsigned(), pendingEnd: reader.unsigned() };
  reader.end();
  return value;
}

/** Content of a pending message; its offset is in the key. */
export function encodePending(entry: PendingEntry): Uint8Array {
  const writer = new ByteWriter();
  writer.unsigned(entry.attempt);
  writer.unsigned(entry.visibleAtMs);
  writer.unsigned(entry.deliveryNumber);
  writeFlags(writer, entry);
  return writer.take();
}

/** Reads the content of a pending message. Throws CORRUPT. */
export function decodePending(offset: number, content: Uint8Array): PendingEntry {
  const reader = new ByteReader(content, "pending message in the state");
  const entry = {
    offset,
    attempt: reader.unsigned(),
    visibleAtMs: reader.unsigned(),
    deliveryNumber: reader.unsigned(),
    ...readFlags(reader),
  };
  reader.end();
  return entry;
}

/** Content of a held message; its kind, due time and id are in the key. */
export function encodeHeld(entry: HeldEntry): Uint8Array {
  const writer = new ByteWriter();
  writer.unsigned(entry.position);
  writer.unsigned(entry.size);
  writer.unsigned(entry.count);
  writer.text(entry.topic);
  return writer.take();
}

/** Reads the content of a held message. Throws CORRUPT. */
export function decodeHeld(key: HeldKey, content: Uint8Array): HeldEntry {
  const reader = new ByteReader(content, "held message in the state");
  const { kind, dueMs, id } = key;
  const [position, size, count] = [reader.unsigned(), reader.unsigned(), reader.unsigned()];
  const entry = { kind, dueMs, id, topic: reader.text(), position, size, count };
  reader.end();
  return entry;
}

/** Content of the key that says where in the log a topic was deleted last. */
export function encodeEnd(position: number): Uint8Array {
  const writer = new ByteWriter();
  writer.unsigned(position);
  return writer.take();
}

/** Reads where a topic was deleted last. Throws CORRUPT. */
export function decodeEnd(content: Uint8Array): number {
  const reader = new ByteReader(content, "end of a topic");
  const position = reader.unsigned();
  reader.end();
  return position;
}
