// The files of two logs side by side, and what a power cut leaves of one.
import assert from "node:assert/strict";
import { rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { readFlushMark } from "../../../broker/store/flush-mark.ts";
import { nodeDisk } from "../../../broker/store/index.ts";
import { until } from "../../e2e/waiting.ts";
import type { HaBroker } from "./ha-broker.ts";

/** Fails unless the slave's files hold byte for byte what the master's hold from the slave's first position on. Gives how many bytes were compared. */
export async function assertSameLog(master: HaBroker, slave: HaBroker): Promise<number> {
  let end = Number.NaN;
  await until(`${slave.label} to end where ${master.label} does`, async () => {
    end = await logEnd(master);
    return (await logEnd(slave)) === end;
  });
  const [theirs, ours] = await Promise.all([master.segments(), slave.segments()]);
  let compared = 0;
  for (const [name, bytes] of ours) {
    const original = theirs.get(name);
    assert.ok(original !== undefined, `${master.label} has no segment ${name}`);
    const size = Math.min(Number(name) + bytes.length, end) - Number(name);
    const isSame = original.subarray(0, size).equals(bytes.subarray(0, size));
    assert.ok(isSame, `${name} differs between ${master.label} and ${slave.label}`);
    compared += size;
  }
  return compared;
}

/** Takes from a broker that was killed what the machine had not brought to stable storage, as a power cut does. Gives the bytes that are lost. */
export async function cutPower(broker: HaBroker): Promise<number> {
  const mark = await readFlushMark(nodeDisk, broker.folder);
  const flushed = mark?.position ?? 0;
  let lost = 0;
  for (const name of (await broker.segments()).keys()) {
    const path = join(broker.folder, "commitlog", name);
    const { size } = await stat(path);
    const kept = Math.max(0, Math.min(size, flushed - Number(name)));
    lost += size - kept;
    if (kept === 0) await rm(path);
    else await truncate(path, kept);
  }
  return lost;
}

async function logEnd(broker: HaBroker): Promise<number> {
  return (await broker.status())?.logEndPosition ?? Number.NaN;
}
