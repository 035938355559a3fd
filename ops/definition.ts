// What a metric is before prom-client knows of it.
import type { BucketCounts } from "./histogram.ts";

/** Values of a metric's labels. */
export type MetricLabels = Readonly<Record<string, string | number>>;

/** Name (with `rocketmq_` prefix), meaning and label names of a metric. */
export interface MetricName {
  readonly name: string;
  readonly help: string;
  readonly labelNames?: readonly string[];
}

/** Takes one value of a sampled metric. */
export type SetSample = (labels: MetricLabels, value: number) => void;

/** Tells the values of a metric at a scrape. */
export type SampleReader = (set: SetSample) => void | Promise<void>;

/** A metric before anybody has asked for it. */
export type MetricDefinition =
  | {
      readonly kind: "counter" | "gauge";
      readonly metric: MetricName;
      readonly read: SampleReader;
    }
  | { readonly kind: "histogram"; readonly metric: MetricName; readonly counts: BucketCounts };
