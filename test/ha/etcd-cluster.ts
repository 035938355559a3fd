// Real etcd members (Debian's etcd-server) on free ports of this machine, in temporary folders.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Address, silentLogger, systemClock } from "../../base/index.ts";
import { type Coordinator, openEtcdCoordinator } from "../../broker/ha/election/index.ts";

interface EtcdMember {
  readonly name: string;
  readonly host: string;
  readonly clientPort: number;
  readonly args: readonly string[];
  process: ChildProcess | undefined;
  output: string;
}

/** Members of one etcd cluster. */
export class EtcdCluster {
  readonly #folder: string;
  readonly #members: readonly EtcdMember[];

  private constructor(folder: string, members: readonly EtcdMember[]) {
    this.#folder = folder;
    this.#members = members;
  }

  /** Starts so many members and waits until they have a leader. `flags` go to each; clients reach them at `host`. */
  static async start(
    count: number,
    flags: readonly string[] = [],
    host = "127.0.0.1",
  ): Promise<EtcdCluster> {
    const folder = await mkdtemp(join(tmpdir(), "cometmq-etcd-"));
    const ports = await freePorts(count * 2);
    const peers = Array.from(
      { length: count },
      (_, index) => `m${index}=http://127.0.0.1:${ports[count + index]}`,
    );
    const members = peers.map((peer, index) => {
      const name = `m${index}`;
      const clientPort = ports[index] ?? 0;
      const client = `http://${host}:${clientPort}`;
      const peerUrl = peer.slice(name.length + 1);
      const args = [
        ...["--name", name, "--data-dir", join(folder, name)],
        ...["--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
        ...["--initial-cluster", peers.join(","), ...flags],
      ];
      return { name, host, clientPort, args, process: undefined, output: "" };
    });
    const cluster = new EtcdCluster(folder, members);
    for (let index = 0; index < count; index++) cluster.revive(index);
    await cluster.ready();
    return cluster;
  }

  get addresses(): readonly Address[] {
    return this.#members.map(({ host, clientPort }) => ({ host, port: clientPort }));
  }

  get count(): number {
    return this.#members.length;
  }

  /** A client of one group. */
  connect(brokerName = "group"): Promise<Coordinator> {
    return openEtcdCoordinator({
      members: this.addresses,
      clusterName: "test",
      brokerName,
      clock: systemClock,
      logger: silentLogger,
    });
  }

  /** Index of the leader, or -1 when there is none. */
  async leader(): Promise<number> {
    const client = await this.connect();
    try {
      const status = await client.status({ timeoutMs: 1_000 });
      return status.findIndex((member) => member.isLeader);
    } finally {
      client.close();
    }
  }

  /** Waits until a read is answered. */
  async ready(): Promise<void> {
    const client = await this.connect();
    const answers = (): Promise<boolean> =>
      client.read({ timeoutMs: 1_000 }).then(
        () => true,
        () => false,
      );
    try {
      for (let tries = 0; !(await answers()); tries++) {
        if (tries > 200) throw new Error(`etcd does not answer:\n${this.#outputs()}`);
        await sleep(50);
      }
    } finally {
      client.close();
    }
  }

  /** kill -9. */
  async kill(index: number): Promise<void> {
    const member = this.#at(index);
    const { process } = member;
    member.process = undefined;
    if (process === undefined || process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, "exit");
    process.kill("SIGCONT");
    process.kill("SIGKILL");
    await exited;
  }

  /** Starts a member that was killed, with what is on its disk. */
  revive(index: number): void {
    const member = this.#at(index);
    if (member.process !== undefined) return;
    const child = spawn("etcd", member.args, { stdio: ["ignore", "pipe", "pipe"] });
    const keep = (chunk: Buffer): void => {
      member.output = (member.output + chunk.toString("utf8")).slice(-4_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => {
      member.output += `${error.message} (apt-get install etcd-server)`;
    });
    member.process = child;
  }

  /** The member stands still, or goes on. */
  signal(index: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#at(index).process?.kill(signal);
  }

  async close(): Promise<void> {
    for (let index = 0; index < this.count; index++) await this.kill(index);
    await rm(this.#folder, { recursive: true, force: true });
  }

  #at(index: number): EtcdMember {
    const member = this.#members[index];
    if (member === undefined) throw new Error(`there is no etcd member ${index}`);
    return member;
  }

  #outputs(): string {
    return this.#members.map(({ name, output }) => `${name}: ${output}`).join("\n");
  }
}

/** Ports that were free a moment ago, all different. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, "close");
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
}
