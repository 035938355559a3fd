// How transactions ended lately, so that an end that is said again gets the answer of the first one. Bounded by count and
// age; in memory only: after a restart an ended transaction is unknown.
import { type Clock, limits } from "../../base/index.ts";

/** How a transaction ended. */
export type Outcome = "committed" | "rolled back" | "given up";

/** A note that may be taken back by who has made it. */
export interface OutcomeNote {
  readonly outcome: Outcome;
  readonly atMs: number;
  /** Behind the record of a commit or rollback, in the log: said again it is answered when that is durable. */
  readonly end: number;
}

/** Ends by id of the half message, the oldest first. */
export class Outcomes {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #countMax: number;
  readonly #notes = new Map<number, OutcomeNote>();
  /** Notes in the order of time, from `#head` on, those too that stand no more: a map that is emptied from its front is slow. */
  #order: { readonly id: number; readonly note: OutcomeNote }[] = [];
  #head = 0;

  /** `countMax`: `limits.transactionOutcomesMax` by default. */
  constructor(clock: Pick<Clock, "monotonicMs">, countMax: number = limits.transactionOutcomesMax) {
    this.#clock = clock;
    this.#countMax = countMax;
  }

  /** Ends remembered now. */
  get count(): number {
    return this.#notes.size;
  }

  /** Remembers an end, whose record, of a commit or rollback, ends at `end`, in the place of an older note. */
  note(id: number, outcome: Outcome, end = 0): OutcomeNote {
    const note = { outcome, atMs: this.#clock.monotonicMs(), end };
    this.#notes.set(id, note);
    this.#order.push({ id, note });
    this.#forgetOld(note.atMs);
    return note;
  }

  /** The end did not come about. */
  takeBack(id: number, note: OutcomeNote): void {
    if (this.#notes.get(id) === note) this.#notes.delete(id);
  }

  /** How the transaction ended; undefined when that is not known (any more). */
  of(id: number): OutcomeNote | undefined {
    this.#forgetOld(this.#clock.monotonicMs());
    return this.#notes.get(id);
  }

  #forgetOld(nowMs: number): void {
    for (
      let first = this.#order[this.#head];
      first !== undefined;
      first = this.#order[this.#head]
    ) {
      const isOld = nowMs - first.note.atMs > limits.transactionOutcomesMs;
      if (!isOld && this.#order.length - this.#head <= this.#countMax) break;
      this.takeBack(first.id, first.note);
      this.#head += 1;
    }
    if (this.#head * 2 < this.#order.length || this.#head < 1_024) return;
    this.#order = this.#order.slice(this.#head);
    this.#head = 0;
  }
}
