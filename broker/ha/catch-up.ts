// Whether a slave keeps up: compares what it has with where its master's log was a moment ago. Pure.

interface Moment {
  readonly atMs: number;
  readonly end: number;
}

/** Where a master's log was over the last while. */
export class CatchUp {
  readonly #lateMs: number;
  #moments: Moment[] = [];

  /** `lateMs`: a slave that has not got so far as the log was so long ago is late. */
  constructor(lateMs: number) {
    this.#lateMs = lateMs;
  }

  /** Notes where the log is now; to be called many times in `lateMs`. */
  note(nowMs: number, end: number): void {
    this.#moments.push({ atMs: nowMs, end });
    this.#forget(nowMs - this.#lateMs);
  }

  /** Whether a slave that has everything before `acked` is late at `nowMs`. */
  isLate(acked: number, nowMs: number): boolean {
    this.#forget(nowMs - this.#lateMs);
    const [oldest] = this.#moments;
    return oldest !== undefined && oldest.atMs <= nowMs - this.#lateMs && acked < oldest.end;
  }

  /** Whether a slave that has everything before `acked` has got as far as the log was at the last note. */
  isCaughtUp(acked: number): boolean {
    const last = this.#moments.at(-1);
    return last !== undefined && acked >= last.end;
  }

  /** Leaves, of what is not younger than `limitMs`, the newest. */
  #forget(limitMs: number): void {
    while ((this.#moments[1]?.atMs ?? Number.POSITIVE_INFINITY) <= limitMs) this.#moments.shift();
  }
}
