// Holds brokers to what they say about acknowledgements of consumers: they are in the log a moment later.
import type { LocalParts } from "../../broker/replica.ts";
import type { Machine } from "./machine.ts";
import type { TopicLog } from "./topic-log.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

/** Longer than progress is gathered and a disk takes, at a slow clock, milliseconds. */
const windowMs = 150;
const lookEveryMs = 100;
/** What could not be written is tried again a second later. */
const troubleMs = 1_500;

interface Taker {
  readonly machine: Machine;
  readonly local: LocalParts;
}

/** An acknowledgement that a master has taken. */
interface Promised extends Taker {
  readonly key: string;
  readonly pauses: number;
  readonly atMs: number;
  /** Whether all slaves copied its log then, and nothing but etcd was in their way. */
  readonly isCopied: boolean;
}

/**
 * An acknowledgement that a master has taken is confirmed with what is in its log `windowMs` later, unless the master
 * stopped before or its disk let it down. One record at a time waits to be confirmed, so that takes two rounds. An elected
 * master that stops while its slaves are well passes it on.
 */
export class PromisedProgress {
  readonly #world: World;
  readonly #watch: Watch;
  readonly #log: TopicLog;

  /** Of the messages of one topic. */
  constructor(world: World, watch: Watch, log: TopicLog) {
    this.#world = world;
    this.#watch = watch;
    this.#log = log;
  }

  /** The master has taken the acknowledgement of the message `queue/offset`. */
  expect(key: string, taker: Taker): void {
    const { machine } = taker;
    const { life, pauses } = machine;
    const { nowMs } = this.#world.time;
    const slaveCount = life?.replica?.server.slaves().length ?? 0;
    const isCopied =
      this.#world.troubleAtMs < nowMs - troubleMs && slaveCount === this.#world.machines.length - 1;
    this.#afterRounds({ ...taker, key, pauses, atMs: nowMs, isCopied }, 2);
  }

  #afterRounds(promised: Promised, rounds: number): void {
    if (rounds === 0) return this.#demand(promised, "and it is not in its log");
    const { clock, mode } = this.#world;
    // Small disks are full now and then by themselves.
    if (mode.isRetaining) return;
    clock.after(windowMs, () => {
      const { end } = promised.local.store;
      const look = (): void => {
        if (promised.machine.pauses !== promised.pauses) return;
        if (!this.#isServing(promised)) return this.#afterReign(promised);
        if (promised.local.store.confirmed < end) return void clock.after(lookEveryMs, look);
        this.#afterRounds(promised, rounds - 1);
      };
      look();
    });
  }

  /** Whoever rules next has it, when all that was in the way meanwhile was etcd. */
  #afterReign(promised: Promised): void {
    const { machines, isElected, clock, troubleAtMs } = this.#world;
    const { local: former, isCopied, atMs } = promised;
    // Whatever ends a process, or lets it stand still, is trouble.
    if (!isElected || !isCopied || troubleAtMs > atMs) return;
    if (machines.some(({ local }) => local?.canSend === true && local !== former)) {
      return this.#demand(promised, "stopped, and it is not in the log of the next master");
    }
    clock.after(lookEveryMs, () => this.#afterReign(promised));
  }

  #demand({ machine, key }: Promised, otherwise: string): void {
    this.#watch.compare();
    if (this.#log.doneAt.has(key) || this.#world.isForgiven) return;
    this.#watch.problems.push(
      `${machine.name} took the acknowledgement of ${this.#log.topic}/${key}, ${otherwise} at ${this.#world.time.nowMs}`,
    );
  }

  #isServing({ machine, local }: Taker): boolean {
    if (machine.diskTroubleAtMs > this.#world.time.nowMs - troubleMs) return false;
    const { failure, stats } = local.store;
    return machine.local?.delivery === local.delivery && failure === undefined && !stats.isDiskFull;
  }
}
