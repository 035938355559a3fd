// What a broker measures of transactions, under RocketMQ's names where it has one.
import type { Metrics } from "../ops/index.ts";
import type { Replica } from "./replica.ts";
import type { TransactionCounters } from "./transactions/index.ts";

const openBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 600, 3_600];

/** Measures how long transactions are open. */
export function transactionObserver(metrics: Metrics): (openMs: number) => void {
  const open = metrics.histogram({
    name: "rocketmq_finish_message_latency",
    help: "Seconds from a transactional message to the end of its transaction.",
    buckets: openBuckets,
  });
  return (openMs) => open.observe(openMs / 1000);
}

/** Adds the metrics of transactions. */
export function transactionMetrics(metrics: Metrics, replica: Replica): void {
  metrics.sampled(
    "gauge",
    {
      name: "rocketmq_half_messages",
      help: "Transactional messages whose transactions are open.",
      labelNames: ["topic"],
    },
    (set) => {
      const held = replica.slot.current?.state?.held.counts("half");
      for (const [topic, count] of held ?? []) set({ topic }, count);
    },
  );
  const counter = (name: string, help: string, field: keyof TransactionCounters): void =>
    metrics.sampled("counter", { name, help }, (set) =>
      set({}, replica.local?.transactions?.counters[field] ?? 0),
    );
  counter("cometmq_half_messages_total", "Transactional messages taken.", "accepted");
  counter("rocketmq_commit_messages_total", "Transactions committed.", "committed");
  counter("rocketmq_rollback_messages_total", "Transactions rolled back.", "rolledBack");
  counter(
    "cometmq_transaction_checks_total",
    "Times that a producer was asked how a transaction ended.",
    "checked",
  );
  counter(
    "cometmq_transactions_given_up_total",
    "Transactions whose end no producer has told; their messages are in TRANS_CHECK_MAX_TIME_TOPIC.",
    "givenUp",
  );
  counter(
    "cometmq_transaction_check_failures_total",
    "Groups of checks that could not be noted in the log; they are made again.",
    "failures",
  );
  counter(
    "cometmq_transactions_unreadable_total",
    "Transactional messages that could not be read for a check; damaged ones wait for a restart.",
    "unreadable",
  );
}
