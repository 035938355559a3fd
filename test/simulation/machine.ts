// One machine of a simulated cluster: a disk that stays, and a process that comes and goes.
import { MemoryLevel } from "memory-level";
import {
  assert,
  type BrokerConfig,
  brokerRole,
  Configuration,
  type LogFields,
  type Logger,
} from "../../base/index.ts";
import type { LiteTimes } from "../../broker/delivery/index.ts";
import { ElectedRole } from "../../broker/elected-role.ts";
import { FixedRole } from "../../broker/fixed-role.ts";
import type { ModelledEtcd } from "../../broker/ha/election/testkit/modelled-etcd.ts";
import { ProcessClock, type VirtualTime } from "../../broker/ha/election/testkit/virtual-time.ts";
import type { SimulatedNetwork } from "../../broker/ha/testkit/simulated-network.ts";
import { type LevelSource, levelEncodings } from "../../broker/metadata/index.ts";
import type { Peers } from "../../broker/peers.ts";
import { Replica } from "../../broker/replica.ts";
import type { Role } from "../../broker/role.ts";
import type { Disk } from "../../broker/store/index.ts";
import { SimulatedDisk } from "../../broker/store/testkit/simulated-disk.ts";
import type { Producers } from "../../broker/transactions/index.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** How clocks run against that of etcd. */
const slowest = 1 / 1.1;
const fastest = 1.1;

/** A process that runs, or stands still. */
export interface Life {
  readonly number: number;
  readonly clock: ProcessClock;
  replica: Replica | undefined;
  role: Role | undefined;
  isPaused: boolean;
}

/** What a machine stands in. */
export interface Surroundings {
  readonly time: VirtualTime;
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly etcd: ModelledEtcd;
  readonly isElected: boolean;
  /** Whether clocks run at different rates. */
  readonly isSkewed: boolean;
  /** How long an operation of a disk takes at most, milliseconds. */
  readonly diskMaxMs: number;
  readonly capacityBytes: number;
  /** Whether what was acknowledged survives a power cut. */
  readonly isFlushing: boolean;
  /** Who is asked how transactions ended. */
  readonly producers: Producers;
  /** What delivery is told beside what brokers do. */
  deliveryHooks(): { readonly liteTimes?: LiteTimes };
  settingsOf(machine: Machine): Readonly<Record<string, string>>;
  peersOf(machine: Machine): Peers;
  trace(line: string): void;
}

/** A broker's machine. */
export class Machine {
  readonly id: number;
  readonly name: string;
  disk: SimulatedDisk = new SimulatedDisk();
  readonly #world: Surroundings;
  #level: MemoryLevel<string, Uint8Array> = new MemoryLevel(levelEncodings);
  #lives = 0;
  life: Life | undefined;
  /** How often its disk has lost what it had been given, which its mode does not call durable. */
  losses = 0;
  /** When its disk was last made to fail, or healed, milliseconds. */
  diskTroubleAtMs: number = -Infinity;
  /** How often a process of it has stood still. */
  pauses = 0;
  /** Why the last start failed; empty when it did not. */
  startFailure = "";

  constructor(world: Surroundings, id: number) {
    this.#world = world;
    this.id = id;
    this.name = `host${id}`;
  }

  /** What it serves now. */
  get local(): Replica["local"] {
    return this.life?.isPaused === false ? this.life.replica?.local : undefined;
  }

  /** Names the process that runs, or ran last, to other brokers. */
  get instanceId(): string {
    return `${this.name}/${this.#lives}`;
  }

  /** Starts a process; it serves or follows later. */
  start(): void {
    const { network, random, time } = this.#world;
    assert(this.life === undefined, "one process at a time runs on a machine");
    this.disk.capacityBytes = this.#world.capacityBytes;
    this.#lives += 1;
    const rate = this.#world.isSkewed ? slowest + random.next() * (fastest - slowest) : 1;
    const life: Life = {
      number: this.#lives,
      clock: new ProcessClock(time, rate),
      replica: undefined,
      role: undefined,
      isPaused: false,
    };
    this.life = life;
    this.startFailure = "";
    this.disk.pace = () =>
      new Promise((resolve) => {
        life.clock.after(0.02 + random.next() * this.#world.diskMaxMs, resolve);
      });
    if (this.#lives > 1) network.revive(this.name);
    void this.#open(life).catch((error: unknown) => {
      // The program would end with these words; what has no code is a bug.
      if (!(error instanceof Error) || !("code" in error)) throw error;
      if (this.life !== life) return;
      this.startFailure = `${String(error.code)}: ${error.message}`;
      this.#world.trace(`${this.name} cannot start: ${this.startFailure}`);
      this.kill();
    });
  }

  /** The process is gone, at whatever it was. */
  kill(): void {
    const { life } = this;
    if (life === undefined) return;
    this.life = undefined;
    life.clock.kill();
    this.disk.kill();
    this.#world.network.kill(this.name, "reset");
  }

  /** The power goes: what was not synced meets its fate. */
  cutPower(): void {
    const { random } = this.#world;
    const isRunning = this.life !== undefined;
    this.life?.clock.kill();
    this.life = undefined;
    if (!this.#world.isFlushing) this.losses += 1;
    this.disk.cutPower(random.pick(["lost", "random", "garbled"]), random);
    if (isRunning) this.#world.network.kill(this.name, "silent");
    if (random.next() < 0.3) this.#level = new MemoryLevel(levelEncodings);
  }

  /** The machine is gone; another one takes its place, with an empty disk. */
  replaceDisk(): void {
    this.kill();
    this.losses += 1;
    this.disk = new SimulatedDisk();
    this.#level = new MemoryLevel(levelEncodings);
  }

  pause(): void {
    const { life } = this;
    if (life === undefined || life.isPaused) return;
    life.isPaused = true;
    this.pauses += 1;
    life.clock.pause();
    this.#world.network.pause(this.name);
  }

  resume(): void {
    const { life } = this;
    if (life === undefined || !life.isPaused) return;
    life.isPaused = false;
    life.clock.resume();
    this.#world.network.resume(this.name);
  }

  /** The process is asked to end (SIGTERM), and does as soon as it has done what a broker does before. */
  async stop(): Promise<void> {
    const { life } = this;
    const { replica, role } = life ?? {};
    if (replica === undefined || role === undefined) return this.kill();
    await role.leave();
    await role.close();
    await replica.close();
    if (this.life === life) this.kill();
  }

  async #open(life: Life): Promise<void> {
    const { network, random } = this.#world;
    const replica = await Replica.open({
      config: this.#config(),
      clock: life.clock,
      random,
      disk: this.#diskOf(life),
      logger: this.#logger(life),
      stateDatabase: this.#database(),
      index: false,
      network: network.host(this.name),
      listen: { host: this.name, port: 100 },
      instanceId: this.instanceId,
      grpcPort: () => 1,
      delivery: { isAlive: () => true, ...this.#world.deliveryHooks() },
      producers: this.#world.producers,
    });
    if (this.life !== life) return;
    life.replica = replica;
    life.role = this.#world.isElected
      ? new ElectedRole({
          replica,
          host: this.name,
          coordinator: this.#world.etcd.connect(this.name, { clock: life.clock }),
        })
      : new FixedRole(replica, this.#world.peersOf(this));
    await life.role.start();
  }

  #config(): Configuration<BrokerConfig> {
    const lines = {
      brokerName: "group",
      brokerIP1: this.name,
      storePathRootDir: "/data",
      mappedFileSizeCommitLog: "65536",
      maxMessageSize: "1024",
      brokerId: String(this.#world.isElected ? this.id : this.id - 1),
      ...this.#world.settingsOf(this),
    };
    const text = Object.entries(lines).map(([key, value]) => `${key} = ${value}`);
    return Configuration.load(brokerRole, {
      flags: {},
      environment: {},
      file: { name: "broker.conf", text: text.join("\n") },
    });
  }

  /** The disk as one process has it: when that is gone, nothing it asks for comes back. */
  #diskOf(life: Life): Disk {
    return new Proxy<Disk>(this.disk, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...parameters: readonly unknown[]) =>
          this.life === life ? Reflect.apply(value, target, parameters) : new Promise(() => {});
      },
    });
  }

  #database(): LevelSource {
    return {
      open: async () => {
        const level = this.#level;
        if (level.status !== "open") await level.open();
        return level;
      },
      destroy: async () => {
        this.#level = new MemoryLevel(levelEncodings);
      },
    };
  }

  #logger(life: Life): Logger {
    const say =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        if (this.life === life)
          this.#world.trace(`${this.name} ${level} ${message} ${JSON.stringify(fields)}`);
      };
    const logger: Logger = {
      error: say("ERROR"),
      warn: say("warn"),
      info: say("info"),
      debug: () => {},
      child: () => logger,
    };
    return logger;
  }
}
