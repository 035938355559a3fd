// Brokers of one group that elect through a modelled etcd in virtual time, each with a clock of its own.
import { silentLogger } from "../../../../base/index.ts";
import { seededRandom } from "../../../store/testkit/seeded-random.ts";
import type { Coordinator } from "../coordinator.ts";
import { type ElectionHost, ElectionRunner } from "../election-runner.ts";
import type { ElectedPlace } from "../election-state.ts";
import { ModelledEtcd, type ModelledEtcdOptions } from "./modelled-etcd.ts";
import { ProcessClock, VirtualTime } from "./virtual-time.ts";

/** How one broker differs from the others. */
export interface ElectorOptions {
  readonly brokerId: number;
  readonly rate?: number;
  readonly priority?: number;
  readonly log?: { readonly epoch: number; readonly end: number };
  readonly uncleanElection?: boolean;
  readonly leaseSeconds?: number;
}

/** A broker that only remembers what it was told. */
export class Elector implements ElectionHost {
  readonly brokerId: number;
  readonly clock: ProcessClock;
  readonly coordinator: Coordinator;
  readonly runner: ElectionRunner;
  /** One line for each thing it was told. */
  readonly told: string[] = [];
  readonly problems: string[] = [];
  log: { epoch: number; end: number };
  inSync: readonly number[] = [];
  master: ElectedPlace | undefined;
  followedEpoch = 0;
  reign: number | undefined;
  failure: Error | undefined;
  onReign: (epoch: number) => void = () => {};
  onInSync: (inSync: readonly number[]) => void = () => {};

  constructor(time: VirtualTime, etcd: ModelledEtcd, options: ElectorOptions) {
    this.brokerId = options.brokerId;
    this.log = options.log ?? { epoch: 0, end: 1 };
    this.clock = new ProcessClock(time, options.rate);
    const name = `broker-${options.brokerId}`;
    this.coordinator = etcd.connect(name, { clock: this.clock });
    const error = (message: string): void => void this.problems.push(message);
    this.runner = new ElectionRunner({
      host: this,
      coordinator: this.coordinator,
      clock: this.clock,
      logger: { ...silentLogger, error },
      leaseSeconds: options.leaseSeconds ?? 2,
      priority: options.priority ?? 100,
      uncleanElection: options.uncleanElection ?? false,
      grpcAddress: `${name}:8081`,
      haAddress: `${name}:10912`,
    });
  }

  logEnd(): { epoch: number; end: number } {
    return this.log;
  }

  async becomeMaster(reign: { epoch: number; inSync: readonly number[] }): Promise<void> {
    this.told.push(`master ${reign.epoch} [${reign.inSync.join()}]`);
    if (this.failure !== undefined) throw this.failure;
    this.reign = reign.epoch;
    this.inSync = reign.inSync;
    this.master = undefined;
    this.log = { epoch: reign.epoch, end: this.log.end };
    this.onReign(reign.epoch);
  }

  follow(master: ElectedPlace, epoch: number): void {
    this.told.push(`follow ${master.brokerId} ${epoch}`);
    this.master = master;
    this.followedEpoch = epoch;
  }

  stopServing(reason: string): void {
    this.told.push(`stop: ${reason}`);
    this.reign = undefined;
  }

  inSyncChanged(inSync: readonly number[], epoch: number): void {
    this.told.push(`set ${epoch} [${inSync.join()}]`);
    this.inSync = inSync;
    this.onInSync(inSync);
  }

  /** As kill -9 does. */
  kill(): void {
    this.clock.kill();
    this.coordinator.close();
    this.reign = undefined;
  }
}

/** The group. */
export class ElectionScene {
  readonly time: VirtualTime = new VirtualTime();
  readonly etcd: ModelledEtcd;
  readonly electors: Map<number, Elector> = new Map();

  constructor(
    options: Partial<ModelledEtcdOptions> & { readonly seed?: number; etcdRate?: number } = {},
  ) {
    const clock = new ProcessClock(this.time, options.etcdRate);
    this.etcd = new ModelledEtcd({ clock, random: seededRandom(options.seed ?? 1), ...options });
  }

  /** Starts a broker; one that was there with its id is forgotten. */
  add(options: ElectorOptions): Elector {
    const elector = new Elector(this.time, this.etcd, options);
    this.electors.set(elector.brokerId, elector);
    elector.runner.start();
    return elector;
  }

  /** Those that say that they may serve now. */
  get serving(): readonly Elector[] {
    return [...this.electors.values()].filter((elector) => elector.runner.mayServe());
  }

  /** Waits until exactly one may serve and the others follow it. */
  async elected(withinMs: number): Promise<Elector> {
    let master: Elector | undefined;
    await this.time.until(() => {
      const [first, second] = this.serving;
      master = second === undefined && first?.reign !== undefined ? first : undefined;
      return master !== undefined;
    }, withinMs);
    if (master === undefined) throw new Error("nobody was elected");
    return master;
  }

  /** Starts brokers 1 to `count`; 1 rules and all are in sync. */
  async group(
    count: number,
    options: Omit<ElectorOptions, "brokerId"> = {},
  ): Promise<readonly Elector[]> {
    const all = Array.from({ length: count }, (_, index) =>
      this.add({ ...options, brokerId: index + 1, priority: index }),
    );
    const master = await this.elected(5_000);
    for (const { brokerId } of all) {
      if (brokerId === master.brokerId) continue;
      await this.time.until(() => {
        master.runner.slaveCaughtUp(brokerId);
        return this.etcd.peek().record?.value.inSync.includes(brokerId) === true;
      }, 5_000);
    }
    await this.time.pass(100);
    return all;
  }
}
