// Logs of brokers that elect: a master that appends and acknowledges by its in-sync set, slaves that copy. Checks what
// elections are for: nothing acknowledged is missing in the log of a master, one serves at a time, each epoch once.
import type { Random } from "../../../../base/index.ts";
import { ElectionScene, type Elector, type ElectorOptions } from "./election-scene.ts";

interface Copy {
  readonly elector: Elector;
  /** One number for each message. */
  readonly log: number[];
  isPaused: boolean;
  isDead: boolean;
  isLinkCut: boolean;
  behindMs: number;
}

const tickMs = 10;

/** A group under load and faults. */
export class CopyingGroup {
  readonly scene: ElectionScene;
  readonly acked: Set<number> = new Set();
  readonly epochs: Map<number, number> = new Map();
  /** Rules that were broken. */
  readonly broken: string[] = [];
  readonly #copies = new Map<number, Copy>();
  readonly #random: Random;
  readonly #options: Map<number, ElectorOptions> = new Map();
  #nextMessage = 1;
  #record: { master: number; epoch: number; inSync: readonly number[] } | undefined;

  constructor(scene: ElectionScene, random: Random) {
    this.scene = scene;
    this.#random = random;
    scene.time.onStep = () => this.#check();
  }

  start(options: ElectorOptions): void {
    const log = this.#copies.get(options.brokerId)?.log ?? [];
    this.#options.set(options.brokerId, options);
    const end = {
      epoch: this.#copies.get(options.brokerId)?.elector.log.epoch ?? 0,
      end: log.length,
    };
    const elector = this.scene.add({ ...options, log: end });
    elector.onReign = (epoch) => this.#reign(elector, epoch);
    const { brokerId } = options;
    const fresh = { isPaused: false, isDead: false, isLinkCut: false, behindMs: 0 };
    this.#copies.set(brokerId, { elector, log, ...fresh });
  }

  /** Lets the group work for a while. */
  async work(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += tickMs) {
      await this.scene.time.pass(tickMs);
      for (const copy of this.#copies.values())
        if (copy.elector.reign !== undefined) this.#serve(copy);
    }
  }

  /** Does one of the things that happen to machines. */
  strike(): void {
    const copy = this.#any();
    const { elector } = copy;
    const name = `broker-${elector.brokerId}`;
    switch (Math.floor(this.#random.next() * 10)) {
      case 0:
        return this.scene.etcd.cut(name, this.#one(["both", "requests", "answers"] as const));
      case 1:
      case 2:
        return this.scene.etcd.heal(name);
      case 3:
        copy.isPaused = !copy.isPaused;
        return copy.isPaused ? elector.clock.pause() : elector.clock.resume();
      case 4:
        return copy.isDead ? this.#restart(copy) : this.#kill(copy);
      case 5:
        copy.isLinkCut = !copy.isLinkCut;
        return;
      case 6:
        this.scene.etcd.down = this.#random.next() < 0.3;
        return;
      default:
        this.#handOver(copy);
    }
  }

  /** Ends all faults. */
  heal(): void {
    this.scene.etcd.down = false;
    for (const copy of this.#copies.values()) {
      this.scene.etcd.heal(`broker-${copy.elector.brokerId}`);
      copy.isLinkCut = false;
      if (copy.isPaused) copy.elector.clock.resume();
      copy.isPaused = false;
      if (copy.isDead) this.#restart(copy);
    }
  }

  /** The log of a broker. */
  logOf(brokerId: number): readonly number[] {
    return this.#copies.get(brokerId)?.log ?? [];
  }

  #kill(copy: Copy): void {
    copy.isDead = true;
    copy.elector.kill();
  }

  #restart(copy: Copy): void {
    const options = this.#options.get(copy.elector.brokerId);
    if (options !== undefined) this.start(options);
  }

  #handOver(copy: Copy): void {
    if (copy.isPaused || copy.isDead || copy.elector.reign === undefined) return;
    const to = this.#any().elector.brokerId;
    copy.elector.runner.handOver(to).catch(() => {});
  }

  /** One tick of a master: it appends, slaves copy, it acknowledges what its whole set has. */
  #serve(master: Copy): void {
    if (master.isPaused || master.isDead) return;
    const { elector, log } = master;
    if (elector.runner.mayServe()) log.push(this.#nextMessage++);
    elector.log = { ...elector.log, end: log.length };
    let common = log.length;
    for (const slave of this.#copies.values()) {
      if (slave === master) continue;
      const has = this.#copy(master, slave);
      if (elector.inSync.includes(slave.elector.brokerId)) common = Math.min(common, has);
    }
    if (!elector.runner.mayServe()) return;
    for (const message of log.slice(0, common)) this.acked.add(message);
  }

  /** Up to where the slave is known to have the master's log. */
  #copy(master: Copy, slave: Copy): number {
    const { elector } = slave;
    const isCopying =
      !slave.isDead &&
      !slave.isPaused &&
      !slave.isLinkCut &&
      !master.isLinkCut &&
      elector.reign === undefined &&
      elector.master?.brokerId === master.elector.brokerId &&
      elector.followedEpoch === master.elector.reign;
    const { brokerId } = elector;
    if (!isCopying) {
      slave.behindMs += tickMs;
      if (slave.behindMs > 300) master.elector.runner.slaveBehind(brokerId, "does not copy");
      return 0;
    }
    slave.behindMs = 0;
    const isPrefix = slave.log.every((message, index) => message === master.log[index]);
    const from = isPrefix ? slave.log.length : 0;
    const upTo = Math.min(master.log.length, from + 1 + Math.floor(this.#random.next() * 4));
    slave.log.splice(
      0,
      slave.log.length,
      ...master.log.slice(0, isPrefix ? upTo : master.log.length),
    );
    elector.log = { epoch: master.elector.log.epoch, end: slave.log.length };
    const missing = master.log.slice(slave.log.length).some((message) => this.acked.has(message));
    if (!missing) master.elector.runner.slaveCaughtUp(brokerId);
    return slave.log.length;
  }

  #reign(elector: Elector, epoch: number): void {
    const other = this.epochs.get(epoch);
    if (other !== undefined)
      this.broken.push(`epoch ${epoch} ruled by ${other} and ${elector.brokerId}`);
    this.epochs.set(epoch, elector.brokerId);
    const log = new Set(this.logOf(elector.brokerId));
    const lost = [...this.acked].filter((message) => !log.has(message));
    if (lost.length > 0) this.broken.push(`epoch ${epoch} lacks ${lost.length} acknowledged`);
  }

  #check(): void {
    const { serving, etcd } = this.scene;
    if (serving.length > 1) {
      this.broken.push(`serving at once: ${serving.map((one) => one.brokerId).join()}`);
    }
    const record = etcd.peek().record?.value;
    const old = this.#record;
    this.#record = record;
    if (record === undefined || old === undefined || record === old) return;
    if (record.epoch < old.epoch) this.broken.push(`epoch ${old.epoch} fell to ${record.epoch}`);
    const isElected = record.master !== old.master;
    if (isElected && !old.inSync.includes(record.master)) {
      this.broken.push(`broker ${record.master} was elected out of [${old.inSync.join()}]`);
    }
    if (isElected && record.epoch === old.epoch)
      this.broken.push(`epoch ${old.epoch} has two masters`);
  }

  #any(): Copy {
    return this.#one([...this.#copies.values()]);
  }

  #one<T>(list: readonly T[]): T {
    const one = list[Math.floor(this.#random.next() * list.length)];
    if (one === undefined) throw new Error("nothing to choose from");
    return one;
  }
}
