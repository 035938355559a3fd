// The wall clock for what cannot be undone: a clock that is set far forward by mistake must not make everything look
// expired, or due, at once.
import type { Clock } from "../../base/index.ts";

const hourMs = 3_600_000;
/** A larger step forward than this is a jump. */
export const jumpMinMs: number = hourMs;
/** A jump is believed after this long: time enough to notice the warning and set the clock right. */
export const believedAfterMs: number = 24 * hourMs;

/** What counts as a jump, and when it is believed. */
export interface SteadyTimeOptions {
  /** `jumpMinMs` by default. */
  readonly jumpMinMs?: number;
  /** `believedAfterMs` by default. */
  readonly believedAfterMs?: number;
}

/** Tells time that has passed from a clock that was set. */
export class SteadyTime {
  readonly #clock: Clock;
  readonly #jumpMinMs: number;
  readonly #believedAfterMs: number;
  #wallMs: number;
  #monotonicMs: number;
  #jumpedAtMs: number | undefined;
  /** The clock was set back by so much, and may come back for so long without being doubted. */
  #setBack: { readonly byMs: number; readonly untilMs: number } | undefined;

  constructor(clock: Clock, options: SteadyTimeOptions = {}) {
    this.#clock = clock;
    this.#jumpMinMs = options.jumpMinMs ?? jumpMinMs;
    this.#believedAfterMs = options.believedAfterMs ?? believedAfterMs;
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
    const stepMs = wallMs - this.#expectedMs();
    if (stepMs > this.#jumpMinMs) {
      if (!this.#isReturn(stepMs, monotonicMs)) {
        this.#jumpedAtMs ??= monotonicMs;
        if (monotonicMs - this.#jumpedAtMs < this.#believedAfterMs) return wallMs - stepMs;
      }
      this.#setBack = undefined;
    } else if (-stepMs > this.#jumpMinMs) {
      this.#setBack = { byMs: -stepMs, untilMs: monotonicMs + this.#believedAfterMs };
    }
    this.#jumpedAtMs = undefined;
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    return wallMs;
  }

  #isReturn(stepMs: number, monotonicMs: number): boolean {
    if (this.#setBack === undefined || monotonicMs > this.#setBack.untilMs) return false;
    return stepMs <= this.#setBack.byMs + this.#jumpMinMs;
  }

  #expectedMs(): number {
    return this.#wallMs + this.#clock.monotonicMs() - this.#monotonicMs;
  }
}
