// Counts the frames by which a client could make the server work for nothing. What is not plausible within a
// window of time ends the connection.
import type { TransportLimits } from "../base/index.ts";
import { ConnectionError, ErrorCode } from "./http2.ts";

/** Kinds of frames that are counted. */
export type FloodKind =
  | "resetCountMax"
  | "settingsCountMax"
  | "pingCountMax"
  | "emptyDataCountMax"
  | "windowUpdateCountMax"
  | "ignoredFrameCountMax";

/** The counters of one connection; nothing is allocated for a quiet one. */
export class FloodGuard {
  readonly #limits: TransportLimits;
  #counts: Partial<Record<FloodKind, number>> | undefined;
  #windowEndMs = 0;

  constructor(limits: TransportLimits) {
    this.#limits = limits;
  }

  /**
   * Counts one frame at `nowMs`; `allowance` is what our own frames justify on top of the limit.
   * Throws ConnectionError ENHANCE_YOUR_CALM. Gives true when a new window began.
   */
  count(kind: FloodKind, nowMs: number, allowance: number): boolean {
    const fresh = this.#counts === undefined || nowMs >= this.#windowEndMs;
    if (fresh) {
      this.#counts = {};
      this.#windowEndMs = nowMs + this.#limits.floodWindowMs;
    }
    const counts = this.#counts ?? {};
    const count = (counts[kind] ?? 0) + 1;
    counts[kind] = count;
    if (count > this.#limits[kind] + allowance) {
      throw new ConnectionError(ErrorCode.enhanceYourCalm, `too many frames: ${kind}`);
    }
    return fresh;
  }
}
