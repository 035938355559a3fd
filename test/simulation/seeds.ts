// Runs many seeds and adds up what came of them.
import { type Outcome, simulate } from "./simulate.ts";

/** Which seeds. */
export interface SeedRange {
  readonly from: number;
  readonly count: number;
}

/** What came of many seeds. */
export interface Tally {
  readonly seeds: number;
  readonly acked: number;
  readonly consumed: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Seeds in which an operator had to decide. */
  readonly settled: number;
  readonly healedMaxMs: number;
  readonly seconds: number;
  /** What is to be said of each seed that failed. */
  readonly failed: readonly string[];
}

/** So many problems of one seed are told. */
const problemsTold = 6;
/** Each such seed is run twice: it must go the same way. */
const twiceEvery = 50;

/** Runs seeds one after the other. */
export async function runSeeds({ from, count }: SeedRange): Promise<Tally> {
  const began = performance.now();
  const tallies: Tally[] = [];
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = await simulate(seed);
    const problems = [...outcome.problems];
    if (seed % twiceEvery === 0) {
      const again = await simulate(seed);
      if (again.traceHash !== outcome.traceHash) problems.push("went another way the second time");
    }
    tallies.push(tallyOf({ ...outcome, problems }));
  }
  return { ...merged(tallies), seconds: (performance.now() - began) / 1_000 };
}

function tallyOf(outcome: Outcome): Tally {
  const { acked, consumed, faults, isSettled, healedMs, problems } = outcome;
  const failed = problems.length === 0 ? [] : [told(outcome)];
  const settled = isSettled ? 1 : 0;
  return { seeds: 1, acked, consumed, faults, settled, healedMaxMs: healedMs, seconds: 0, failed };
}

function told({ seed, mode, problems }: Outcome): string {
  const lines = problems.slice(0, problemsTold).map((problem) => `  ${problem}`);
  return [
    `seed ${seed} (${mode}): ${problems.length} problems`,
    ...lines,
    `  see it again: npm run simulate -- --seed ${seed}`,
  ].join("\n");
}

/** All of them as one. Those that ran side by side took as long as the slowest. */
export function merged(tallies: readonly Tally[]): Tally {
  const faults: Record<string, number> = {};
  for (const tally of tallies) {
    for (const [name, times] of Object.entries(tally.faults)) {
      faults[name] = (faults[name] ?? 0) + times;
    }
  }
  const sum = (of: (tally: Tally) => number): number =>
    tallies.reduce((total, tally) => total + of(tally), 0);
  return {
    seeds: sum(({ seeds }) => seeds),
    acked: sum(({ acked }) => acked),
    consumed: sum(({ consumed }) => consumed),
    faults,
    settled: sum(({ settled }) => settled),
    healedMaxMs: Math.max(0, ...tallies.map(({ healedMaxMs }) => healedMaxMs)),
    seconds: Math.max(0, ...tallies.map(({ seconds }) => seconds)),
    failed: tallies.flatMap(({ failed }) => failed),
  };
}

/** In few lines, for people. */
export function summaryOf(tally: Tally): string {
  const { seeds, failed, faults, acked, consumed, settled, healedMaxMs, seconds } = tally;
  const kinds = Object.entries(faults).sort(([one], [other]) => (one < other ? -1 : 1));
  const count = kinds.reduce((total, [, times]) => total + times, 0);
  return (
    `${seeds} seeds: ${failed.length} failed; ${count} faults, ${acked} messages acknowledged, ${consumed} consumed, ` +
    `${settled} settled by an operator, level again after ${(healedMaxMs / 1_000).toFixed(1)} s at most; ` +
    `${seconds.toFixed(1)} s\n  ${kinds.map(([name, times]) => `${name} ${times}`).join(", ")}`
  );
}
