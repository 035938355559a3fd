// Brokers of one group in this process, on simulated disks and a network of their own, without gRPC.
import { MemoryLevel } from "memory-level";
import {
  assert,
  type BrokerConfig,
  brokerRole,
  Configuration,
  type Logger,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { ElectedRole } from "../elected-role.ts";
import { FixedRole } from "../fixed-role.ts";
import type { ModelledEtcd } from "../ha/election/testkit/modelled-etcd.ts";
import type { Network, ReplicaPlace } from "../ha/index.ts";
import { type LevelSource, levelEncodings } from "../metadata/index.ts";
import { noPeers, type Peers } from "../peers.ts";
import { Replica } from "../replica.ts";
import type { StorageOptions } from "../storage.ts";
import { type Disk, type RecordDraft, RecordType } from "../store/index.ts";
import { SimulatedDisk } from "../store/testkit/simulated-disk.ts";
import type { Producers } from "../transactions/index.ts";
import { LoopNetwork } from "./loop-network.ts";

/** One broker's machine: what stays when its process goes. */
export class Machine {
  readonly disk: SimulatedDisk = new SimulatedDisk();
  readonly settings: Readonly<Record<string, string>>;
  level: MemoryLevel<string, Uint8Array> = new MemoryLevel(levelEncodings);

  constructor(settings: Readonly<Record<string, string>>) {
    this.settings = settings;
  }

  /** The state database in memory; a new disk has an empty one. */
  database(): LevelSource {
    return {
      open: async () => {
        await this.level.open();
        return this.level;
      },
      destroy: async () => {
        await this.level.close();
        this.level = new MemoryLevel(levelEncodings);
      },
    };
  }

  /** What a process opens here. */
  storage(): StorageOptions {
    return {
      config: this.config(),
      clock: systemClock,
      random: systemRandom,
      disk: this.disk,
      logger: silentLogger,
      stateDatabase: this.database(),
      index: false,
    };
  }

  config(): Configuration<BrokerConfig> {
    const lines = {
      brokerName: "group",
      storePathRootDir: "/data",
      mappedFileSizeCommitLog: "65536",
      maxMessageSize: "1024",
      preOnlineTimeout: "500",
      ...this.settings,
    };
    const text = Object.entries(lines).map(([key, value]) => `${key} = ${value}`);
    return Configuration.load(brokerRole, {
      flags: {},
      environment: {},
      file: { name: "broker.conf", text: text.join("\n") },
    });
  }
}

/** A running broker of fixed roles. */
export interface RunningReplica {
  readonly replica: Replica;
  readonly role: FixedRole;
  readonly port: number;
  close(): Promise<void>;
}

/** A running broker that takes part in elections. */
export interface ElectedReplica {
  readonly replica: Replica;
  readonly role: ElectedRole;
  close(): Promise<void>;
  /** Its process is gone: it says and hears nothing any more. Its disk is killed apart. */
  kill(): void;
}

/** A group on one network. */
export class ReplicaGroup {
  /** Whom its brokers ask about transactions; a test may put others here before it starts them. */
  producers: Producers = { canAsk: () => false, ask: () => false };
  readonly network: LoopNetwork = new LoopNetwork();
  logger: Logger = silentLogger;
  #started = 0;

  /** Starts a broker that takes part in elections. */
  async startElected(machine: Machine, etcd: ModelledEtcd): Promise<ElectedReplica> {
    const process = this.network.process();
    const disk = mortal(machine.disk);
    const replica = await this.#open(machine, process.network, disk.disk);
    const { brokerId, haPort } = replica.identity();
    const coordinator = etcd.connect(String(brokerId));
    const role = new ElectedRole({ replica, host: "loop", coordinator });
    assert(haPort > 0, "elected replicas are dialled");
    await role.start();
    return {
      replica,
      role,
      kill: () => {
        process.kill();
        disk.kill();
        coordinator.close();
      },
      close: async () => {
        await role.leave();
        await role.close();
        await replica.close();
      },
    };
  }

  #open(machine: Machine, network: Network, disk: Disk = machine.disk): Promise<Replica> {
    this.#started += 1;
    const instanceId = `instance-${this.#started}`;
    return Replica.open({
      ...machine.storage(),
      disk,
      logger: this.logger,
      network,
      listen: { host: "loop", port: machine.config().values.haListenPort },
      instanceId,
      grpcPort: () => 1,
      delivery: { isAlive: () => true },
      producers: this.producers,
    });
  }

  /** Starts a broker of fixed roles on a machine. */
  async start(machine: Machine, peers: Peers = noPeers): Promise<RunningReplica> {
    const replica = await this.#open(machine, this.network);
    const role = new FixedRole(replica, peers);
    try {
      await role.start();
    } catch (error) {
      await replica.close();
      throw error;
    }
    return {
      replica,
      role,
      port: replica.server.port,
      close: async () => {
        await role.close();
        await replica.close();
      },
    };
  }
}

/** A disk as one process has it: when that is killed, nothing it asks for ever comes back. */
function mortal(machine: SimulatedDisk): { readonly disk: Disk; kill(): void } {
  let isAlive = true;
  const disk = new Proxy<Disk>(machine, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...parameters: readonly unknown[]) =>
        isAlive ? Reflect.apply(value, target, parameters) : new Promise(() => {});
    },
  });
  const kill = (): void => {
    isAlive = false;
    machine.kill();
  };
  return { disk, kill };
}

/** What NameServers would say. */
export class TestPeers implements Peers {
  places: readonly ReplicaPlace[] = [];
  listed: ReplicaPlace | undefined;
  reachable = 1;

  replicas(): readonly ReplicaPlace[] {
    return this.places;
  }

  master(): ReplicaPlace | undefined {
    return this.listed;
  }

  reachableCount(): number {
    return this.reachable;
  }

  async ask(): Promise<readonly ReplicaPlace[]> {
    return this.places;
  }
}

const nothing = new Uint8Array(0);

/** A machine of an elected SYNC_MASTER group. */
export function elected(id: number): Machine {
  return new Machine({
    enableControllerMode: "true",
    controllerAddr: "etcd:2379",
    controllerLeaseSeconds: "1",
    brokerRole: "SYNC_MASTER",
    brokerId: String(id),
    haListenPort: String(100 + id),
  });
}

/** A message to topic `t`. */
export function message(text: string): RecordDraft {
  return {
    type: RecordType.message,
    topic: "t",
    queueId: 0,
    systemProperties: nothing,
    userProperties: nothing,
    body: Buffer.from(text),
  };
}
