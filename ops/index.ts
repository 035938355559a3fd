export type { MetricHistogram } from "./histogram.ts";
export {
  type MetricLabels,
  type MetricName,
  Metrics,
  type SetSample,
} from "./metrics.ts";
export { OpsServer, type OpsServerOptions } from "./ops-server.ts";
export { type ProcessMetrics, processMetrics } from "./process-metrics.ts";
