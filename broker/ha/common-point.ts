// Up to where two logs of one group are the same, found from their epoch tables. Pure: docs/format/replication.md.
// One master writes each epoch, so an epoch that starts at the same place is the same log as far as both have it.
import type { EpochEntry, LogExtent } from "./control-messages.ts";

/** What two logs have in common. */
export type CommonPoint =
  /** Everything before `position` is the same. */
  | { readonly kind: "common"; readonly position: number }
  /** One of them begins behind where the other one ends, or is empty: nothing can be compared. */
  | { readonly kind: "apart" }
  /** They hold different records for the same places, from the beginning on. */
  | { readonly kind: "diverged" };

/** Finds the highest common point. The logs are in any order. */
export function commonPoint(one: LogExtent, other: LogExtent): CommonPoint {
  if (one.start >= other.end || other.start >= one.end) {
    // Logs that touch, or two empty ones at the same place.
    const isTouching = one.end === other.start || other.end === one.start;
    if (isTouching && one.start === other.start && one.end === other.end) {
      return { kind: "common", position: one.end };
    }
    return { kind: "apart" };
  }
  for (let index = one.epochs.length - 1; index >= 0; index -= 1) {
    const mine = one.epochs[index];
    const place = other.epochs.findIndex(({ epoch }) => epoch === mine?.epoch);
    const theirs = other.epochs[place];
    if (mine === undefined || theirs === undefined) continue;
    if (!isSameReign({ log: one, entry: mine }, { log: other, entry: theirs })) continue;
    const end = Math.min(endOf(one, index), endOf(other, place));
    return { kind: "common", position: end };
  }
  return { kind: "diverged" };
}

interface Reign {
  readonly log: LogExtent;
  readonly entry: EpochEntry;
}

/** Retention may have taken the beginning of a log's first epoch, which then seems to start later. */
function isSameReign(one: Reign, other: Reign): boolean {
  if (one.entry.start === other.entry.start) return true;
  const [earlier, later] = one.entry.start < other.entry.start ? [one, other] : [other, one];
  return (
    later.entry.start === later.log.start &&
    later.entry === later.log.epochs[0] &&
    earlier.entry.start < later.entry.start
  );
}

function endOf(log: LogExtent, index: number): number {
  return log.epochs[index + 1]?.start ?? log.end;
}
