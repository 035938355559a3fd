// What a scrape needs of prom-client. Loaded at the first scrape: a start does not wait for it, and a server that
// nobody watches does not hold it in memory.
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { MetricDefinition, MetricName, SampleReader } from "./definition.ts";
import type { BucketCounts } from "./histogram.ts";

/** An empty registry whose lines all carry `labels`. */
export function openRegistry(labels: Readonly<Record<string, string>>): Registry {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  return registry;
}

/** Adds a metric. */
export function addMetric(registry: Registry, definition: MetricDefinition): void {
  switch (definition.kind) {
    case "gauge":
      addGauge(registry, definition.metric, definition.read);
      break;
    case "counter":
      addCounter(registry, definition.metric, definition.read);
      break;
    case "histogram":
      registry.registerMetric(new SampledHistogram(definition.metric, definition.counts));
      break;
  }
}

function addGauge(registry: Registry, metric: MetricName, read: SampleReader): void {
  const collect = async function (this: Gauge): Promise<void> {
    this.reset();
    await read((labels, value) => this.set({ ...labels }, value));
  };
  void new Gauge({ ...described(metric), registers: [registry], collect });
}

function addCounter(registry: Registry, metric: MetricName, read: SampleReader): void {
  const collect = async function (this: Counter): Promise<void> {
    this.reset();
    await read((labels, value) => this.inc({ ...labels }, value));
  };
  void new Counter({ ...described(metric), registers: [registry], collect });
}

function described(metric: MetricName): { name: string; help: string; labelNames: string[] } {
  return { name: metric.name, help: metric.help, labelNames: [...(metric.labelNames ?? [])] };
}

/** A histogram whose counts are kept elsewhere. */
class SampledHistogram extends Histogram {
  readonly #metric: MetricName;
  readonly #counts: BucketCounts;
  /** Never observed: gives the parts of an answer that are the same for all histograms. */
  readonly #blank: Histogram;

  constructor(metric: MetricName, counts: BucketCounts) {
    const options = { ...described(metric), buckets: [...counts.bounds], registers: [] };
    super(options);
    this.#blank = new Histogram(options);
    this.#metric = metric;
    this.#counts = counts;
  }

  override async get(): ReturnType<Histogram["get"]> {
    const blank = await this.#blank.get();
    const { name } = this.#metric;
    const { bounds, counts, sum } = this.#counts;
    let count = 0;
    const values = counts.map((own, index) => {
      count += own;
      return {
        metricName: `${name}_bucket`,
        labels: { le: bounds[index] ?? "+Inf" },
        value: count,
      };
    });
    return {
      ...blank,
      values: [
        ...values,
        { metricName: `${name}_sum`, labels: {}, value: sum },
        { metricName: `${name}_count`, labels: {}, value: count },
      ],
    };
  }

  /** What the registry asks when there is such a method. */
  getForPromString(): ReturnType<Histogram["get"]> {
    return this.get();
  }
}
