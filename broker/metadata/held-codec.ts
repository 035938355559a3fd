// The body of a record about held messages: docs/format/held-record.md. One record holds many changes.
import { ByteReader, ByteWriter } from "./bytes.ts";
import { type HeldChange, heldKinds } from "./held-entry.ts";
import { readName, writeName } from "./record-names.ts";

const formatVersion = 1;
const removed = 0;
const replaced = 1;

/** The body of one record with all `changes`, owned by the caller, who keeps it under the store's record size. */
export function encodeHeldChanges(changes: readonly HeldChange[]): Uint8Array {
  const writer = new ByteWriter(16 + changes.length * 24);
  const names = new Map<string, number>();
  writer.byte(formatVersion);
  writer.unsigned(changes.length);
  let before = { dueMs: 0, id: 0 };
  for (const change of changes) {
    writer.byte(heldKinds.indexOf(change.kind));
    writeName(writer, names, change.topic);
    writer.signed(change.dueMs - before.dueMs);
    writer.signed(change.id - before.id);
    writeNext(writer, change);
    before = change;
  }
  return writer.take();
}

function writeNext(writer: ByteWriter, { dueMs, next }: HeldChange): void {
  if (next === undefined) return writer.byte(removed);
  writer.byte(replaced);
  writer.signed(next.dueMs - dueMs);
  writer.unsigned(next.position);
  writer.unsigned(next.size);
  writer.unsigned(next.count);
}

/** Reads such a body; keeps nothing of it. Throws CORRUPT for anything not written by this or an older version. */
export function decodeHeldChanges(body: Uint8Array): HeldChange[] {
  const reader = new ByteReader(body, "record about held messages");
  const version = reader.byte();
  if (version !== formatVersion) {
    throw reader.broken(`is of version ${version}: this broker reads version ${formatVersion}`);
  }
  const names: string[] = [];
  const changes: HeldChange[] = [];
  let before = { dueMs: 0, id: 0 };
  for (let left = reader.count(); left > 0; left--) {
    const change = readChange(reader, names, before);
    changes.push(change);
    before = change;
  }
  reader.end();
  return changes;
}

function readChange(
  reader: ByteReader,
  names: string[],
  before: { readonly dueMs: number; readonly id: number },
): HeldChange {
  const kind = heldKinds[reader.byte()];
  if (kind === undefined) throw reader.broken("names an unknown kind of held messages");
  const topic = readName(reader, names);
  const dueMs = before.dueMs + reader.signed();
  const id = before.id + reader.signed();
  const what = reader.byte();
  if (what !== removed && what !== replaced) throw reader.broken("holds an unknown change");
  const next = what === removed ? undefined : readNext(reader, dueMs);
  if (dueMs < 0 || id < 0 || (next?.dueMs ?? 0) < 0) {
    throw reader.broken("holds a time or position below 0");
  }
  return { kind, topic, dueMs, id, next };
}

function readNext(reader: ByteReader, dueMs: number): NonNullable<HeldChange["next"]> {
  return {
    dueMs: dueMs + reader.signed(),
    position: reader.unsigned(),
    size: reader.unsigned(),
    count: reader.unsigned(),
  };
}
