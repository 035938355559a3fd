// Runs seeds in several processes, each its share.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { SeedRange, Tally } from "./seeds.ts";

const program = fileURLToPath(new URL("main.ts", import.meta.url));

/** Runs the range in `workers` processes; one tally each. Rejects when a process does not say what came of its share. */
export function runInWorkers(range: SeedRange, workers: number): Promise<readonly Tally[]> {
  const share = Math.ceil(range.count / Math.max(1, workers));
  const end = range.from + range.count;
  const shares: SeedRange[] = [];
  for (let from = range.from; from < end; from += share) {
    shares.push({ from, count: Math.min(share, end - from) });
  }
  return Promise.all(shares.map(runInProcess));
}

function runInProcess({ from, count }: SeedRange): Promise<Tally> {
  const flags = ["--json", "--from", String(from), "--seeds", String(count)];
  const child = spawn(process.execPath, ["--import", "tsx", program, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const parts: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => parts.push(bytes));
  return new Promise((resolve, reject) => {
    child.once("close", (code) => {
      const text = Buffer.concat(parts).toString();
      if (code === 0) resolve(JSON.parse(text) as Tally);
      else reject(new Error(`seeds ${from} to ${from + count - 1} ended with ${code}: ${text}`));
    });
  });
}
