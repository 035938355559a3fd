// Times in which nothing is in the way of a master: one process serves, its disk is well, and its log is confirmed.
import type { LocalParts } from "../../broker/replica.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** Such a time, up to now. */
export interface Calm {
  readonly machine: Machine;
  readonly local: LocalParts;
  readonly pauses: number;
  readonly sinceMs: number;
  /** Ends of its log, as they were the looks before. */
  readonly ends: number[];
}

/** Whoever looks does so as often, milliseconds. */
export const calmLookEveryMs = 50;
/** What was in the log so many looks ago is confirmed by now: else slaves or disks hold the master up. */
const confirmedWithinLooks = 4;
/** What could not be written is tried again a second later. */
const troubleMs = 1_500;

/** Looks for such times. */
export class CalmWatch {
  readonly #world: World;
  #calm: Calm | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** The calm that lasts, one that begins now, or none. `isPossible`: what else has to be so. */
  look(isPossible: () => boolean = () => true): Calm | undefined {
    this.#calm = isPossible() ? this.#calmNow() : undefined;
    return this.#calm;
  }

  #calmNow(): Calm | undefined {
    const serving = masterOf(this.#world);
    if (serving === undefined) return undefined;
    const { machine, local } = serving;
    const { nowMs } = this.#world.time;
    const { failure, stats, end, confirmed } = local.store;
    if (machine.diskTroubleAtMs > nowMs - troubleMs) return undefined;
    if (failure !== undefined || stats.isDiskFull) return undefined;
    const before = this.#calm;
    const { pauses } = machine;
    const isSame = before?.local.transactions === local.transactions && before?.pauses === pauses;
    const ends = isSame ? [...before.ends, end].slice(-confirmedWithinLooks) : [end];
    const [first = 0] = ends;
    if (ends.length === confirmedWithinLooks && confirmed < first) return undefined;
    return { machine, local, pauses, sinceMs: isSame ? before.sinceMs : nowMs, ends };
  }
}

/** The master that serves. */
export function masterOf({
  machines,
}: World): { readonly machine: Machine; readonly local: LocalParts } | undefined {
  for (const machine of machines) {
    const { local } = machine;
    if (local?.transactions !== undefined) return { machine, local };
  }
  return undefined;
}
