// The metrics of one server over a registry of its own, so that several servers live in one process.
// Hot paths keep plain counters and are read at each scrape; nothing here is called per message.
import { Counter, Gauge, Histogram, Registry } from "prom-client";

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

/** A distribution. */
export interface MetricHistogram {
  observe(value: number, labels?: MetricLabels): void;
}

/** The metrics of one server. */
export class Metrics {
  readonly #registry: Registry = new Registry();

  /** `labels` stand on every line: RocketMQ's are cluster, node_type and node_id. */
  constructor(labels: Readonly<Record<string, string>>) {
    this.#registry.setDefaultLabels(labels);
  }

  /** A metric whose values `read` tells at each scrape. A counter's values must never go back. */
  sampled(
    kind: "counter" | "gauge",
    metric: MetricName,
    read: (set: SetSample) => void | Promise<void>,
  ): void {
    const options = {
      name: metric.name,
      help: metric.help,
      labelNames: metric.labelNames ?? [],
      registers: [this.#registry],
    };
    if (kind === "gauge") {
      const collect = async function (this: Gauge): Promise<void> {
        this.reset();
        await read((labels, value) => this.set({ ...labels }, value));
      };
      void new Gauge({ ...options, collect });
      return;
    }
    const collect = async function (this: Counter): Promise<void> {
      this.reset();
      await read((labels, value) => this.inc({ ...labels }, value));
    };
    void new Counter({ ...options, collect });
  }

  /** A distribution with upper bounds `buckets`, in the unit that the name ends with. */
  histogram(metric: MetricName & { readonly buckets: readonly number[] }): MetricHistogram {
    const histogram = new Histogram({
      name: metric.name,
      help: metric.help,
      labelNames: metric.labelNames ?? [],
      buckets: [...metric.buckets],
      registers: [this.#registry],
    });
    return {
      observe: (value, labels) => {
        if (labels === undefined) histogram.observe(value);
        else histogram.observe({ ...labels }, value);
      },
    };
  }

  /** All metrics in the Prometheus text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Media type of `text()`. */
  get contentType(): string {
    return this.#registry.contentType;
  }
}
