// A cluster of real processes on this machine: NameServers and masters, in a folder of their own.
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { nameServerService } from "@cometmq/proto";
import { type ProgramProcess, run } from "./program-process.ts";
import { RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const mqadminProgram = fileURLToPath(new URL("../../bin/mqadmin", import.meta.url));

/** A process and where it is. */
export interface Member {
  readonly name: string;
  readonly program: ProgramProcess;
  /** `host:port` for clients. */
  readonly address: string;
}

/** What to start. */
export interface Counts {
  readonly nameServers: number;
  readonly masters: number;
  /** Of all masters. */
  readonly flags?: readonly string[];
}

/** Runs until `close`. */
export class ClusterProcesses {
  readonly nameServers: Member[] = [];
  readonly masters: Member[] = [];
  readonly #folder: string;
  readonly #clients: RawClient[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Starts so many NameServers, then so many masters named `m1`, `m2`, …; all are registered everywhere when it resolves. */
  static async start(counts: Counts): Promise<ClusterProcesses> {
    const cluster = new ClusterProcesses(await mkdtemp(join(tmpdir(), "cometmq-cluster-")));
    try {
      await cluster.#start(counts);
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  async #start(counts: Counts): Promise<void> {
    for (let index = 0; index < counts.nameServers; index++) {
      this.nameServers.push(await this.#startNameServer("0"));
    }
    const names = Array.from({ length: counts.masters }, (_unused, index) => `m${index + 1}`);
    await Promise.all(names.map((name) => this.addMaster(name, ...(counts.flags ?? []))));
    this.masters.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Starts one more master and waits until all NameServers that answer know it. */
  async addMaster(name: string, ...flags: readonly string[]): Promise<Member> {
    const program = run(
      "mqbroker",
      ...["-n", this.nameServers.map(({ address }) => address).join(";")],
      ...["--brokerName", name, "--data", join(this.#folder, name)],
      ...["--grpc-port", "0", "--metrics-port", "0", "--haListenPort", "0"],
      ...flags,
    );
    const { grpc = "" } = await program.ready();
    const member = { name, program, address: grpc };
    this.masters.push(member);
    await Promise.all(
      this.nameServers
        .filter((server) => !server.program.isOver)
        .map((server) => this.knows(server, name)),
    );
    return member;
  }

  /** Waits until a NameServer lists a broker name. */
  async knows(server: Member, brokerName: string): Promise<void> {
    const client = this.client(server.address);
    await until(`${server.name} to know ${brokerName}`, async () => {
      const { brokers } = await client.call(nameServerService.methods.ClusterList, { brokerName });
      return brokers.length > 0;
    });
  }

  /** Kills a NameServer and starts it again, empty, on the same port. */
  async restartNameServer(index: number): Promise<void> {
    const server = this.nameServers[index];
    if (server === undefined) throw new Error(`no NameServer ${index}`);
    await server.program.stop("SIGKILL");
    const port = server.address.slice(server.address.lastIndexOf(":") + 1);
    this.nameServers[index] = await this.#startNameServer(port);
  }

  /** Makes a topic on all masters, as an operator does. */
  async createTopic(topic: string, ...args: readonly string[]): Promise<void> {
    await this.mqadmin("updateTopic", "-c", "DefaultCluster", "-t", topic, ...args);
    for (const server of this.nameServers) {
      if (server.program.isOver) continue;
      const client = this.client(server.address);
      await until(`the route of ${topic}`, async () => {
        const wish = { topic };
        const { entries } = await client.call(nameServerService.methods.QueryTopicRoute, wish);
        return entries.length >= this.masters.filter(({ program }) => !program.isOver).length;
      });
    }
  }

  /** Runs mqadmin against the NameServers and gives what it prints. */
  async mqadmin(command: string, ...args: readonly string[]): Promise<string> {
    const servers = this.nameServers.filter(({ program }) => !program.isOver);
    const addresses = servers.map(({ address }) => address).join(";");
    const all = [command, "-n", addresses, ...args];
    return (await promisify(execFile)(mqadminProgram, all)).stdout;
  }

  /** The address of a master. */
  addressOf(name: string): string {
    const member = this.masters.find((master) => master.name === name);
    if (member === undefined) throw new Error(`no master ${name}`);
    return member.address;
  }

  /** A raw client of one address; closed with the cluster. */
  client(address: string, clientId = "raw@cluster"): RawClient {
    const client = new RawClient(address, clientId);
    this.#clients.push(client);
    return client;
  }

  /** Ends all processes, stopped ones too, and removes the folder. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await Promise.all(
      [...this.masters, ...this.nameServers].map(({ program }) => program.stop("SIGKILL")),
    );
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #startNameServer(port: string): Promise<Member> {
    const program = run("mqnamesrv", "--port", port, "--metrics-port", "0");
    const { namesrv = "" } = await program.ready();
    return { name: `namesrv ${namesrv}`, program, address: namesrv };
  }
}
