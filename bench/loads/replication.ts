// A master and a slave on one machine: SYNC_MASTER against ASYNC_MASTER, and how fast an empty slave catches up.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import {
  type ClusterBroker,
  haStatus,
  lookEveryMs,
  startClusterBroker,
  startSlave,
  untilLevel,
} from "../cluster.ts";
import { h2load } from "../h2load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { sendBody, sendPath } from "../requests.ts";
import { counter } from "../servers.ts";

const seconds = 5;
const warmUpSeconds = 2;

interface Sent {
  readonly rate: number;
  readonly meanMs: number;
  /** CPU time a message, µs. */
  readonly masterMicros: number;
  readonly slaveMicros: number;
}

/** Both roles, unpinned and with a core for each broker, and the catch-up of an empty slave. */
export async function measureReplication(): Promise<ReportRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-h2load-"));
  try {
    const rows: ReportRow[] = [];
    for (const isPinned of [false, true]) {
      const async = await sendToPair("ASYNC_MASTER", { folder, isPinned });
      const sync = await sendToPair("SYNC_MASTER", { folder, isPinned });
      rows.push(roleRow({ async, sync }, isPinned));
    }
    rows.push(await measureCatchUp(folder));
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function sendToPair(
  role: "ASYNC_MASTER" | "SYNC_MASTER",
  { folder, isPinned }: { readonly folder: string; readonly isPinned: boolean },
): Promise<Sent> {
  const flags = ["--flushDiskType", "ASYNC_FLUSH"];
  const onCore = (core: number): { core?: number } => (isPinned ? { core } : {});
  await using master = await startClusterBroker({
    flags: [...flags, "--brokerRole", role],
    ...onCore(0),
  });
  await using slave = await startSlave(master, { flags, ...onCore(1) });
  await untilLevel(master);
  const before = [master.process.cpuMs(), slave.process.cpuMs()];
  const result = await load(master, folder);
  await untilLevel(master);
  const stored = await counter(master, "rocketmq_messages_in_total");
  if (stored < result.succeeded) {
    throw new Error(`h2load saw ${result.succeeded} answers, the broker stored ${stored}`);
  }
  const micros = (server: ClusterBroker, index: number): number =>
    ((server.process.cpuMs() - (before[index] ?? 0)) * 1000) / stored;
  return {
    rate: result.requestsPerSecond,
    meanMs: result.meanMs,
    masterMicros: micros(master, 0),
    slaveMicros: micros(slave, 1),
  };
}

function load(master: ClusterBroker, folder: string): ReturnType<typeof h2load> {
  const body = sendBody("bench", 1024);
  return h2load({ port: master.port, path: sendPath, body, folder, seconds, warmUpSeconds });
}

function roleRow(
  { async, sync }: { readonly async: Sent; readonly sync: Sent },
  isPinned: boolean,
): ReportRow {
  const cpu = ({ masterMicros, slaveMicros }: Sent): string =>
    `${masterMicros.toFixed(1)} + ${slaveMicros.toFixed(1)} µs`;
  return {
    load: `SYNC_MASTER, 256 sends in flight, 1 KiB${isPinned ? ", a core each" : ""}`,
    measured: `${perSecond(sync.rate)}, CPU ${cpu(sync)}`,
    baseline: `ASYNC_MASTER ${perSecond(async.rate)}, CPU ${cpu(async)}`,
    figure: sync.rate / async.rate,
    bar: { atLeast: 0.9 },
    details: { meanMs: sync.meanMs, asyncMeanMs: async.meanMs },
  };
}

/** From the first look at an empty slave's lag until it has everything, against `cp` of the same files. */
async function measureCatchUp(folder: string): Promise<ReportRow> {
  const flags = ["--flushDiskType", "ASYNC_FLUSH"];
  await using master = await startClusterBroker({ flags });
  await load(master, folder);
  // What the master has still to do for itself is no part of it.
  while ((await counter(master, "cometmq_index_behind_bytes")) > 0) await sleep(200);
  const log = join(master.folder, "commitlog");
  const copyMs = await copyTime(log, join(folder, "copy"));
  const megabytes = (await folderSize(log)) / 2 ** 20;
  await using slave = await startSlave(master, { flags });
  const first = await firstLag(master);
  const cpuMs = [master.process.cpuMs(), slave.process.cpuMs()];
  await untilLevel(master);
  const caughtUpMs = performance.now() - first.atMs;
  const rate = (first.lagMegabytes * 1000) / caughtUpMs;
  const copyRate = (megabytes * 1000) / copyMs;
  return {
    load: `catch-up of an empty slave, ${first.lagMegabytes.toFixed(0)} MB`,
    measured: `${rate.toFixed(0)} MB/s`,
    baseline: `cp ${copyRate.toFixed(0)} MB/s`,
    figure: rate / copyRate,
    bar: { atLeast: 0.5 },
    details: {
      masterCpuMs: master.process.cpuMs() - (cpuMs[0] ?? 0),
      slaveCpuMs: slave.process.cpuMs() - (cpuMs[1] ?? 0),
      caughtUpMs,
      copyMs,
    },
  };
}

/** What a slave that has just connected lacks. */
async function firstLag(master: ClusterBroker): Promise<{ lagMegabytes: number; atMs: number }> {
  for (;;) {
    const { slaves } = await haStatus(master);
    const slave = slaves.find(({ connected }) => connected);
    if (slave !== undefined) {
      return { lagMegabytes: slave.lagBytes / 2 ** 20, atMs: performance.now() };
    }
    await sleep(lookEveryMs);
  }
}

async function copyTime(from: string, to: string): Promise<number> {
  const began = performance.now();
  await promisify(execFile)("cp", ["-r", from, to]);
  const tookMs = performance.now() - began;
  await rm(to, { recursive: true });
  return tookMs;
}

async function folderSize(folder: string): Promise<number> {
  const names = await readdir(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
