// SendMessage by h2load: one message a call, 4 connections with 64 streams, against the no-op server.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type H2loadResult, h2load } from "../h2load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { sendBody, sendPath } from "../requests.ts";
import { counter, type RunningServer, startBroker, startNoop, withCpu } from "../servers.ts";

const seconds = 5;
const warmUpSeconds = 1;

interface Sent extends H2loadResult {
  readonly cpuMicros: number;
}

/** Rates and CPU time in both flush modes at 1 KiB and 128 B. */
export async function measureSend(): Promise<ReportRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-h2load-"));
  try {
    const rows: ReportRow[] = [];
    for (const size of [1024, 128]) {
      const body = sendBody("bench", size);
      const noop = await once(await startNoop(), body, folder);
      const async = await once(await startBroker(["--flushDiskType", "ASYNC_FLUSH"]), body, folder);
      const sync = await once(await startBroker(["--flushDiskType", "SYNC_FLUSH"]), body, folder);
      rows.push(...rowsOf(size, { noop, async, sync }));
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function once(started: RunningServer, body: Buffer, folder: string): Promise<Sent> {
  await using server = started;
  const load = { port: server.port, path: sendPath, body, folder, seconds, warmUpSeconds };
  const { result, cpuMs } = await withCpu(server, () => h2load(load));
  const total = await answered(server, result);
  return { ...result, cpuMicros: (cpuMs * 1000) / total };
}

/** Calls that the server did, warm-up included. h2load sees no gRPC status, so the broker is asked what it stored. */
async function answered(server: RunningServer, result: H2loadResult): Promise<number> {
  const counted = (result.succeeded * (seconds + warmUpSeconds)) / seconds;
  if (server.metricsPort === 0) return counted;
  const stored = await counter(server, "rocketmq_messages_in_total");
  if (stored < result.succeeded) {
    throw new Error(`h2load saw ${result.succeeded} answers, the broker stored ${stored}`);
  }
  return stored;
}

function rowsOf(
  size: number,
  sent: { readonly noop: Sent; readonly async: Sent; readonly sync: Sent },
): ReportRow[] {
  const { noop, async, sync } = sent;
  const name = size === 1024 ? "1 KiB" : `${size} B`;
  const isJudged = size === 1024;
  const rate: ReportRow = {
    load: `send ${name}, ASYNC_FLUSH`,
    measured: perSecond(async.requestsPerSecond),
    baseline: `no-op grpc-js ${perSecond(noop.requestsPerSecond)}`,
    figure: async.requestsPerSecond / noop.requestsPerSecond,
    bar: { atLeast: 5 },
    details: { meanMs: async.meanMs, noopMeanMs: noop.meanMs },
  };
  const cpu: ReportRow = {
    load: `send ${name}, CPU a message`,
    measured: `${async.cpuMicros.toFixed(1)} µs`,
    baseline: `no-op grpc-js ${noop.cpuMicros.toFixed(1)} µs`,
    figure: async.cpuMicros / noop.cpuMicros,
    bar: { atMost: 0.2 },
  };
  const flushed: ReportRow = {
    load: `send ${name}, SYNC_FLUSH`,
    measured: perSecond(sync.requestsPerSecond),
    baseline: `ASYNC_FLUSH ${perSecond(async.requestsPerSecond)}`,
    figure: sync.requestsPerSecond / async.requestsPerSecond,
    bar: { atLeast: 0.8 },
    details: { meanMs: sync.meanMs, cpuMicros: sync.cpuMicros },
  };
  return isJudged ? [rate, cpu, flushed] : [rate, flushed];
}
