// Starts brokers of a cluster for measuring: masters and slaves of fixed roles, each with a folder of its own.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import * as grpc from "@grpc/grpc-js";
import { ServerProcess } from "./server-process.ts";
import { portIn, type RunningServer } from "./servers.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** A broker of a cluster. */
export interface ClusterBroker extends RunningServer {
  readonly folder: string;
  /** Port of its replication. */
  readonly haPort: number;
}

/** How a broker is started. */
export interface ClusterBrokerOptions {
  readonly brokerName?: string;
  /** `host:port` of NameServers; none by default. */
  readonly nameServers?: string;
  readonly flags?: readonly string[];
  /** The core it may use; all by default. */
  readonly core?: number;
  /** Flags of Node, such as those of its profiler. */
  readonly nodeFlags?: readonly string[];
}

/** Starts a broker. */
export async function startClusterBroker(options: ClusterBrokerOptions): Promise<ClusterBroker> {
  const { brokerName = "bench", nameServers, flags = [], core, nodeFlags = [] } = options;
  const folder = await mkdtemp(join(tmpdir(), "cometmq-bench-"));
  const began = performance.now();
  const command = [
    ...(core === undefined ? [] : ["taskset", "-c", String(core)]),
    ...[process.execPath, ...nodeFlags, join(root, "bin/mqbroker"), "--brokerName", brokerName],
    ...(nameServers === undefined ? [] : ["-n", nameServers]),
    ...["--data", folder, "--grpc-port", "0", "--metrics-port", "0", "--haListenPort", "0"],
    ...["--autoCreateTopicEnable", "true", ...flags],
  ];
  const server = await ServerProcess.start(command, (line) => line.startsWith("ready"));
  const ready = server.firstLines.find((line) => line.startsWith("ready")) ?? "";
  return {
    process: server,
    folder,
    port: portIn(ready, "grpc"),
    haPort: portIn(ready, "ha"),
    metricsPort: portIn(ready, "metrics"),
    readyMs: performance.now() - began,
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts a slave of `master`; it may lag still when this resolves. */
export function startSlave(
  master: ClusterBroker,
  options: ClusterBrokerOptions = {},
): Promise<ClusterBroker> {
  const place = ["--haMasterAddress", `127.0.0.1:${master.haPort}`];
  const role = ["--brokerRole", "SLAVE", "--brokerId", "1"];
  return startClusterBroker({ ...options, flags: [...(options.flags ?? []), ...place, ...role] });
}

/** A NameServer and its address. */
export async function startNameServer(): Promise<{
  readonly address: string;
  readonly process: ServerProcess;
}> {
  const command = [process.execPath, join(root, "bin/mqnamesrv"), "--port", "0"];
  const server = await ServerProcess.start([...command, "--metrics-port", "0"], (line) =>
    line.startsWith("ready"),
  );
  const ready = server.firstLines.find((line) => line.startsWith("ready")) ?? "";
  return { address: `127.0.0.1:${portIn(ready, "namesrv")}`, process: server };
}

/** Between two looks at a broker, milliseconds: rare enough to cost it nothing. */
export const lookEveryMs = 20;

/** What a broker says of its replication. */
export async function haStatus(server: RunningServer): Promise<cometmq.v1.HaStatus> {
  const { ha } = await adminCall(server, brokerAdminService.methods.GetHaStatus, {});
  if (ha === undefined || ha === null) throw new Error("the broker says nothing of replication");
  return ha;
}

/** Waits until the slave of a master is in sync and has everything. */
export async function untilLevel(master: RunningServer, slaveCount = 1): Promise<void> {
  for (;;) {
    const { slaves } = await haStatus(master);
    const level = slaves.filter(({ connected, lagBytes }) => connected && lagBytes === 0);
    if (level.length >= slaveCount) return;
    await sleep(lookEveryMs);
  }
}

interface Codecs<Wish, Answer> {
  readonly path: string;
  readonly request: { encode(value: Wish): Uint8Array };
  readonly response: { decode(bytes: Uint8Array): Answer };
}

/** One call of an operator. */
export function adminCall<Wish, Answer>(
  server: Pick<RunningServer, "port">,
  method: Codecs<Wish, Answer>,
  wish: Wish,
): Promise<Answer> {
  const client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
  return new Promise<Answer>((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      (value: Wish) => Buffer.from(method.request.encode(value)),
      (bytes: Buffer) => method.response.decode(bytes),
      wish,
      { deadline: Date.now() + 10_000 },
      (error, answer) => {
        if (error !== null) reject(error);
        else if (answer === undefined) reject(new Error("no answer"));
        else resolve(answer);
      },
    );
  }).finally(() => client.close());
}
