// Which of several brokers should rule, and sets of brokers.
import type { MemberEntry } from "./coordinator.ts";

/** Best first: the newest epoch, the longest log, the smallest priority, the smallest id. */
export function ranked<Entry extends MemberEntry>(entries: readonly Entry[]): readonly Entry[] {
  return entries.toSorted(
    (one, other) =>
      other.epoch - one.epoch ||
      other.logEnd - one.logEnd ||
      one.priority - other.priority ||
      one.brokerId - other.brokerId,
  );
}

/** All ids of both, ascending. */
export function union(one: readonly number[], other: readonly number[]): readonly number[] {
  return [...new Set([...one, ...other])].sort((a, b) => a - b);
}

/** Those of the first that are not in the second. */
export function without(ids: readonly number[], gone: readonly number[]): readonly number[] {
  return ids.filter((id) => !gone.includes(id));
}

/** Whether both hold the same ids; both are ascending. */
export function sameIds(one: readonly number[], other: readonly number[]): boolean {
  return one.length === other.length && one.every((id, index) => id === other[index]);
}
