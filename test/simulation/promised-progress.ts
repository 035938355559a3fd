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

interface Promised {
  readonly machine: Machine;
  readonly local: LocalParts;
}

/**
 * An acknowledgement that a master has taken is confirmed with what is in its log `windowMs` later, unless the master
 * stopped before or its disk let it down. One record at a time waits to be confirmed, so that takes two rounds.
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
  expect(key: string, promised: Promised): void {
    this.#afterRounds(promised, 2, () => {
      this.#watch.compare();
      if (this.#log.doneAt.has(key) || this.#world.isForgiven) return;
      this.#watch.problems.push(
        `${promised.machine.name} took the acknowledgement of ${this.#log.topic}/${key}, and at ${this.#world.time.nowMs} it is not in its log`,
      );
    });
  }

  #afterRounds(promised: Promised, rounds: number, task: () => void): void {
    if (rounds === 0) return task();
    const { clock, mode } = this.#world;
    const { pauses } = promised.machine;
    // Small disks are full now and then by themselves.
    if (mode.isRetaining) return;
    clock.after(windowMs, () => {
      const { end } = promised.local.store;
      const look = (): void => {
        if (!this.#isServing(promised) || promised.machine.pauses !== pauses) return;
        if (promised.local.store.confirmed < end) return void clock.after(lookEveryMs, look);
        this.#afterRounds(promised, rounds - 1, task);
      };
      look();
    });
  }

  #isServing({ machine, local }: Promised): boolean {
    if (machine.diskTroubleAtMs > this.#world.time.nowMs - troubleMs) return false;
    const { failure, stats } = local.store;
    return machine.local?.delivery === local.delivery && failure === undefined && !stats.isDiskFull;
  }
}
