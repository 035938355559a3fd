// Append rate of the store alone: records of 128 B and 1 KiB, 256 in flight, both flush modes.
// `npx tsx bench/store-append.ts [seconds]` prints a table.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { silentLogger, systemClock } from "../base/index.ts";
import { nodeDisk, type RecordDraft, RecordType, Store } from "../broker/store/index.ts";

const inFlight = 256;
const seconds = Number(process.argv[2] ?? 3);

async function measure(
  flushDiskType: "ASYNC_FLUSH" | "SYNC_FLUSH",
  bodySize: number,
  queueCount: number,
): Promise<void> {
  const folder = await mkdtemp(`${tmpdir()}/cometmq-bench-`);
  const store = await Store.open({
    disk: nodeDisk,
    clock: systemClock,
    logger: silentLogger,
    folder,
    flushDiskType,
  });
  await store.begin();
  const drafts: RecordDraft[] = Array.from({ length: queueCount }, (_, index) => ({
    type: RecordType.message,
    topic: `topic-${Math.floor(index / 8)}`,
    queueId: index % 8,
    systemProperties: new Uint8Array(90),
    userProperties: new Uint8Array(0),
    body: new Uint8Array(bodySize),
  }));
  const endMs = performance.now() + seconds * 1_000;
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  let count = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const draft = drafts[count % drafts.length];
      if (draft === undefined) return;
      count += 1;
      await store.append([draft]);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const elapsed = (performance.now() - startMs) / 1_000;
  const used = process.cpuUsage(cpu);
  const rss = Math.round(process.memoryUsage.rss() / 1_048_576);
  const closing = performance.now();
  await store.close();
  console.log(
    `${flushDiskType.padEnd(11)} ${String(bodySize).padStart(5)} B ${String(queueCount).padStart(6)} queues ` +
      `${Math.round(count / elapsed)}/s cpu ${((used.user + used.system) / count).toFixed(2)} us/msg rss ${rss} MB close ${Math.round(performance.now() - closing)} ms`,
  );
  await rm(folder, { recursive: true });
}

for (const bodySize of [128]) {
  for (const flush of ["ASYNC_FLUSH"] as const) {
    for (const queueCount of [8]) await measure(flush, bodySize, queueCount);
  }
}
