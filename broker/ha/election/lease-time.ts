// How long a lease surely holds, seen from the clock of the broker that holds it. The arithmetic: docs/election.md.
import { timings } from "./timings.ts";

/** A lease of this broker. */
export interface Lease {
  readonly id: string;
  readonly ttlSeconds: number;
  /** `monotonicMs` when the last request that etcd is known to have answered was sent. */
  readonly sentAtMs: number;
}

/** Until when (`monotonicMs`, exclusive) a master with this lease may serve: nobody can be elected before. */
export function serveUntilMs(lease: Lease): number {
  return (
    lease.sentAtMs + (lease.ttlSeconds * 1_000) / timings.clockRateRatioMax - timings.serveMarginMs
  );
}

/** How often a lease is renewed, milliseconds. */
export function renewEveryMs(ttlSeconds: number): number {
  return (ttlSeconds * 1_000) / timings.renewalsPerLease;
}

/** How long a call that renews or asks for a lease may take, milliseconds. */
export function renewTimeoutMs(ttlSeconds: number): number {
  return ttlSeconds * 1_000 * timings.renewalTimeoutRatio;
}
