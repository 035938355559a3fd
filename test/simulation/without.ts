// Runs seeds over a copy of the code with one mending taken out, to see that simulation finds the bug again.
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Mending } from "./mendings.ts";
import type { SeedRange } from "./seeds.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** What a simulation is made of. */
const parts = [
  ...["base", "broker", "ops", "registrar", "route", "transport"],
  ...["test/conformance", "test/simulation", "package.json", "tsconfig.json", "tsconfig.base.json"],
];
/** One process runs so many seeds before it is asked what it has seen. */
const chunk = 10;

/** The first seed of the ranges that fails without the mending; undefined when none does. Rejects when its code is not there. */
export async function failingSeed(
  mending: Mending,
  ranges: readonly SeedRange[],
): Promise<number | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-without-"));
  try {
    await copyWithout(mending, folder);
    return await firstFailing(folder, ranges.flatMap(inChunks));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function inChunks({ from, count }: SeedRange): SeedRange[] {
  const chunks: SeedRange[] = [];
  for (let start = from; start < from + count; start += chunk) {
    chunks.push({ from: start, count: Math.min(chunk, from + count - start) });
  }
  return chunks;
}

async function firstFailing(
  folder: string,
  ranges: readonly SeedRange[],
): Promise<number | undefined> {
  for (const range of ranges) {
    const failed = await failedOf(folder, range);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

async function copyWithout({ file, code, instead }: Mending, folder: string): Promise<void> {
  for (const part of parts) await cp(join(root, part), join(folder, part), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const path = join(folder, file);
  const text = await readFile(path, "utf8");
  if (!text.includes(code)) throw new Error(`${file} has no longer: ${code}`);
  await writeFile(path, text.replaceAll(code, instead));
}

/** The first seed that failed; a process that ended by itself fails its first. */
async function failedOf(folder: string, range: SeedRange): Promise<number | undefined> {
  const flags = ["--json", "--from", String(range.from), "--seeds", String(range.count)];
  const program = join(folder, "test/simulation/main.ts");
  const child = spawn(process.execPath, ["--import", "tsx", program, ...flags], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
  });
  const output: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  if (code !== 0) return range.from;
  const { failed } = JSON.parse(Buffer.concat(output).toString()) as { readonly failed: string[] };
  const [first] = failed;
  return first === undefined ? undefined : Number(/^seed (\d+)/.exec(first)?.[1]);
}
