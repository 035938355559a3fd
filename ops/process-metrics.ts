// What every server process tells of itself: event-loop delay, memory, CPU time, start.
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Metrics } from "./metrics.ts";

/** Ends the measuring. */
export interface ProcessMetrics {
  close(): void;
}

const nanosecondsPerSecond = 1e9;
const quantiles = [50, 90, 99, 99.9] as const;

/** Adds the process metrics. The event-loop delay is that since the last scrape. */
export function processMetrics(metrics: Metrics): ProcessMetrics {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  metrics.sampled(
    "gauge",
    {
      name: "cometmq_event_loop_delay_seconds",
      help: "Delay of the event loop since the last scrape, with the 20 ms between two looks in it.",
      labelNames: ["quantile"],
    },
    (set) => {
      for (const quantile of quantiles) {
        set({ quantile: quantile / 100 }, delay.percentile(quantile) / nanosecondsPerSecond);
      }
      set({ quantile: 1 }, delay.max / nanosecondsPerSecond);
      delay.reset();
    },
  );
  metrics.sampled(
    "gauge",
    {
      name: "cometmq_memory_bytes",
      help: "Memory of the process: resident, JavaScript heap, buffers outside of it.",
      labelNames: ["kind"],
    },
    (set) => {
      const memory = process.memoryUsage();
      set({ kind: "resident" }, memory.rss);
      set({ kind: "heap_used" }, memory.heapUsed);
      set({ kind: "heap_total" }, memory.heapTotal);
      set({ kind: "external" }, memory.external);
      set({ kind: "array_buffers" }, memory.arrayBuffers);
    },
  );
  metrics.sampled(
    "counter",
    {
      name: "cometmq_cpu_seconds_total",
      help: "CPU time of the process.",
      labelNames: ["mode"],
    },
    (set) => {
      const cpu = process.cpuUsage();
      set({ mode: "user" }, cpu.user / 1e6);
      set({ mode: "system" }, cpu.system / 1e6);
    },
  );
  metrics.sampled(
    "gauge",
    { name: "cometmq_uptime_seconds", help: "Time since the process started." },
    (set) => set({}, process.uptime()),
  );
  return { close: () => delay.disable() };
}
