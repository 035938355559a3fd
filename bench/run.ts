// `npm run bench`: every load in turn, a table on standard output, JSON in bench/results. No flags.
// `npm run bench -- NAME…` runs only the named loads. With BENCH_PROFILE=FOLDER in the environment servers leave CPU profiles.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { measureCluster } from "./loads/cluster.ts";
import { measureFailover } from "./loads/failover.ts";
import { measureFilter } from "./loads/filter.ts";
import { measureGrowth, measureStart } from "./loads/footprint.ts";
import { measureKinds } from "./loads/kinds.ts";
import { measureBacklog, measureQueues, measureReceive } from "./loads/receive.ts";
import { measureReplication } from "./loads/replication.ts";
import { measureRetries } from "./loads/retries.ts";
import { measureSdk } from "./loads/sdk.ts";
import { measureSend } from "./loads/send.ts";
import { circumstances, isMet, type ReportRow, tableOf } from "./report.ts";

const loads: Readonly<Record<string, () => Promise<ReportRow[]>>> = {
  start: measureStart,
  send: measureSend,
  receive: measureReceive,
  sdk: measureSdk,
  kinds: measureKinds,
  retries: measureRetries,
  filter: measureFilter,
  queues: measureQueues,
  backlog: () => measureBacklog(2_000_000),
  growth: measureGrowth,
  replication: measureReplication,
  cluster: measureCluster,
  failover: measureFailover,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in loads));
if (unknown.length > 0) {
  console.error(`unknown load ${unknown.join(", ")}; there are: ${Object.keys(loads).join(", ")}`);
  process.exit(2);
}
const rows: ReportRow[] = [];
const began = performance.now();
for (const [name, measure] of Object.entries(loads)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  process.stderr.write(`${name} …\n`);
  rows.push(...(await measure()));
}
const where = circumstances();
const seconds = (performance.now() - began) / 1000;
console.log(`${tableOf(rows)}\n\n${JSON.stringify(where)}\n${seconds.toFixed(0)} s in all`);

const folder = fileURLToPath(new URL("results/", import.meta.url));
mkdirSync(folder, { recursive: true });
const file = `${folder}${new Date().toISOString().replaceAll(":", "-")}.json`;
writeFileSync(file, `${JSON.stringify({ ...where, seconds, rows }, undefined, 2)}\n`);
console.log(`written to ${file}`);
if (!rows.every(isMet)) console.log("Not every bar is met.");
