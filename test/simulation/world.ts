// A whole cluster in one process, of one seed: time, network, etcd, machines, and what its mode promises.
import type { LiteTimes } from "../../broker/delivery/index.ts";
import { ModelledEtcd } from "../../broker/ha/election/testkit/modelled-etcd.ts";
import { ProcessClock, VirtualTime } from "../../broker/ha/election/testkit/virtual-time.ts";
import type { ReplicaPlace } from "../../broker/ha/index.ts";
import { SimulatedNetwork } from "../../broker/ha/testkit/simulated-network.ts";
import { liteExpirationMs } from "../../broker/metadata/index.ts";
import type { Peers } from "../../broker/peers.ts";
import type { Producers } from "../../broker/transactions/index.ts";
import { Machine, type Surroundings } from "./machine.ts";
import { SeededRandom } from "./seeded-random.ts";

/** How a group runs. */
export interface Mode {
  readonly isElected: boolean;
  readonly role: "ASYNC_MASTER" | "SYNC_MASTER";
  readonly flush: "SYNC_FLUSH" | "ASYNC_FLUSH";
  readonly brokers: number;
  /** Disks are so small that the log loses its head, and slaves that were away need a snapshot. */
  readonly isRetaining: boolean;
  /** Consumers get the messages of a message group in their order. */
  readonly isOrdered: boolean;
  /** There are producers of transactional messages. */
  readonly isTransactional: boolean;
  /** There are messages with priorities. */
  readonly hasPriorities: boolean;
  /** There are lite topics. */
  readonly isLite: boolean;
  /** One client at a time has a lite topic. */
  readonly isExclusive: boolean;
  /** Lite topics go that are idle for a moment. */
  readonly isExpiring: boolean;
  /** Between two sends, on an average, milliseconds. */
  readonly sendEveryMs: number;
}

const lateMs = 300;
/** From a half message to the first check, and from each check to the next. */
export const transactionTimeOutMs = 600;
export const transactionCheckIntervalMs = 1_000;
/** Checks of one transaction. */
export const transactionCheckMax = 4;
/** How often idle lite topics are looked for. */
export const liteUpkeepPeriodMs = 200;
/** A minute without a message: so long that a seed has several. */
export const liteMinuteMs = 1_200;
const smallDiskBytes = 700_000;

/** The cluster of a seed. */
export class World implements Surroundings {
  readonly seed: number;
  readonly random: SeededRandom;
  readonly time: VirtualTime = new VirtualTime();
  readonly clock: ProcessClock;
  readonly network: SimulatedNetwork;
  readonly etcd: ModelledEtcd;
  readonly mode: Mode;
  /** Of a master of fixed roles. */
  readonly inSyncReplicas: number;
  readonly machines: readonly Machine[];
  readonly isSkewed: boolean;
  /** Everything was lost that the mode does not promise to keep: there is nothing to compare with any more. */
  isForgiven = false;
  isHealed = false;
  /** When something other than etcd was last in the way of a broker, milliseconds; Infinity while something is. */
  troubleAtMs: number = -Infinity;
  /** An operator has said that what a slave has beyond its master is to be given up. */
  isSettled = false;
  diskMaxMs: number;
  /** Producers of transactional messages; none at first. */
  asked: Producers | undefined;
  readonly producers: Producers = {
    canAsk: (topic) => this.asked?.canAsk(topic) === true,
    ask: (orphan) => this.asked?.ask(orphan) === true,
  };
  readonly lines: string[] = [];

  constructor(seed: number) {
    this.seed = seed;
    this.random = new SeededRandom(seed);
    this.clock = new ProcessClock(this.time);
    const { random, clock } = this;
    this.network = new SimulatedNetwork({ clock, random });
    const isStray = random.next() < 0.35;
    const isRetaining = random.next() < 0.2;
    this.mode = {
      isElected: random.next() < 0.6,
      role: random.next() < 0.65 ? "SYNC_MASTER" : "ASYNC_MASTER",
      flush: random.next() < 0.6 ? "SYNC_FLUSH" : "ASYNC_FLUSH",
      brokers: random.next() < 0.3 ? 2 : 3,
      isRetaining,
      // By the seed alone: no number is drawn for it, so that all other seeds stay what they are.
      isOrdered: seed % 5 === 4,
      isTransactional: seed % 3 === 2,
      hasPriorities: seed % 7 === 3,
      isLite: seed % 7 === 6,
      isExclusive: seed % 14 === 13,
      isExpiring: seed % 21 === 6,
      sendEveryMs: isRetaining ? 6 : random.pick([7, 15, 40]),
    };
    // What a power cut took with ASYNC_FLUSH is only with the others: they must not be kept from etcd.
    const strayRatio = isStray && this.isFlushing ? 0.02 : 0;
    this.etcd = new ModelledEtcd({ clock, random, lateMaxMs: lateMs, strayRatio });
    this.inSyncReplicas =
      this.mode.role === "ASYNC_MASTER" ? 1 : random.next() < 0.3 ? this.mode.brokers : 2;
    const isSkewed = random.next() < 0.3;
    // Idleness is counted from the clock of one master to that of another.
    this.isSkewed = isSkewed && !this.mode.isExpiring;
    this.diskMaxMs = random.pick([0.3, 1, 3]);
    this.machines = Array.from(
      { length: this.mode.brokers },
      (_, index) => new Machine(this, index + 1),
    );
  }

  /** Random numbers of something that has a name; others are not changed by what is drawn of them. */
  forked(name: string): SeededRandom {
    return SeededRandom.forked(this.seed, name);
  }

  get isElected(): boolean {
    return this.mode.isElected;
  }

  /** In the end an operator gives them larger ones: cut-off ends, which nobody removes, may have filled them. */
  get capacityBytes(): number {
    return this.mode.isRetaining && !this.isHealed ? smallDiskBytes : Number.POSITIVE_INFINITY;
  }

  get isFlushing(): boolean {
    return this.mode.flush === "SYNC_FLUSH";
  }

  /** How the group runs, in few words. */
  get title(): string {
    const { isElected, role, flush, brokers } = this.mode;
    const words = [
      this.mode.isRetaining ? " small disks" : "",
      this.mode.isOrdered ? " ordered" : "",
      this.mode.isTransactional ? " transactions" : "",
      this.mode.hasPriorities ? " priorities" : "",
      this.mode.isExclusive ? " exclusive" : "",
      this.mode.isLite ? " lite topics" : "",
      this.mode.isExpiring ? " that expire" : "",
    ];
    const rest = words.join("");
    return `${isElected ? "elected" : "fixed"} ${role} ${flush} x${brokers}${rest}`;
  }

  deliveryHooks(): { readonly liteTimes?: LiteTimes } {
    if (!this.mode.isExpiring) return {};
    const expirationMs: LiteTimes["expirationMs"] = (topic) => {
      const realMs = liteExpirationMs(topic);
      return realMs === undefined ? undefined : (realMs / 60_000) * liteMinuteMs;
    };
    return { liteTimes: { periodMs: liteUpkeepPeriodMs, expirationMs } };
  }

  /** Configuration of a machine beside what all have. */
  settingsOf(machine: Machine): Readonly<Record<string, string>> {
    const { isElected, role, flush } = this.mode;
    const shared = {
      flushDiskType: flush,
      preOnlineTimeout: "3000",
      transactionTimeOut: String(transactionTimeOutMs),
      transactionCheckInterval: String(transactionCheckIntervalMs),
      transactionCheckMax: String(transactionCheckMax),
      slaveTimeout: "1500",
      cleanResourceInterval: "200",
      diskMaxUsedSpaceRatio: "40",
      diskSpaceCleanForciblyRatio: "50",
      diskSpaceWarningLevelRatio: "90",
      diskFreeSpaceMin: "0",
      // It has to be exclusive from the first moment on.
      ...(this.mode.isExclusive ? { autoCreateSubscriptionGroup: "false" } : {}),
    };
    if (isElected) {
      return {
        ...shared,
        enableControllerMode: "true",
        controllerAddr: "etcd:2379",
        controllerLeaseSeconds: "2",
        brokerRole: role,
        haMaxTimeSlaveNotCatchup: "1500",
      };
    }
    const inSyncReplicas = this.inSyncReplicas;
    if (machine.id === 1) {
      return {
        ...shared,
        brokerRole: role,
        haTruncateLongerReplica: String(this.isSettled),
        ...(inSyncReplicas > 1 ? { inSyncReplicas: String(inSyncReplicas) } : {}),
      };
    }
    return { ...shared, brokerRole: "SLAVE" };
  }

  /** What NameServers, which everybody reaches, would say to a broker of fixed roles. */
  peersOf(machine: Machine): Peers {
    const others = (): ReplicaPlace[] =>
      this.machines.filter((other) => other !== machine && isRegistered(other)).map(placeOf);
    return {
      replicas: others,
      master: () => others().find(({ brokerId }) => brokerId === 0),
      reachableCount: () => 1,
      ask: async () => others(),
    };
  }

  /** Notes what has happened; the trace of a seed is always the same. */
  trace(line: string): void {
    this.lines.push(`${this.time.nowMs.toFixed(3)} ${line}`);
  }
}

/** A master registers when it serves, a slave as soon as it runs. */
function isRegistered(machine: Machine): boolean {
  const { life } = machine;
  if (life?.replica === undefined) return false;
  return machine.id > 1 || life.replica.standing.kind === "master";
}

function placeOf(machine: Machine): ReplicaPlace {
  return {
    brokerId: machine.id - 1,
    grpcAddress: `${machine.name}:1`,
    haAddress: `${machine.name}:100`,
  };
}
