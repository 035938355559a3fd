// `npm run simulate -- [--seeds N] [--from SEED] [--workers N] | --seed SEED | --mendings`: runs seeds, prints what was found
// and how to see it again; or takes out one mending after the other and prints which seed of the range fails first.
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { mendings } from "./mendings.ts";
import { merged, runSeeds, summaryOf, type Tally } from "./seeds.ts";
import { simulate } from "./simulate.ts";
import { failingSeed } from "./without.ts";
import { runInWorkers } from "./workers.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    workers: { type: "string", default: String(cpus().length) },
    seed: { type: "string" },
    mendings: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});

if (values.seed !== undefined) await runOne(whole("seed", values.seed));
else if (values.mendings)
  await findMendings(whole("from", values.from), whole("seeds", values.seeds));
else await runMany(whole("from", values.from), whole("seeds", values.seeds));

async function runOne(seed: number): Promise<void> {
  const { trace, problems, mode, traceHash } = await simulate(seed);
  for (const line of trace) console.log(line);
  console.log(
    `seed ${seed} (${mode}), trace ${traceHash.slice(0, 12)}: ${problems.length} problems`,
  );
  for (const problem of problems) console.log(`  ${problem}`);
  process.exit(problems.length === 0 ? 0 : 1);
}

async function runMany(from: number, count: number): Promise<void> {
  const tally = values.json
    ? await runSeeds({ from, count })
    : merged(await runInWorkers({ from, count }, whole("workers", values.workers)));
  if (values.json) return void process.stdout.write(JSON.stringify(tally), () => process.exit());
  tell(tally);
  process.exit(tally.failed.length === 0 ? 0 : 1);
}

async function findMendings(from: number, count: number): Promise<void> {
  for (const mending of mendings) {
    const seed = await failingSeed(mending, [{ from, count }]);
    const found = seed === undefined ? `no seed of ${count}` : `seed ${seed}`;
    console.log(`${found}: ${mending.what} (${mending.file})`);
  }
}

function tell(tally: Tally): void {
  for (const line of tally.failed) console.log(line);
  console.log(summaryOf(tally));
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${name} is ${text}: a whole number from 0 on is wanted`);
  return process.exit(2);
}
