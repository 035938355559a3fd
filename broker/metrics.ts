// What a broker counts, under RocketMQ's names where it has one. Everything is read at scrape from plain counters.
import type { BrokerConfiguration } from "../base/index.ts";
import type { Metrics, SetSample } from "../ops/index.ts";
import type { Registrar } from "../registrar/index.ts";
import type { CutReason, TransportObserver } from "../transport/index.ts";
import type { ClientTable } from "./clients/index.ts";
import type { Delivery } from "./delivery/index.ts";
import { isDerivedTopic } from "./metadata/index.ts";
import type { Traffic } from "./remoting/index.ts";
import type { Replica } from "./replica.ts";
import type { Store, StoreObserver } from "./store/index.ts";

/** What is measured. */
export interface MeasuredParts {
  readonly config: BrokerConfiguration;
  readonly replica: Replica;
  readonly clients: ClientTable;
  readonly traffic: Traffic;
  readonly registrar: Registrar | undefined;
  readonly calls: CallCounts;
}

/** Bounds of the buckets of write sizes, bytes. */
const writeSizeBuckets = [4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216];
const secondsBuckets = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** Counts what the transport tells. Never a wait, never a throw. */
export class CallCounts implements TransportObserver {
  readonly #calls = new Map<string, number[]>();
  readonly #cuts = new Map<CutReason, number>();
  connections = 0;

  connectionOpened(): void {
    this.connections += 1;
  }

  connectionClosed(): void {
    this.connections -= 1;
  }

  connectionCut(reason: CutReason): void {
    this.#cuts.set(reason, (this.#cuts.get(reason) ?? 0) + 1);
  }

  callFinished(path: string, grpcStatus: number): void {
    let counts = this.#calls.get(path);
    if (counts === undefined) {
      counts = [];
      this.#calls.set(path, counts);
    }
    counts[grpcStatus] = (counts[grpcStatus] ?? 0) + 1;
  }

  /** Adds what was counted. */
  addTo(metrics: Metrics): void {
    metrics.sampled(
      "counter",
      {
        name: "cometmq_calls_total",
        help: "Calls that have ended, by method and gRPC status.",
        labelNames: ["method", "grpc_status"],
      },
      (set) => {
        for (const [path, counts] of this.#calls) {
          const method = path.slice(path.lastIndexOf("/") + 1);
          counts.forEach((count, status) => set({ method, grpc_status: status }, count));
        }
      },
    );
    metrics.sampled(
      "counter",
      {
        name: "cometmq_connections_cut_total",
        help: "Connections that the server has ended, by reason.",
        labelNames: ["reason"],
      },
      (set) => {
        for (const [reason, count] of this.#cuts) set({ reason }, count);
      },
    );
    metrics.sampled(
      "gauge",
      { name: "cometmq_connections", help: "Open connections of clients and operators." },
      (set) => set({}, this.connections),
    );
  }
}

/** Measures each write and flush of the log. */
export function storeObserver(metrics: Metrics): StoreObserver {
  const writeSize = metrics.histogram({
    name: "cometmq_log_write_bytes",
    help: "Bytes that one write of the commit log has taken: the batch size.",
    buckets: writeSizeBuckets,
  });
  const writeTime = metrics.histogram({
    name: "cometmq_log_write_seconds",
    help: "Time of one write of the commit log.",
    buckets: secondsBuckets,
  });
  const flushTime = metrics.histogram({
    name: "cometmq_log_flush_seconds",
    help: "Time of one fdatasync of the commit log.",
    buckets: secondsBuckets,
  });
  return {
    wrote: (sizeBytes, elapsedMs) => {
      writeSize.observe(sizeBytes);
      writeTime.observe(elapsedMs / 1000);
    },
    flushed: (elapsedMs) => flushTime.observe(elapsedMs / 1000),
  };
}

/** Adds the broker's metrics. */
export function brokerMetrics(metrics: Metrics, parts: MeasuredParts): void {
  trafficMetrics(metrics, parts);
  clientMetrics(metrics, parts);
  deliveryMetrics(metrics, parts);
  liteMetrics(metrics, parts);
  refusalMetrics(metrics, parts);
  storeMetrics(metrics, parts);
  parts.calls.addTo(metrics);
}

function trafficMetrics(metrics: Metrics, { traffic, replica }: MeasuredParts): void {
  const ins = (field: "messages" | "bytes") => (set: SetSample) => {
    for (const [topic, count] of traffic.ins()) {
      const message_type = (
        replica.slot.current?.metadata?.topic(topic)?.messageType ?? "NORMAL"
      ).toLowerCase();
      set({ topic, message_type, is_system: "false" }, count[field]);
    }
  };
  const outs = (field: "messages" | "bytes") => (set: SetSample) => {
    for (const count of traffic.outs()) {
      const { topic, group } = count;
      const is_retry = String(isDerivedTopic(topic));
      set({ topic, consumer_group: group, is_retry, is_system: "false" }, count[field]);
    }
  };
  const inLabels = ["topic", "message_type", "is_system"];
  const outLabels = ["topic", "consumer_group", "is_retry", "is_system"];
  const counter = (
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (set: SetSample) => void,
  ): void => metrics.sampled("counter", { name: `rocketmq_${name}`, help, labelNames }, read);
  metrics.sampled(
    "counter",
    {
      name: "cometmq_sends_repeated_total",
      help: "Messages that were sent again and are stored once.",
    },
    (set) => set({}, traffic.repeats),
  );
  metrics.sampled(
    "gauge",
    { name: "cometmq_send_window_messages", help: "Sent messages that would be recognized again." },
    (set) => set({}, replica.local?.sends?.count ?? 0),
  );
  counter("messages_in_total", "Messages stored.", inLabels, ins("messages"));
  counter("throughput_in_total", "Bytes of bodies stored.", inLabels, ins("bytes"));
  counter("messages_out_total", "Messages handed out.", outLabels, outs("messages"));
  counter("throughput_out_total", "Bytes of bodies handed out.", outLabels, outs("bytes"));
}

function clientMetrics(metrics: Metrics, parts: MeasuredParts): void {
  const { clients, replica, registrar, config } = parts;
  const gauge = gaugeOf(metrics);
  gauge("rocketmq_topic_number", "Topics.", (set) =>
    set({}, replica.slot.current?.metadata?.topicCount ?? 0),
  );
  gauge("rocketmq_consumer_group_number", "Consumer groups.", (set) =>
    set({}, replica.slot.current?.metadata?.groupCount ?? 0),
  );
  gauge("rocketmq_broker_permission", "What the broker allows: 4 read, 2 write.", (set) =>
    set({}, config.values.brokerPermission),
  );
  gauge("rocketmq_producer_connections", "Producers.", (set) => set({}, clients.tally().producers));
  gauge(
    "rocketmq_consumer_connections",
    "Consumers by group.",
    (set) => {
      for (const [group, count] of clients.tally().consumers) set({ consumer_group: group }, count);
    },
    ["consumer_group"],
  );
  gauge(
    "cometmq_name_server_registered",
    "1 for each NameServer that knows this broker, 0 for each that does not.",
    (set) => {
      for (const { address, state } of registrar?.status() ?? []) {
        set({ address }, state === "registered" ? 1 : 0);
      }
    },
    ["address"],
  );
}

function liteMetrics(metrics: Metrics, { replica }: MeasuredParts): void {
  const gauge = gaugeOf(metrics);
  const now = (): Delivery | undefined => replica.local?.delivery;
  gauge("cometmq_lite_topics", "Lite topics that have messages.", (set) =>
    set({}, now()?.lite.state.topics ?? 0),
  );
  gauge("cometmq_lite_messages", "Messages of lite topics whose place is kept in memory.", (set) =>
    set({}, now()?.lite.state.offsets ?? 0),
  );
  gauge(
    "cometmq_lite_subscriptions",
    "Lite topics that clients subscribe to, counted once a client.",
    (set) => set({}, now()?.lite.state.subscriptions ?? 0),
  );
  metrics.sampled(
    "counter",
    {
      name: "cometmq_lite_topics_expired_total",
      help: "Lite topics that have gone because nothing came any more.",
    },
    (set) => set({}, now()?.lite.state.expired ?? 0),
  );
}

function deliveryMetrics(metrics: Metrics, { replica }: MeasuredParts): void {
  const gauge = gaugeOf(metrics);
  const now = (): Delivery | undefined => replica.local?.delivery;
  const labels = ["topic", "consumer_group"];
  const perGroup = (read: (lane: { lag: number; pendingCount: number }) => number) => {
    return (set: SetSample): void => {
      const delivery = now();
      for (const group of delivery?.groups() ?? []) {
        const sums = new Map<string, number>();
        for (const lane of delivery?.progress(group) ?? []) {
          sums.set(lane.topic, (sums.get(lane.topic) ?? 0) + read(lane));
        }
        for (const [topic, sum] of sums) set({ topic, consumer_group: group }, sum);
      }
    };
  };
  gauge(
    "rocketmq_consumer_lag_messages",
    "Messages not acknowledged.",
    perGroup((lane) => lane.lag + lane.pendingCount),
    labels,
  );
  gauge(
    "rocketmq_consumer_inflight_messages",
    "Messages handed out and not acknowledged.",
    perGroup((lane) => lane.pendingCount),
    labels,
  );
  gauge(
    "rocketmq_consumer_ready_messages",
    "Messages not handed out yet.",
    perGroup((lane) => lane.lag),
    labels,
  );
  gauge("cometmq_held_polls", "Receives that wait for messages.", (set) =>
    set({}, now()?.figures().heldPolls ?? 0),
  );
  gauge(
    "cometmq_full_lanes",
    "Queues of groups that wait at the bound of pending messages.",
    (set) => set({}, now()?.figures().fullLanes ?? 0),
  );
  metrics.sampled(
    "counter",
    { name: "rocketmq_send_to_dlq_messages_total", help: "Messages given up on." },
    (set) => set({}, now()?.counters.deadLettered ?? 0),
  );
  metrics.sampled(
    "counter",
    {
      name: "cometmq_deliveries_total",
      help: "What became of messages on their way to consumers.",
      labelNames: ["outcome"],
    },
    (set) => {
      for (const [outcome, count] of Object.entries(now()?.counters ?? {})) set({ outcome }, count);
    },
  );
}

function refusalMetrics(metrics: Metrics, { replica }: MeasuredParts): void {
  const gauge = gaugeOf(metrics);
  gauge(
    "cometmq_pending_messages",
    "Messages of all groups handed out and not acknowledged.",
    (set) => set({}, replica.local?.delivery.pendingBound.count ?? 0),
  );
  metrics.sampled(
    "counter",
    {
      name: "cometmq_refused_total",
      help: "What was answered TOO_MANY_REQUESTS because a bound was reached: messages sent, and receives.",
      labelNames: ["bound"],
    },
    (set) => {
      const { timers, transactions, delivery } = replica.local ?? {};
      set({ bound: "timerPendingMax" }, timers?.counters.refused ?? 0);
      set({ bound: "transactionHalfMax" }, transactions?.counters.refused ?? 0);
      set({ bound: "popInflightMessageThreshold" }, delivery?.refusedCount ?? 0);
      set({ bound: "popInflightTotalThreshold" }, delivery?.refusedTotalCount ?? 0);
      set({ bound: "appendBacklogSizeMax" }, replica.slot.current?.store.stats.refusedSends ?? 0);
    },
  );
}

function storeMetrics(metrics: Metrics, { config, replica }: MeasuredParts): void {
  const sampled = gaugeOf(metrics);
  const gauge = (name: string, help: string, read: (set: SetSample, store: Store) => void): void =>
    sampled(name, help, (set) => {
      const store = replica.slot.current?.store;
      if (store !== undefined) read(set, store);
    });
  if (config.values.messageIndexEnable) {
    gauge(
      "cometmq_index_behind_bytes",
      "Bytes of the log that cannot be found by key yet.",
      (set) => set({}, replica.slot.current?.index?.lagBytes ?? 0),
    );
  }
  gauge("rocketmq_storage_size", "Bytes of the commit log.", (set, store) => {
    set({}, store.stats.sizeBytes);
  });
  gauge(
    "rocketmq_storage_flush_behind_bytes",
    "Bytes that a power cut would take.",
    (set, store) => {
      set({}, store.end - store.flushed);
    },
  );
  gauge("rocketmq_storage_dispatch_behind_bytes", "Bytes not in the queues yet.", (set, store) => {
    set({}, store.end - store.dispatched);
  });
  gauge(
    "cometmq_storage_appends_waiting",
    "Appends that wait for their durability.",
    (set, store) => {
      set({}, store.stats.waitingCount);
    },
  );
  gauge("cometmq_storage_disk_used_ratio", "Used share of the disk, 0 to 1.", (set, store) => {
    set({}, store.stats.diskUsedPercent / 100);
  });
  gauge(
    "cometmq_storage_writable",
    "1 while sends are taken, 0 when the disk is full or failed.",
    (set, store) => {
      set({}, store.stats.isDiskFull || store.failure !== undefined ? 0 : 1);
    },
  );
}

function gaugeOf(metrics: Metrics) {
  return (
    name: string,
    help: string,
    read: (set: SetSample) => void,
    labelNames: readonly string[] = [],
  ): void => metrics.sampled("gauge", { name, help, labelNames }, read);
}
