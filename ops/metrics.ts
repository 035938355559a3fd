// The metrics of one server over a registry of its own, so that several servers live in one process.
// Hot paths keep plain counters and are read at each scrape; nothing here is called per message.
import type { Registry } from "prom-client";
import type { MetricDefinition, MetricName, SampleReader } from "./definition.ts";
import { BucketCounts, type MetricHistogram } from "./histogram.ts";

interface Prometheus {
  readonly registry: Registry;
  readonly add: (registry: Registry, definition: MetricDefinition) => void;
}

/** The metrics of one server. */
export class Metrics {
  /** Media type of `text()`. */
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly #labels: Readonly<Record<string, string>>;
  readonly #names = new Set<string>();
  /** Not yet in the registry. */
  #waiting: MetricDefinition[] = [];
  #prometheus: Promise<Prometheus> | undefined;

  /** `labels` stand on every line: RocketMQ's are cluster, node_type and node_id. */
  constructor(labels: Readonly<Record<string, string>>) {
    this.#labels = labels;
  }

  /** A metric whose values `read` tells at each scrape. A counter's values must never go back. */
  sampled(kind: "counter" | "gauge", metric: MetricName, read: SampleReader): void {
    this.#define({ kind, metric, read });
  }

  /** A distribution with upper bounds `buckets`, in the unit that the name ends with. */
  histogram(
    metric: Omit<MetricName, "labelNames"> & { readonly buckets: readonly number[] },
  ): MetricHistogram {
    const counts = new BucketCounts(metric.buckets);
    this.#define({ kind: "histogram", metric: { name: metric.name, help: metric.help }, counts });
    return counts;
  }

  /** All metrics in the Prometheus text format. */
  async text(): Promise<string> {
    this.#prometheus ??= this.#load();
    const { registry, add } = await this.#prometheus;
    for (const definition of this.#waiting.splice(0)) add(registry, definition);
    return await registry.metrics();
  }

  async #load(): Promise<Prometheus> {
    const { addMetric, openRegistry } = await import("./prometheus.ts");
    return { registry: openRegistry(this.#labels), add: addMetric };
  }

  #define(definition: MetricDefinition): void {
    const { name } = definition.metric;
    if (this.#names.has(name)) throw new Error(`the metric ${name} is defined twice`);
    this.#names.add(name);
    this.#waiting.push(definition);
  }
}
