// `npm run model -- [--runs N] [--from SEED] | --seed SEED`: runs random schedules against the model, prints what was found
// and how to see it again.
import { parseArgs } from "node:util";
import { runSchedule } from "./schedule.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
  },
});

if (values.seed !== undefined) await runOne(whole("seed", values.seed));
else await runMany(whole("from", values.from), whole("runs", values.runs));

async function runOne(seed: number): Promise<void> {
  const { steps, problem } = await runSchedule(seed);
  for (const step of steps) console.log(step);
  console.log(`seed ${seed}: ${problem ?? "no problem"}`);
  process.exit(problem === undefined ? 0 : 1);
}

async function runMany(from: number, count: number): Promise<void> {
  let failed = 0;
  const began = performance.now();
  for (let seed = from; seed < from + count; seed += 1) {
    const { problem } = await runSchedule(seed);
    if (problem === undefined) continue;
    failed += 1;
    console.log(`seed ${seed}: ${problem}\n  see it again: npm run model -- --seed ${seed}`);
  }
  const seconds = (performance.now() - began) / 1_000;
  console.log(`${count} runs: ${failed} failed; ${seconds.toFixed(1)} s`);
  process.exit(failed === 0 ? 0 : 1);
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`--${name} is ${text}: a whole number from 0 on is wanted`);
  return process.exit(2);
}
