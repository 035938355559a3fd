// How many rounds a measurement takes, and what comes out of them.

/** ROUNDS, or few enough for a verification. */
export const roundCount: number = Number(process.env["ROUNDS"] ?? 3);

/** `median 2.10 s, worst 2.52 s of 20`. */
export function summary(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((one, other) => one - other);
  const seconds = (ms: number | undefined): string => ((ms ?? 0) / 1_000).toFixed(2);
  return `median ${seconds(median(timesMs))} s, worst ${seconds(sorted.at(-1))} s of ${sorted.length}`;
}

/** The middle one. */
export function median(timesMs: readonly number[]): number {
  const sorted = timesMs.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
