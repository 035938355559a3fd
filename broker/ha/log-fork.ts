// Up to where two logs of one group are the same, found from their epoch tables. Pure: docs/format/replication.md.
// One master writes each epoch, so an epoch that starts at the same place is the same log as far as both have it.
import type { EpochEntry, LogExtent } from "./control-messages.ts";

/** What two logs have in common. */
export type CommonPoint =
  /** Both have the bytes before `position`, and they are the same; behind it one of them ends, or they differ. */
  | { readonly kind: "common"; readonly position: number }
  /** One of them, or both, have no bytes. */
  | { readonly kind: "empty" }
  /** One of them begins where the other one ends, or behind: there is no place that both have. */
  | { readonly kind: "apart" }
  /** They differ at the first place that both have. */
  | { readonly kind: "diverged" };

/** Finds the highest common point. The order of the two does not matter. */
export function commonPoint(one: LogExtent, other: LogExtent): CommonPoint {
  if (one.start >= one.end || other.start >= other.end) return { kind: "empty" };
  const start = Math.max(one.start, other.start);
  if (start >= Math.min(one.end, other.end)) return { kind: "apart" };
  for (const [index, mine] of [...one.epochs.entries()].reverse()) {
    const place = other.epochs.findIndex(({ epoch }) => epoch === mine.epoch);
    const theirs = other.epochs[place];
    if (theirs === undefined) continue;
    if (!isSameReign({ log: one, entry: mine }, { log: other, entry: theirs })) continue;
    const position = Math.min(endOf(one, index), endOf(other, place));
    // Retention may have taken what was common, and left what is not.
    return position > start ? { kind: "common", position } : { kind: "diverged" };
  }
  return { kind: "diverged" };
}

const epochsShown = 8;

/** A log in words, for people who are told that two do not fit together. Of its epochs it names the newest ones. */
export function describeLog(log: LogExtent): string {
  const shown = log.epochs.slice(-epochsShown);
  const more = log.epochs.length > shown.length ? "… " : "";
  const epochs = shown.map(({ epoch, start }) => `${epoch} from ${start}`).join(", ");
  return `bytes ${log.start} to ${log.end}, epochs ${epochs === "" ? "none" : more + epochs}`;
}

interface Reign {
  readonly log: LogExtent;
  readonly entry: EpochEntry;
}

/**
 * A log that was begun in the middle of an epoch, after a snapshot, takes that place for the start of its first epoch;
 * retention may have moved its own start on since then.
 */
function isSameReign(one: Reign, other: Reign): boolean {
  if (one.entry.start === other.entry.start) return true;
  const later = one.entry.start < other.entry.start ? other : one;
  return later.entry === later.log.epochs[0] && later.entry.start <= later.log.start;
}

function endOf(log: LogExtent, index: number): number {
  return log.epochs[index + 1]?.start ?? log.end;
}
