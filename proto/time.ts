// Milliseconds of this process to and from the two time types of protobuf.
import type { IDuration, ITimestamp } from "./generated/well-known.ts";

/** Seconds and nanoseconds, as `Timestamp` and `Duration` have them. */
export interface SecondsAndNanos {
  readonly seconds: number;
  readonly nanos: number;
}

/** Milliseconds since 1970 as a `Timestamp`; fractions are kept to the nanosecond. */
export function timestampOfMs(ms: number): SecondsAndNanos {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A `Timestamp` as milliseconds since 1970. Parts of a millisecond are dropped. */
export function msOfTimestamp(timestamp: ITimestamp): number {
  return (timestamp.seconds ?? 0) * 1000 + Math.trunc((timestamp.nanos ?? 0) / 1e6);
}

/** Milliseconds as a `Duration`; both parts of a negative one are negative. */
export function durationOfMs(ms: number): SecondsAndNanos {
  const seconds = Math.trunc(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A `Duration` as milliseconds. Parts of a millisecond are dropped. */
export function msOfDuration(duration: IDuration): number {
  return (duration.seconds ?? 0) * 1000 + Math.trunc((duration.nanos ?? 0) / 1e6);
}
