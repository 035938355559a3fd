// How long the SDK's sends stand still when an elected master is killed, and when it hands over. Needs etcd.
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Producer } from "@cometmq/client";
import { brokerAdminService, nameServerService } from "@cometmq/proto";
import {
  adminCall,
  type ClusterBroker,
  haStatus,
  startClusterBroker,
  startNameServer,
} from "../cluster.ts";
import type { ReportRow } from "../report.ts";

const topic = "bench";
const killRounds = 5;
const handOverRounds = 10;

/** Kills an elected master again and again; hands over again and again. */
export async function measureFailover(): Promise<ReportRow[]> {
  if (spawnSync("etcd", ["--version"]).status !== 0) {
    process.stderr.write("failover: no etcd on PATH, left out (apt-get install etcd-server)\n");
    return [];
  }
  await using etcd = await startEtcd();
  const nameServer = await startNameServer();
  const group = new Group(nameServer.address, etcd.address);
  try {
    for (const id of [1, 2, 3]) await group.start(id);
    await group.makeTopic();
    const producer = new Producer({ endpoints: nameServer.address, topics: [topic] });
    await producer.startup();
    const handOvers = await group.gaps(producer, handOverRounds, (id) => group.handOver(id));
    const kills = await group.gaps(producer, killRounds, (id) => group.kill(id));
    await producer.shutdown();
    return [
      row({ load: "elected master killed: first send acknowledged", gaps: kills, barSeconds: 3 }),
      row({ load: "hand-over: first send acknowledged", gaps: handOvers, barSeconds: 1 }),
    ];
  } finally {
    await group.close();
    await nameServer.process.stop();
  }
}

function row(measured: {
  readonly load: string;
  readonly gaps: readonly number[];
  readonly barSeconds: number;
}): ReportRow {
  const sorted = measured.gaps.toSorted((one, other) => one - other);
  const median = (sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) / 1000;
  return {
    load: measured.load,
    measured: `median ${median.toFixed(2)} s, worst ${((sorted.at(-1) ?? 0) / 1000).toFixed(2)} s`,
    baseline: `${sorted.length} rounds`,
    figure: median,
    bar: { atMost: measured.barSeconds },
  };
}

/** Three brokers of a name. */
class Group {
  readonly #nameServers: string;
  readonly #etcd: string;
  readonly #brokers = new Map<number, ClusterBroker>();

  constructor(nameServers: string, etcd: string) {
    this.#nameServers = nameServers;
    this.#etcd = etcd;
  }

  /** Starts a broker with an empty disk. */
  async start(id: number): Promise<void> {
    const flags = [
      ...["--brokerId", String(id), "--brokerRole", "SYNC_MASTER"],
      ...["--enableControllerMode", "true", "--controllerAddr", this.#etcd],
    ];
    const broker = await startClusterBroker({ nameServers: this.#nameServers, flags });
    this.#brokers.set(id, broker);
  }

  /** Waits until one rules and all others are in sync; gives its id. */
  async whole(): Promise<number> {
    for (;;) {
      for (const [id, broker] of this.#brokers) {
        const { standing, slaves } = await haStatus(broker);
        const level = slaves.filter(({ inSync, lagBytes }) => inSync && lagBytes === 0);
        if (standing === "master" && level.length === this.#brokers.size - 1) return id;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Makes the topic and waits until the NameServer has its route. */
  async makeTopic(): Promise<void> {
    const master = this.#brokers.get(await this.whole());
    if (master === undefined) throw new Error("no master");
    const wish = { name: topic, readQueues: 4, writeQueues: 4 };
    await adminCall(master, brokerAdminService.methods.UpdateTopic, wish);
    const nameServer = { port: Number(this.#nameServers.split(":")[1]) };
    for (;;) {
      const { QueryTopicRoute } = nameServerService.methods;
      const { entries } = await adminCall(nameServer, QueryTopicRoute, { topic });
      if (entries.length > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Milliseconds from each `act` to the first acknowledgement of a send that began after it. */
  async gaps(
    producer: Producer,
    rounds: number,
    act: (masterId: number) => Promise<void>,
  ): Promise<readonly number[]> {
    const gaps: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const masterId = await this.whole();
      await producer.send({ topic, body: Buffer.from("before") });
      const began = performance.now();
      const acting = act(masterId);
      // One that was on its way when the act began does not count.
      await new Promise((resolve) => setImmediate(resolve));
      await acting;
      await producer.send({ topic, body: Buffer.from("after") });
      gaps.push(performance.now() - began);
      if (!this.#brokers.has(masterId)) await this.start(masterId);
    }
    return gaps;
  }

  async handOver(masterId: number): Promise<void> {
    const broker = this.#brokers.get(masterId);
    if (broker === undefined) throw new Error(`no broker ${masterId}`);
    const brokerId = (masterId % 3) + 1;
    const wish = { brokerName: "bench", brokerId };
    await adminCall(broker, brokerAdminService.methods.ElectMaster, wish);
  }

  async kill(masterId: number): Promise<void> {
    const broker = this.#brokers.get(masterId);
    this.#brokers.delete(masterId);
    broker?.process.child.kill("SIGKILL");
    await broker?.[Symbol.asyncDispose]();
  }

  async close(): Promise<void> {
    for (const broker of this.#brokers.values()) await broker[Symbol.asyncDispose]();
  }
}

async function startEtcd(): Promise<AsyncDisposable & { readonly address: string }> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-bench-etcd-"));
  const [client, peer] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const args = [
    ...["--data-dir", folder, "--listen-client-urls", url, "--advertise-client-urls", url],
    ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
    ...["--initial-cluster", `default=${peerUrl}`],
  ];
  const child = spawn("etcd", args, { stdio: "ignore" });
  return {
    address: `127.0.0.1:${client}`,
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
