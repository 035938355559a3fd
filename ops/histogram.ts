// Counts of a distribution by upper bound: what a hot path adds to, and a scrape reads.

/** Where values are observed. */
export interface MetricHistogram {
  /** Adds one value, in the unit that the metric's name ends with. */
  observe(value: number): void;
}

/** A distribution over fixed bounds. */
export class BucketCounts implements MetricHistogram {
  /** Upper bounds, ascending; the last bucket, without bound, is not among them. */
  readonly bounds: readonly number[];
  /** Values at most as large as the bound of the same index, and in the last place those over all bounds. */
  readonly counts: number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = [...bounds].sort((a, b) => a - b);
    this.counts = this.bounds.map(() => 0);
    this.counts.push(0);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > (this.bounds[index] ?? 0)) index += 1;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += value;
  }
}
