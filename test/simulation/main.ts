// `npm run simulate -- [--seeds N] [--from SEED] | --seed SEED`: runs seeds, prints what was found and how to see it again.
import { parseArgs } from "node:util";
import { type Outcome, simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
  },
});

if (values.seed === undefined) await runMany(Number(values.from), Number(values.seeds));
else await runOne(Number(values.seed));

async function runOne(seed: number): Promise<void> {
  const outcome = await simulate(seed);
  for (const line of outcome.trace) console.log(line);
  report(outcome);
  process.exit(outcome.problems.length === 0 ? 0 : 1);
}

async function runMany(from: number, count: number): Promise<void> {
  const total = { acked: 0, consumed: 0, faults: 0, failed: 0 };
  const began = performance.now();
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = await simulate(seed);
    total.acked += outcome.acked;
    total.consumed += outcome.consumed;
    for (const times of Object.values(outcome.faults)) total.faults += times;
    if (outcome.problems.length === 0) continue;
    total.failed += 1;
    report(outcome);
  }
  const seconds = ((performance.now() - began) / 1_000).toFixed(1);
  console.log(
    `${count} seeds from ${from}: ${total.failed} failed; ${total.faults} faults, ${total.acked} messages acknowledged, ` +
      `${total.consumed} consumed; ${seconds} s`,
  );
  process.exit(total.failed === 0 ? 0 : 1);
}

function report({ seed, mode, problems, traceHash }: Outcome): void {
  console.log(
    `seed ${seed} (${mode}), trace ${traceHash.slice(0, 12)}: ${problems.length} problems`,
  );
  for (const problem of problems.slice(0, 8)) console.log(`  ${problem}`);
  if (problems.length > 0) console.log(`  see it again: npm run simulate -- --seed ${seed}`);
}
