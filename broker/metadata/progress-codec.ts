// The body of a progress record: docs/format/progress-record.md. One record holds the changes of many queues.
import { assert } from "../../base/index.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { PendingEntry, ProgressChange } from "./progress-change.ts";
import { readName, writeName } from "./record-names.ts";

/** Version 1, which is still read, knew no order. */
const formatVersion = 2;

/** The body of one record with all `changes`, owned by the caller. The caller keeps it under the store's record size. */
export function encodeProgress(changes: readonly ProgressChange[]): Uint8Array {
  const writer = new ByteWriter(changes.length * 64);
  const names = new Map<string, number>();
  writer.byte(formatVersion);
  writer.unsigned(changes.length);
  for (const change of changes) writeChange(writer, names, change);
  return writer.take();
}

/** Reads the body of a progress record; keeps nothing of `body`. Throws CORRUPT for anything not written by this or an older version. */
export function decodeProgress(body: Uint8Array): ProgressChange[] {
  const reader = new ByteReader(body, "progress record");
  const version = reader.byte();
  if (version < 1 || version > formatVersion) {
    throw reader.broken(`is of version ${version}: this broker reads up to ${formatVersion}`);
  }
  const names: string[] = [];
  const changes: ProgressChange[] = [];
  for (let left = reader.count(); left > 0; left--) changes.push(readChange(reader, names));
  reader.end();
  return changes;
}

function writeChange(writer: ByteWriter, names: Map<string, number>, change: ProgressChange): void {
  writeName(writer, names, change.group);
  writeName(writer, names, change.topic);
  writer.unsigned(change.queueId);
  writer.unsigned(change.cursor);
  writer.unsigned(change.upserts.length);
  let offset = change.cursor;
  let visibleAtMs = 0;
  for (const entry of change.upserts) {
    writer.signed(entry.offset - offset);
    writer.unsigned(entry.attempt);
    writer.signed(entry.visibleAtMs - visibleAtMs);
    writer.unsigned(entry.deliveryNumber);
    writeFlags(writer, entry);
    ({ offset, visibleAtMs } = entry);
  }
  writer.unsigned(change.removals.length);
  offset = change.cursor;
  for (const removal of change.removals) {
    writer.signed(removal - offset);
    offset = removal;
  }
}

function readChange(reader: ByteReader, names: string[]): ProgressChange {
  const group = readName(reader, names);
  const topic = readName(reader, names);
  const queueId = reader.unsigned();
  const cursor = reader.unsigned();
  const upserts: PendingEntry[] = [];
  let offset = cursor;
  let visibleAtMs = 0;
  for (let left = reader.count(); left > 0; left--) {
    offset += reader.signed();
    const attempt = reader.unsigned();
    visibleAtMs += reader.signed();
    if (offset < 0 || visibleAtMs < 0) throw reader.broken("holds an offset or time below 0");
    const deliveryNumber = reader.unsigned();
    upserts.push({ offset, attempt, visibleAtMs, deliveryNumber, ...readFlags(reader) });
  }
  const removals: number[] = [];
  offset = cursor;
  for (let left = reader.count(); left > 0; left--) {
    offset += reader.signed();
    if (offset < 0) throw reader.broken("removes an offset below 0");
    removals.push(offset);
  }
  return { group, topic, queueId, cursor, upserts, removals };
}

/** The flag that says that an order follows. Version 1 did not have it. */
const orderFlag = 4;

/** Flags, and the order if there is one. */
export function writeFlags(
  writer: ByteWriter,
  { flags, order }: Pick<PendingEntry, "flags" | "order">,
): void {
  assert((flags & orderFlag) === 0, "the flag of order is not for delivery");
  writer.unsigned(order === undefined ? flags : flags | orderFlag);
  if (order === undefined) return;
  writer.unsigned(order.messageGroupHash);
  writer.unsigned(order.from);
}

/** Reads what `writeFlags` has written. */
export function readFlags(reader: ByteReader): Pick<PendingEntry, "flags" | "order"> {
  const flags = reader.unsigned();
  if ((flags & orderFlag) === 0) return { flags };
  const order = { messageGroupHash: reader.unsigned(), from: reader.unsigned() };
  return { flags: flags & ~orderFlag, order };
}
