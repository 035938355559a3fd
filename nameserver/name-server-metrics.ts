// The metrics of a NameServer: what it knows and what it answers.
import type { Metrics } from "../ops/index.ts";
import type { TransportObserver } from "../transport/index.ts";
import type { Registry } from "./registry.ts";
import { listTopics } from "./route-queries.ts";

/** Adds the metrics; gives the observer that counts connections and calls for them. */
export function nameServerMetrics(metrics: Metrics, registry: Registry): TransportObserver {
  let connections = 0;
  const calls = new Map<string, number>();
  metrics.sampled(
    "gauge",
    {
      name: "cometmq_namesrv_brokers",
      help: "Registered brokers.",
      labelNames: ["broker_cluster"],
    },
    (set) => {
      const counts = new Map<string, number>();
      for (const { clusterName } of registry.state.brokers.values()) {
        counts.set(clusterName, (counts.get(clusterName) ?? 0) + 1);
      }
      for (const [broker_cluster, count] of counts) set({ broker_cluster }, count);
    },
  );
  metrics.sampled(
    "gauge",
    { name: "cometmq_namesrv_topics", help: "Topics that a registered broker holds." },
    (set) => set({}, listTopics(registry.state).length),
  );
  metrics.sampled(
    "gauge",
    { name: "cometmq_namesrv_connections", help: "Open connections." },
    (set) => set({}, connections),
  );
  metrics.sampled(
    "counter",
    {
      name: "cometmq_namesrv_calls_total",
      help: "Calls that have ended, by method and gRPC status.",
      labelNames: ["method", "grpc_status"],
    },
    (set) => {
      for (const [key, count] of calls) {
        const [method = "", grpc_status = ""] = key.split(" ");
        set({ method, grpc_status }, count);
      }
    },
  );
  return {
    connectionOpened: () => {
      connections++;
    },
    connectionClosed: () => {
      connections--;
    },
    callFinished: (path, grpcStatus) => {
      const key = `${path} ${grpcStatus}`;
      calls.set(key, (calls.get(key) ?? 0) + 1);
    },
  };
}
