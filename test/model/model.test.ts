import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { runSchedule } from "./schedule.ts";

/** Random schedules that every test run takes; `MODEL_RUNS=20000` takes more. */
const runCount = Number(process.env["MODEL_RUNS"] ?? 1_700);
/** Seed of the first of them; `MODEL_SEED=4711 MODEL_RUNS=1` runs that one. */
const firstSeed = Number(process.env["MODEL_SEED"] ?? 1);

const program = fileURLToPath(new URL("main.ts", import.meta.url));

/** Runs a share of the schedules in a process of its own; gives what it prints. */
function runShare(from: number, runs: number): Promise<{ code: number | null; output: string }> {
  const flags = ["--from", String(from), "--runs", String(runs)];
  const child = spawn(process.execPath, ["--import", "tsx", program, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const parts: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => parts.push(bytes));
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, output: Buffer.concat(parts).toString() }));
  });
}

describe("a broker under random schedules of all kinds of messages", () => {
  it("goes the same way in each run of a seed, and does something", async () => {
    const [one, other, another] = [
      await runSchedule(26),
      await runSchedule(26),
      await runSchedule(27),
    ];
    assert.deepEqual(one, other);
    assert.notDeepEqual(one.steps, another.steps);
    assert.ok(one.sent > 5 && one.received > 5, "hardly anything was sent and received");
  }).timeout(60_000);

  it(`keeps what it promises, ${runCount} schedules`, async () => {
    const workers = Math.min(cpus().length, 4, runCount);
    const share = Math.ceil(runCount / workers);
    const ends = await Promise.all(
      Array.from({ length: workers }, (_, index) => {
        const from = index * share;
        return runShare(firstSeed + from, Math.max(0, Math.min(share, runCount - from)));
      }),
    );
    for (const { code, output } of ends) assert.equal(code, 0, output);
  }).timeout(400_000);
});
