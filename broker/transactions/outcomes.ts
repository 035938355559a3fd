// How transactions ended lately, so that an end that is said again gets the answer of the first one. Bounded by count and
// age; in memory only: after a restart an ended transaction is unknown.
import { type Clock, limits } from "../../base/index.ts";

/** How a transaction ended. */
export type Outcome = "committed" | "rolled back" | "given up";

/** A note that may be taken back by who has made it. */
export interface OutcomeNote {
  readonly outcome: Outcome;
  readonly atMs: number;
}

/** Ends by id of the half message, the oldest first. */
export class Outcomes {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #countMax: number;
  readonly #notes = new Map<number, OutcomeNote>();

  /** `countMax`: `limits.transactionOutcomesMax` by default. */
  constructor(clock: Pick<Clock, "monotonicMs">, countMax: number = limits.transactionOutcomesMax) {
    this.#clock = clock;
    this.#countMax = countMax;
  }

  /** Ends remembered now. */
  get count(): number {
    return this.#notes.size;
  }

  /** Remembers an end, in the place of an older note. */
  note(id: number, outcome: Outcome): OutcomeNote {
    const note = { outcome, atMs: this.#clock.monotonicMs() };
    this.#notes.delete(id);
    this.#notes.set(id, note);
    this.#forgetOld(note.atMs);
    return note;
  }

  /** The end did not come about. */
  takeBack(id: number, note: OutcomeNote): void {
    if (this.#notes.get(id) === note) this.#notes.delete(id);
  }

  /** How the transaction ended; undefined when that is not known (any more). */
  of(id: number): Outcome | undefined {
    this.#forgetOld(this.#clock.monotonicMs());
    return this.#notes.get(id)?.outcome;
  }

  #forgetOld(nowMs: number): void {
    for (const [id, { atMs }] of this.#notes) {
      const isOld = nowMs - atMs > limits.transactionOutcomesMs;
      if (!isOld && this.#notes.size <= this.#countMax) return;
      this.#notes.delete(id);
    }
  }
}
