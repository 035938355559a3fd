// Two things measured in turns, so that what else the machine does hits both, and held against each other round by round:
// a round that something else disturbs does not count, for the middle of all rounds is the figure.

/** How many rounds count, after how many that warm up. */
export interface Turns {
  readonly rounds: number;
  readonly warmUpRounds: number;
}

/** One round of both. */
export interface Turn<Cost> {
  readonly measured: Cost;
  readonly baseline: Cost;
}

/** Measures both in each round, in changing order: who comes first in a round finds the machine in another state. */
export async function inTurns<Cost>(
  { rounds, warmUpRounds }: Turns,
  measure: (which: keyof Turn<Cost>, round: number) => Promise<Cost>,
): Promise<readonly Turn<Cost>[]> {
  const turns: Turn<Cost>[] = [];
  for (let round = 0; round < rounds + warmUpRounds; round++) {
    let turn: Turn<Cost>;
    if (round % 2 === 0) {
      const measured = await measure("measured", round);
      turn = { measured, baseline: await measure("baseline", round) };
    } else {
      const baseline = await measure("baseline", round);
      turn = { measured: await measure("measured", round), baseline };
    }
    if (round >= warmUpRounds) turns.push(turn);
  }
  return turns;
}

/** The middle of what `of` gives for each round. */
export function median<Cost>(
  turns: readonly Turn<Cost>[],
  of: (turn: Turn<Cost>) => number,
): number {
  const sorted = turns.map(of).toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
