// Start-up time and memory: idle, and after one and five million sends.
import { sendLoad } from "../load/raw-load.ts";
import type { ReportRow } from "../report.ts";
import { sendRequest } from "../requests.ts";
import { type RunningServer, startBroker } from "../servers.ts";

/** Time from process start to the first acknowledged send, and resident memory when nothing happens. */
export async function measureStart(): Promise<ReportRow[]> {
  const startMs: number[] = [];
  let idleMb = 0;
  for (let round = 0; round < 5; round++) {
    const began = performance.now();
    await using server = await startBroker();
    await send(server, 1);
    startMs.push(performance.now() - began);
    if (round > 0) continue;
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    idleMb = server.process.rssMb();
  }
  const median = startMs.toSorted((a, b) => a - b)[2] ?? 0;
  return [
    {
      load: "start to first acknowledged send",
      measured: `${median.toFixed(0)} ms`,
      baseline: `median of 5, worst ${Math.max(...startMs).toFixed(0)} ms`,
      figure: median,
      bar: { atMost: 500 },
    },
    {
      load: "RSS of an idle standalone, MB",
      measured: `${idleMb.toFixed(0)} MB`,
      baseline: "10 s after start",
      figure: idleMb,
      bar: { atMost: 100 },
    },
  ];
}

/** Resident memory after five million sends of 128 B against that after one million. */
export async function measureGrowth(): Promise<ReportRow[]> {
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  await send(server, 1_000_000);
  const afterOne = await settledRss(server);
  await send(server, 4_000_000);
  const afterFive = await settledRss(server);
  return [
    {
      load: "RSS after 5 million sends, growth in MB",
      measured: `${afterFive.toFixed(0)} MB`,
      baseline: `after 1 million ${afterOne.toFixed(0)} MB`,
      figure: afterFive - afterOne,
      bar: { atMost: 50 },
    },
  ];
}

async function settledRss(server: RunningServer): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 2000));
  return server.process.rssMb();
}

async function send(server: RunningServer, countMax: number): Promise<void> {
  const requests = [sendRequest("bench", 128)];
  const { messages } = await sendLoad({
    port: server.port,
    requests,
    connections: 4,
    inFlight: 64,
    countMax,
    secondsMax: 120,
  });
  if (messages < countMax) throw new Error(`only ${messages} of ${countMax} sends in time`);
}
