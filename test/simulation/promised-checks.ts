// Holds brokers to what they say about transactions that nobody settles: a producer is asked within a second of the time.
import type { LocalParts } from "../../broker/replica.ts";
import { type Calm, CalmWatch, calmLookEveryMs, masterOf } from "./calm.ts";
import type { Transaction } from "./transaction-log.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

/** A check that has to come. */
interface Expected {
  /** When it is due at the slowest clock. */
  readonly dueAtMs: number;
  /** The reign whose clock has said when. */
  readonly by: LocalParts["transactions"];
}

const slowest = 1.1;
/** A second at the slowest clock, two looks, and the time to confirm two groups of records. */
const lateMaxMs = 1_000 * slowest + 2 * calmLookEveryMs + 100;

/**
 * While one master serves, its disk is well, its log is confirmed and producers can be asked, each check, and the giving up
 * after the last one, comes within a second of its time, or of the beginning of such a time.
 */
export class PromisedChecks {
  readonly #world: World;
  readonly #watch: Watch;
  readonly #expected = new Map<Transaction, Expected>();
  readonly #canAsk: () => boolean;
  readonly #calm: CalmWatch;
  #isOver = false;

  constructor(world: World, watch: Watch, canAsk: () => boolean) {
    this.#world = world;
    this.#watch = watch;
    this.#canAsk = canAsk;
    this.#calm = new CalmWatch(world);
    // Small disks are full now and then by themselves.
    if (!world.mode.isRetaining) this.#look();
  }

  /** A check is due `afterMs` from now, as the master that serves counts the time. */
  expect(transaction: Transaction, afterMs: number): void {
    const by = masterOf(this.#world)?.local.transactions;
    this.#expected.set(transaction, {
      dueAtMs: this.#world.time.nowMs + afterMs * slowest,
      by,
    });
  }

  /** A producer has told the end, or is about to. */
  end(transaction: Transaction): void {
    this.#expected.delete(transaction);
  }

  stop(): void {
    this.#isOver = true;
  }

  #look(): void {
    if (this.#isOver || this.#world.isForgiven) return;
    this.#world.clock.after(calmLookEveryMs, () => this.#look());
    const calm = this.#calm.look(this.#canAsk);
    if (calm === undefined) return;
    for (const [transaction, expected] of this.#expected) {
      this.#lookAt(transaction, expected, calm);
    }
  }

  #lookAt(transaction: Transaction, { dueAtMs, by }: Expected, calm: Calm): void {
    const { machine, local, sinceMs } = calm;
    const { nowMs } = this.#world.time;
    if (nowMs <= Math.max(dueAtMs, sinceMs) + lateMaxMs) return;
    // Another master's clock may be behind that of the one which has said when.
    if (this.#world.isSkewed && by !== local.transactions) return;
    const { transactions } = this.#watch.log;
    const { text, askedCount, isSaid, meaning } = transaction;
    if (!transactions.taken.has(text)) return;
    this.#watch.compare();
    this.#expected.delete(transaction);
    // An end that was said before it was asked for again may have come through, whatever its answer was.
    if (transactions.isShown(text) || (isSaid && meaning === "rollback")) return;
    this.#watch.problems.push(
      `${machine.name} has not asked about ${text} at ${nowMs}: check ${askedCount + 1} is due since ${dueAtMs}, and nothing in its way since ${sinceMs}`,
    );
  }
}
