import assert from "node:assert/strict";
import { cpus } from "node:os";
import { merged, summaryOf } from "./seeds.ts";
import { runInWorkers } from "./workers.ts";

/** Seeds in all; `SEEDS=20000` runs more. The first ones are those of the tests. */
const seedCount = Number(process.env["SEEDS"] ?? 1_200);
const firstSeed = 1_001;

describe("a simulated cluster, many seeds", () => {
  it(`keeps what it promises under faults, ${seedCount} seeds`, async () => {
    const range = { from: firstSeed, count: seedCount };
    const tally = merged(await runInWorkers(range, cpus().length));
    console.log(summaryOf(tally));
    assert.deepEqual(tally.failed, []);
  }).timeout(900_000);
});
