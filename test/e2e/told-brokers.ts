// Brokers in this process that hear of each other what a test tells them, in a folder that goes with them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  brokerRole,
  Configuration,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { Broker, type BrokerOptions } from "../../broker/index.ts";
import { nodeDisk } from "../../broker/store/index.ts";
import type { TopicHolder } from "../../registrar/index.ts";
import { ToldRegistrar } from "../../registrar/testkit/index.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";

const topic = "t";

/** Brokers and clients of one test, and topic `t`. */
export class ToldBrokers {
  readonly #folder: string;
  readonly #registrars = new Map<string, ToldRegistrar>();
  readonly #brokers: Broker[] = [];
  readonly #clients: RawClient[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<ToldBrokers> {
    return new ToldBrokers(await mkdtemp(join(tmpdir(), "cometmq-told-")));
  }

  /** Starts one; `name` is its broker name unless `flags` say another. */
  async open(
    name: string,
    flags: Readonly<Record<string, string>> = {},
    bounds: BrokerOptions["bounds"] = {},
  ): Promise<Broker> {
    const ports = { grpcServerPort: "0", metricsPromExporterPort: "0", haListenPort: "0" };
    const broker = await Broker.open({
      config: Configuration.load(brokerRole, {
        flags: {
          storePathRootDir: join(this.#folder, name),
          brokerName: name,
          ...ports,
          ...flags,
        },
      }),
      clock: systemClock,
      random: systemRandom,
      disk: nodeDisk,
      logger: silentLogger,
      registrar: this.registrar(name),
      bounds,
    });
    this.#brokers.push(broker);
    return broker;
  }

  /** What the broker that is opened as `name` hears of others from. */
  registrar(name: string): ToldRegistrar {
    const known = this.#registrars.get(name) ?? new ToldRegistrar();
    this.#registrars.set(name, known);
    return known;
  }

  /** Tells the broker that was opened as `name` which others there are. */
  tell(name: string, ...brokersSeen: TopicHolder[]): void {
    this.registrar(name).servers = [{ brokers: brokersSeen, isSettled: true }];
  }

  /** Makes the topic at a broker. */
  async makeTopic(broker: Broker, messageType = "NORMAL"): Promise<void> {
    const { UpdateTopic } = brokerAdminService.methods;
    const wish = { name: topic, readQueues: 1, writeQueues: 1, messageType };
    await this.client(broker, "admin").call(UpdateTopic, wish);
  }

  client(broker: Broker, id = "client@1"): RawClient {
    const raw = new RawClient(`127.0.0.1:${broker.grpcPort}`, id);
    this.#clients.push(raw);
    return raw;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#brokers.map((broker) => broker.close()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** What a NameServer says of a broker at `port` that holds topic `t`. */
export function holder(
  brokerName: string,
  port: number,
  parts: Partial<TopicHolder> = {},
): TopicHolder {
  return {
    clusterName: "c",
    brokerName,
    brokerId: 0,
    duty: "master",
    epoch: 1,
    host: "127.0.0.1",
    observedHost: "127.0.0.1",
    port,
    haAddress: "",
    topic: {
      name: topic,
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: 6,
      messageType: "NORMAL",
      order: false,
    },
    ...parts,
  };
}
