// What a cluster costs: a send to a broker that has to pass it on, and two masters against one.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerAdminService, nameServerService } from "@cometmq/proto";
import { adminCall, type ClusterBroker, startClusterBroker, startNameServer } from "../cluster.ts";
import { type H2loadResult, h2load } from "../h2load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { sendBody, sendPath } from "../requests.ts";
import { counter } from "../servers.ts";

const seconds = 5;
const warmUpSeconds = 2;
const flags = [
  ...["--flushDiskType", "ASYNC_FLUSH", "--brokerRole", "ASYNC_MASTER"],
  ...["--autoCreateTopicEnable", "false"],
];

/** Forwarding against sending to the owner; both masters together against one. */
export async function measureCluster(): Promise<ReportRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-h2load-"));
  const nameServer = await startNameServer();
  try {
    const nameServers = nameServer.address;
    await using owner = await startClusterBroker({ brokerName: "m1", nameServers, flags });
    await using other = await startClusterBroker({ brokerName: "m2", nameServers, flags });
    await makeTopic("one", [owner], nameServers);
    await makeTopic("both", [owner, other], nameServers);
    const brokers = [owner, other];
    const direct = await measured(brokers, () => load(owner, "one", folder));
    const forwarded = await measured(brokers, () => load(other, "one", folder));
    const alone = await measured(brokers, () => load(owner, "both", folder));
    const together = await measured(brokers, async () => {
      const results = await Promise.all(brokers.map((broker) => load(broker, "both", folder)));
      return {
        requestsPerSecond: results.reduce((sum, one) => sum + one.requestsPerSecond, 0),
        succeeded: results.reduce((sum, one) => sum + one.succeeded, 0),
      };
    });
    return [forwardingRow(direct, forwarded), togetherRow(alone, together)];
  } finally {
    await nameServer.process.stop();
    await rm(folder, { recursive: true });
  }
}

interface Measured {
  readonly rate: number;
  /** CPU time a message of each broker, µs. */
  readonly micros: readonly number[];
}

async function measured(
  brokers: readonly ClusterBroker[],
  work: () => Promise<Pick<H2loadResult, "requestsPerSecond" | "succeeded">>,
): Promise<Measured> {
  const stored = async (): Promise<number> => {
    const counts = await Promise.all(
      brokers.map((broker) => counter(broker, "rocketmq_messages_in_total")),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const before = { stored: await stored(), cpu: brokers.map(({ process }) => process.cpuMs()) };
  const result = await work();
  const count = (await stored()) - before.stored;
  if (count < result.succeeded) {
    throw new Error(`h2load saw ${result.succeeded} answers, the brokers stored ${count}`);
  }
  const micros = brokers.map(
    ({ process }, index) => ((process.cpuMs() - (before.cpu[index] ?? 0)) * 1000) / count,
  );
  return { rate: result.requestsPerSecond, micros };
}

function load(broker: ClusterBroker, topic: string, folder: string): Promise<H2loadResult> {
  const body = sendBody(topic, 1024);
  return h2load({ port: broker.port, path: sendPath, body, folder, seconds, warmUpSeconds });
}

async function makeTopic(
  name: string,
  brokers: readonly ClusterBroker[],
  nameServers: string,
): Promise<void> {
  for (const broker of brokers) {
    const wish = { name, readQueues: 8, writeQueues: 8 };
    await adminCall(broker, brokerAdminService.methods.UpdateTopic, wish);
  }
  const nameServer = { port: Number(nameServers.split(":")[1]) };
  for (;;) {
    const wish = { topic: name };
    const answer = await adminCall(nameServer, nameServerService.methods.QueryTopicRoute, wish);
    if (answer.entries.length >= brokers.length) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function forwardingRow(direct: Measured, forwarded: Measured): ReportRow {
  return {
    load: "send to a broker that passes it on, 1 KiB",
    measured: `${perSecond(forwarded.rate)}, CPU ${cpu(forwarded)}`,
    baseline: `to the owner ${perSecond(direct.rate)}, CPU ${cpu(direct)}`,
    figure: forwarded.rate / direct.rate,
    // What a proxy on grpc-js would cost: 61 µs for a call of its server and about twice that for one of its client.
    bar: { atLeast: 0.1 },
  };
}

function togetherRow(alone: Measured, together: Measured): ReportRow {
  return {
    load: "two masters on one machine, 1 KiB",
    measured: `${perSecond(together.rate)}, CPU ${cpu(together)}`,
    baseline: `one master ${perSecond(alone.rate)}, CPU ${cpu(alone)}`,
    figure: together.rate / alone.rate,
    // On two cores, load programs included, two processes share what one had to itself.
    bar: { atLeast: 0.9 },
  };
}

function cpu({ micros }: Measured): string {
  return `${micros.map((value) => value.toFixed(1)).join(" + ")} µs`;
}
