// What a broker measures of delayed messages, under RocketMQ's names where it has one.
import type { Metrics } from "../ops/index.ts";
import type { Replica } from "./replica.ts";
import type { TimerCounters } from "./timers/index.ts";

/** Seconds; a wheel of whole seconds would show in the buckets. */
const latenessBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 3_600];

/** Measures how late messages are delivered. */
export function timerObserver(metrics: Metrics): (latenessMs: number) => void {
  const lateness = metrics.histogram({
    name: "cometmq_timer_lateness_seconds",
    help: "How long after its time a delayed message could be received.",
    buckets: latenessBuckets,
  });
  return (latenessMs) => lateness.observe(latenessMs / 1000);
}

/** Adds the metrics of delayed messages. */
export function timerMetrics(metrics: Metrics, replica: Replica): void {
  const held = (): ReadonlyMap<string, number> =>
    replica.slot.current?.state?.held.counts("timer") ?? new Map<string, number>();
  metrics.sampled(
    "gauge",
    {
      name: "rocketmq_timing_messages",
      help: "Delayed messages that wait for their time.",
      labelNames: ["topic"],
    },
    (set) => {
      for (const [topic, count] of held()) set({ topic }, count);
    },
  );
  const counter = (name: string, help: string, field: keyof TimerCounters): void =>
    metrics.sampled("counter", { name, help }, (set) =>
      set({}, replica.local?.timers?.counters[field] ?? 0),
    );
  counter("rocketmq_timer_enqueue_total", "Delayed messages taken.", "accepted");
  counter("rocketmq_timer_dequeue_total", "Delayed messages delivered.", "delivered");
  counter("cometmq_timer_recalled_total", "Delayed messages recalled.", "recalled");
  counter(
    "cometmq_timer_failures_total",
    "Groups of due messages that could not be delivered at once; they are tried again.",
    "failures",
  );
  counter(
    "cometmq_timer_unreadable_total",
    "Due messages that could not be read; damaged ones wait for a restart.",
    "unreadable",
  );
  metrics.sampled(
    "counter",
    {
      name: "cometmq_held_messages_lost_total",
      help: "Held messages whose record was gone when it was needed.",
    },
    (set) => set({}, replica.slot.current?.held?.lostCount ?? 0),
  );
}
