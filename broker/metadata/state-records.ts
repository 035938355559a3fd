// The records the state itself appends to the log: metadata changes and snapshots.
import { limits, MqError, type Position, position } from "../../base/index.ts";
import { type RecordDraft, RecordType } from "../store/index.ts";
import type { AppliedWaiters } from "./applied-waiters.ts";
import { encodeMetadataChange, type MetadataChange } from "./metadata-codec.ts";
import { type SnapshotHead, SnapshotPart } from "./snapshot-codec.ts";
import { entriesOf, type StateIterator } from "./state-database.ts";
import { digestWith, emptyDigest, isSameDigest, type StateDigest } from "./state-digest.ts";
import { appliedKey, digestKey } from "./state-keys.ts";
import type { StateLog } from "./state-log.ts";
import { unseal } from "./state-values.ts";

const noBytes = new Uint8Array(0);

/** Appends a change; resolves when it is durable as configured and applied here. Throws what the store throws. */
export async function appendChange(
  log: StateLog,
  waiters: AppliedWaiters,
  change: MetadataChange,
): Promise<void> {
  const [appended] = await log.append([draft(RecordType.metadata, encodeMetadataChange(change))]);
  if (appended !== undefined) await waiters.reached(appended.position);
}

/**
 * Appends all keys and values of a database as the parts of one snapshot, waiting for each, and gives
 * the position behind the last. Throws CORRUPT, and leaves the snapshot without its end, when the
 * database did not give what its digest says: the log must not lose its head for that.
 */
export async function appendSnapshot(
  log: StateLog,
  iterator: StateIterator,
  head: Pick<SnapshotHead, "id" | "asOf"> & { readonly digest: StateDigest },
): Promise<Position> {
  let digest = emptyDigest;
  let part = new SnapshotPart();
  let partCount = 0;
  let end = position(0);
  const flush = async (isLast: boolean): Promise<void> => {
    const body = part.encode({ id: head.id, asOf: head.asOf, part: partCount, isLast });
    const [appended] = await log.append([draft(RecordType.snapshot, body)]);
    if (appended !== undefined) end = position(appended.position + appended.size);
    part = new SnapshotPart();
    partCount += 1;
  };
  for await (const entries of entriesOf(iterator)) {
    for (const [key, value] of entries) {
      unseal(key, value);
      if (key !== digestKey) digest = digestWith(digest, value);
      // These say something of this database only; what the snapshot reflects is in its head.
      if (key === appliedKey || key === digestKey) continue;
      part.add(key, value);
      if (part.size >= limits.snapshotPartSize) await flush(false);
    }
  }
  if (!isSameDigest(digest, head.digest)) {
    throw new MqError("CORRUPT", "the state's database has lost keys: restart to rebuild it");
  }
  await flush(true);
  return end;
}

function draft(type: number, body: Uint8Array): RecordDraft {
  return { type, topic: "", queueId: -1, systemProperties: noBytes, userProperties: noBytes, body };
}
