// How long a ReceiveMessage may be held: long enough to spare the client empty calls, short enough
// that the answer is there before the client's own deadline.
import { limits, MqError } from "../../base/index.ts";

/** What is known about the wait a client wants. */
export interface PollingWish {
  /** `long_polling_timeout` of the request, milliseconds; Go's simple and C++'s push consumer send none. */
  readonly requestedMs: number | undefined;
  /** `long_polling_timeout` that the client sent in its settings. */
  readonly settingsMs: number | undefined;
  /** Time to the deadline of the call; Infinity without one. */
  readonly remainingMs: number;
  /** The client's own request timeout, which it adds to the polling time as slack. */
  readonly requestTimeoutMs: number | undefined;
  /** As the client told it, "" when it told none. */
  readonly clientVersion: string;
}

const requestTimeoutDefaultMs = 3_000;
/** A deadline of `pollingMinMs` is a little less when the request arrives, milliseconds. */
const travelMs = 500;
/** Clients before it do not know ILLEGAL_POLLING_TIME. RocketMQ compares versions as text, and so do we. */
const illegalPollingTimeSince = "5.0.3";

/**
 * The time to hold the poll, milliseconds. The wish is clamped to `[pollingMinMs, pollingMaxMs]`; what then does not
 * fit before the deadline ends half a request timeout before it (Rust's deadline is the polling time itself).
 * Throws ILLEGAL_POLLING_TIME (BAD_REQUEST to clients before 5.0.3) when the deadline is clearly under `pollingMinMs` away and
 * the wish does not fit.
 */
export function pollingTimeMs(wish: PollingWish): number {
  const headroomMs = (wish.requestTimeoutMs ?? requestTimeoutDefaultMs) / 2;
  const latestMs = wish.remainingMs - headroomMs;
  const wantedMs = wish.requestedMs ?? wish.settingsMs ?? Math.min(latestMs, limits.pollingMaxMs);
  const pollingMs = Math.min(Math.max(wantedMs, limits.pollingMinMs), limits.pollingMaxMs);
  if (pollingMs <= latestMs) return pollingMs;
  if (wish.remainingMs + travelMs >= limits.pollingMinMs)
    return Math.max(latestMs, limits.pollingMinMs / 2);
  if (wantedMs >= 0 && wantedMs <= latestMs) return latestMs;
  const isKnown = wish.clientVersion === "" || wish.clientVersion >= illegalPollingTimeSince;
  throw new MqError(
    isKnown ? "ILLEGAL_POLLING_TIME" : "BAD_REQUEST",
    `the long-polling time of ${wantedMs} ms does not fit the call's deadline, which is ` +
      `${Math.floor(wish.remainingMs)} ms away; a deadline of at least ${limits.pollingMinMs} ms is needed`,
  );
}
