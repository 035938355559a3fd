// NameServers and groups of brokers as real processes, in a folder of their own.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerAdminService, nameServerService } from "@cometmq/proto";
import { type ProgramProcess, run } from "../../e2e/program-process.ts";
import { RawClient } from "../../e2e/raw-client.ts";
import { until } from "../../e2e/waiting.ts";
import { type BrokerPlan, HaBroker } from "./ha-broker.ts";

/** Runs until `close`. */
export class HaCluster {
  readonly folder: string;
  readonly brokers: HaBroker[] = [];
  readonly nameServers: string[] = [];
  readonly #programs: ProgramProcess[] = [];
  readonly #clients: RawClient[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Starts NameServers and no broker yet. */
  static async start(nameServerCount = 1, host = "127.0.0.1"): Promise<HaCluster> {
    const cluster = new HaCluster(await mkdtemp(join(tmpdir(), "cometmq-ha-")));
    for (let index = 0; index < nameServerCount; index++) {
      const program = run(
        "mqnamesrv",
        ...["--port", "0", "--metrics-port", "0", "--bindAddress", host],
      );
      cluster.#programs.push(program);
      cluster.nameServers.push((await program.ready())["namesrv"] ?? "");
    }
    return cluster;
  }

  /** What clients and brokers are configured with. */
  get endpoints(): string {
    return this.nameServers.join(";");
  }

  /** A broker that is not started yet. */
  add(plan: BrokerPlan): HaBroker {
    const folder = join(this.folder, `${plan.brokerName}-${plan.brokerId}-${this.brokers.length}`);
    const broker = new HaBroker(plan, { folder, nameServers: this.endpoints });
    this.brokers.push(broker);
    return broker;
  }

  /** Brokers of a name. */
  group(brokerName: string): readonly HaBroker[] {
    return this.brokers.filter((broker) => broker.brokerName === brokerName);
  }

  /** A raw client; closed with the cluster. */
  client(address: string): RawClient {
    const client = new RawClient(address);
    this.#clients.push(client);
    return client;
  }

  /** Waits for the one of a name that rules, other than `not`. */
  async master(brokerName: string, not?: HaBroker, withinMs = 20_000): Promise<HaBroker> {
    let found: HaBroker | undefined;
    const look = async (): Promise<boolean> => {
      const candidates = this.group(brokerName).filter((one) => one !== not && !one.isOver);
      const states = await Promise.all(candidates.map((one) => one.status()));
      found = candidates.find((_, index) => states[index]?.standing === "master");
      return found !== undefined;
    };
    await until(`a master of ${brokerName}`, look, withinMs);
    return found ?? assert.fail("no master");
  }

  /** Waits until the master of a name has so many slaves that are in sync and have everything. */
  async whole(brokerName: string, slaveCount: number, withinMs = 30_000): Promise<HaBroker> {
    let said = "nothing";
    let found: HaBroker | undefined;
    const look = async (): Promise<boolean> => {
      for (const one of this.group(brokerName)) {
        const state = one.isOver ? undefined : await one.status();
        if (state?.standing !== "master") continue;
        found = one;
        said = JSON.stringify(state);
        const level = state.slaves.filter((slave) => slave.inSync && slave.lagBytes === 0);
        return level.length >= slaveCount;
      }
      return false;
    };
    await until(`${slaveCount} slaves of ${brokerName} in sync`, look, withinMs).catch((error) => {
      throw new Error(`${String(error)}; the master said ${said}\n${this.complaints(brokerName)}`);
    });
    return found ?? assert.fail("no master");
  }

  /** Standard error of a group, for a failure's message. */
  complaints(brokerName: string): string {
    return this.group(brokerName)
      .map((one) => `--- ${one.label}\n${(one.complaints + one.said).slice(-3_000)}`)
      .join("\n");
  }

  /** Makes a topic on the masters of these names, and waits until all NameServers have its route. */
  async makeTopic(topic: string, brokerNames: readonly string[], queues = 4): Promise<void> {
    for (const name of brokerNames) {
      const master = await this.master(name);
      const wish = { name: topic, readQueues: queues, writeQueues: queues };
      const client = this.client(master.address);
      const { status } = await client.call(brokerAdminService.methods.UpdateTopic, wish);
      assert.equal(status?.code, 20_000, status?.message);
    }
    await this.routed(topic, brokerNames.length);
  }

  /** Waits until all NameServers have a route with brokers of so many names. */
  async routed(topic: string, nameCount = 1): Promise<void> {
    for (const address of this.nameServers) {
      const client = this.client(address);
      await until(`the route of ${topic}`, async () => {
        const answer = await client.call(nameServerService.methods.QueryTopicRoute, { topic });
        return answer.entries.length >= nameCount;
      });
    }
  }

  /** Ends all processes, stopped ones too, and removes the folder. */
  async close(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await Promise.all(this.brokers.map((broker) => broker.close()));
    await Promise.all(this.#programs.map((program) => program.stop("SIGKILL")));
    await rm(this.folder, { recursive: true, force: true });
  }
}
