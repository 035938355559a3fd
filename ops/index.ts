export type { MetricLabels, MetricName, SetSample } from "./definition.ts";
export type { MetricHistogram } from "./histogram.ts";
export { Metrics } from "./metrics.ts";
export { OpsServer, type OpsServerOptions } from "./ops-server.ts";
export { type ProcessMetrics, processMetrics } from "./process-metrics.ts";
