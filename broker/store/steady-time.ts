// The wall clock for retention: a clock that is set far forward by mistake must not make everything
// look expired at once.
import type { Clock } from "../../base/index.ts";

const hourMs = 3_600_000;
/** A larger step forward than this is a jump. */
export const jumpMinMs: number = hourMs;
/** A jump is believed after this long: time enough to notice the warning and set the clock right. */
export const believedAfterMs: number = 24 * hourMs;

/** Tells time that has passed from a clock that was set. */
export class SteadyTime {
  readonly #clock: Clock;
  #wallMs: number;
  #monotonicMs: number;
  #jumpedAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wallMs = clock.now();
    this.#monotonicMs = clock.monotonicMs();
  }

  /** How far the clock is ahead of what is believed, milliseconds; 0 while it is believed. As of the last `now`. */
  get aheadMs(): number {
    return this.#jumpedAtMs === undefined ? 0 : this.#clock.now() - this.#expectedMs();
  }

  /** Wall time, milliseconds since 1970, without a jump forward that is not believed yet. Ask often. */
  now(): number {
    const wallMs = this.#clock.now();
    const monotonicMs = this.#clock.monotonicMs();
    const expectedMs = this.#expectedMs();
    if (wallMs - expectedMs > jumpMinMs) {
      this.#jumpedAtMs ??= monotonicMs;
      if (monotonicMs - this.#jumpedAtMs < believedAfterMs) return expectedMs;
    }
    this.#jumpedAtMs = undefined;
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    return wallMs;
  }

  #expectedMs(): number {
    return this.#wallMs + this.#clock.monotonicMs() - this.#monotonicMs;
  }
}
