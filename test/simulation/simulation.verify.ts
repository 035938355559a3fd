import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("main.ts", import.meta.url));
/** Seeds in all; `SEEDS=20000` runs more. The first ones are those of the tests. */
const seedCount = Number(process.env["SEEDS"] ?? 1_600);
const firstSeed = 1_001;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function run(from: number, count: number): Promise<Ended> {
  const flags = ["--from", String(from), "--seeds", String(count)];
  const child = spawn(process.execPath, ["--import", "tsx", program, ...flags]);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes: Buffer) => {
      output += bytes.toString();
    });
  }
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, output }));
  });
}

describe("a simulated cluster, many seeds", () => {
  it(`keeps what it promises under faults, ${seedCount} seeds`, async () => {
    const workers = Math.max(1, cpus().length);
    const share = Math.ceil(seedCount / workers);
    const ended = await Promise.all(
      Array.from({ length: workers }, (_, index) => run(firstSeed + index * share, share)),
    );
    for (const { output } of ended) console.log(output.trim());
    for (const { code, output } of ended) assert.equal(code, 0, output);
  }).timeout(3_600_000);
});
