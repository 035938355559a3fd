// Brings tables and database to the end of the log: from the database, or without it from a snapshot
// in the log or from the log's beginning.
import { type Logger, limits, MqError, type Position, position } from "../../base/index.ts";
import { RecordType } from "../store/index.ts";
import { decodeSnapshotHead, type SnapshotHead, snapshotEntries } from "./snapshot-codec.ts";
import { entriesOf, type StateLevel } from "./state-database.ts";
import { digestWith, emptyDigest, isSameDigest, type StateDigest } from "./state-digest.ts";
import { appliedKey, digestKey } from "./state-keys.ts";
import type { LoggedRecord, StateLog } from "./state-log.ts";
import type { StateTables } from "./state-tables.ts";
import { type Applied, decodeApplied, unseal } from "./state-values.ts";
import { readDigest, type StateWriter } from "./state-writer.ts";

/** Whether a database can be used: then the tables have it, otherwise they are not to be used. */
export type LoadedDatabase =
  | { readonly isUsable: true; readonly applied: Applied; readonly digest: StateDigest }
  | { readonly isUsable: false; readonly reason: string };

/** Takes a database that is not empty into the tables. Throws CORRUPT, and what the database throws. */
export async function loadDatabase(
  level: StateLevel,
  log: StateLog,
  tables: StateTables,
): Promise<LoadedDatabase> {
  const value = await level.get(appliedKey);
  if (value === undefined) {
    return { isUsable: false, reason: "it does not say which part of the log it reflects" };
  }
  const applied = decodeApplied(unseal(appliedKey, value));
  const reason = findMismatch(applied, log);
  if (reason !== undefined) return { isUsable: false, reason };
  tables.startAt(applied);
  let digest = emptyDigest;
  for await (const entries of entriesOf(level.iterator())) {
    for (const [key, sealed] of entries) {
      tables.load(key, sealed);
      if (key !== digestKey) digest = digestWith(digest, sealed);
    }
  }
  if (!isSameDigest(digest, await readDigest(level))) {
    return { isUsable: false, reason: "keys are missing or old" };
  }
  return { isUsable: true, applied, digest };
}

/** Compares what the database reflects with what the log holds. */
function findMismatch(applied: Applied, log: StateLog): string | undefined {
  const at = applied.position;
  if (at < log.start) return `it reflects position ${at}, but the log starts at ${log.start}`;
  if (at > log.end) return `it reflects position ${at}, but the log ends at ${log.end}`;
  const before = log.epochs.findLast((start) => start.position < at)?.epoch ?? 0;
  // Just before the first record that is kept, the log does not say which epoch it had.
  if (before === applied.epoch || (at === log.start && at > 0)) return undefined;
  return `it reflects epoch ${applied.epoch} at position ${at}, where the log has epoch ${before}`;
}

/** One complete snapshot in the log. */
interface FoundSnapshot {
  readonly head: SnapshotHead;
  readonly firstPart: Position;
  /** Behind the last part. */
  readonly end: number;
}

/**
 * Fills an empty database and the tables with the first complete snapshot, when the log has lost its
 * beginning; a whole log needs none. `write` is called whenever enough has come together.
 * Throws CORRUPT when the log's beginning is gone and no snapshot stands for it.
 */
export async function loadSnapshot(
  log: StateLog,
  tables: StateTables,
  writer: StateWriter,
): Promise<void> {
  if (log.start === 0) return;
  const found = await findSnapshot(log);
  if (found === undefined) {
    throw new MqError(
      "CORRUPT",
      `the log starts at position ${log.start}, but holds no whole snapshot of the state before it: restore the data folder from a replica or backup`,
      { facts: { position: log.start } },
    );
  }
  tables.startAt(found.head.asOf);
  for await (const records of log.scan(found.firstPart)) {
    for (const record of records) {
      if (record.position >= found.end) return;
      await loadPart(record, found.head.id, { tables, writer });
    }
  }
}

async function loadPart(
  record: LoggedRecord,
  id: number,
  into: { readonly tables: StateTables; readonly writer: StateWriter },
): Promise<void> {
  if (record.type !== RecordType.snapshot || decodeSnapshotHead(record.body).id !== id) return;
  for (const [key, value] of snapshotEntries(record.body)) into.tables.load(key, value);
  await into.writer.load(snapshotEntries(record.body));
}

async function findSnapshot(log: StateLog): Promise<FoundSnapshot | undefined> {
  // Snapshots follow each other: one that has not ended when the next begins never will.
  let current: { readonly id: number; readonly firstPart: Position; nextPart: number } | undefined;
  for await (const records of log.scan(log.start)) {
    for (const record of records) {
      if (record.type !== RecordType.snapshot) continue;
      const head = decodeSnapshotHead(record.body);
      if (head.part === 0) current = { id: head.id, firstPart: record.position, nextPart: 0 };
      // Otherwise its first parts were in a part of the log that is gone.
      if (current?.id !== head.id || current.nextPart !== head.part) continue;
      current.nextPart += 1;
      if (!head.isLast || head.asOf.position < log.start) continue;
      return { head, firstPart: current.firstPart, end: record.position + record.size };
    }
  }
  return undefined;
}

/**
 * Applies the log from where the tables stand to its end. `write` is called whenever enough has
 * changed, so that memory stays bounded.
 */
export async function replay(
  log: StateLog,
  tables: StateTables,
  options: { readonly logger: Logger; readonly write: () => Promise<unknown> },
): Promise<void> {
  const from = tables.applied.position;
  if (from === log.end) return;
  for await (const records of log.scan(from)) {
    for (const record of records) tables.apply(record);
    const last = records.at(-1);
    if (last === undefined) continue;
    tables.advance(position(last.position + last.size));
    if (tables.changeCount > limits.stateChangesMax) await options.write();
  }
  options.logger.info("state brought to the end of the log", { from, to: tables.applied.position });
}
