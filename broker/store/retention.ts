// Which segments may go: by age at certain hours, at any hour over the first watermark, whatever
// their age over the second. Pure: what is known in, what to do out.
import type { DiskSpace } from "./disk.ts";

/** What an operator sets, under RocketMQ's names. */
export interface RetentionOptions {
  /** Hours that messages are kept. */
  readonly fileReservedTimeHours: number;
  /** Hours of the day, local time, in which expired files are deleted. */
  readonly deleteWhenHours: readonly number[];
  /** Percent of the disk from which expired files are deleted at any hour. */
  readonly diskMaxUsedSpaceRatio: number;
  /** Percent from which the oldest files are deleted whatever their age. */
  readonly diskSpaceCleanForciblyRatio: number;
  /** Percent from which sends are refused. */
  readonly diskSpaceWarningLevelRatio: number;
  /** Sends are refused below this many free bytes too; 0 for none. */
  readonly diskFreeSpaceMinBytes: number;
}

/** A whole segment and the time of its last record. */
export interface SegmentAge {
  readonly end: number;
  readonly sizeBytes: number;
  /** Store time of the first record behind it: nothing in it is younger. */
  readonly newestMs: number;
}

/** What is known when retention decides. */
export interface RetentionFacts {
  /** All but the last segment, oldest first. */
  readonly segments: readonly SegmentAge[];
  readonly space: DiskSpace;
  readonly nowMs: number;
}

const hourMs = 3_600_000;
/** Segments deleted in one run, so that a run stays short. */
const segmentsPerRunMax = 10;

/** Share of the disk that is used, percent with fractions. */
export function usedPercent(space: DiskSpace): number {
  if (space.totalBytes <= 0) return 0;
  return ((space.totalBytes - space.freeBytes) / space.totalBytes) * 100;
}

/** Bytes that may still be written before sends are refused; 0 or less: refuse. */
export function spaceUntilWarning(options: RetentionOptions, space: DiskSpace): number {
  const reserved = (space.totalBytes * (100 - options.diskSpaceWarningLevelRatio)) / 100;
  return space.freeBytes - Math.max(reserved, options.diskFreeSpaceMinBytes);
}

/** Where the log may start after this run; undefined when nothing goes. */
export function expiredBelow(options: RetentionOptions, facts: RetentionFacts): number | undefined {
  const { space, nowMs } = facts;
  const hour = new Date(nowMs).getHours();
  const isTime =
    options.deleteWhenHours.includes(hour) || usedPercent(space) >= options.diskMaxUsedSpaceRatio;
  const oldestKeptMs = nowMs - options.fileReservedTimeHours * hourMs;
  let freeBytes = space.freeBytes;
  let below: number | undefined;
  for (const segment of facts.segments.slice(0, segmentsPerRunMax)) {
    const isExpired = isTime && segment.newestMs < oldestKeptMs;
    if (!isExpired && !isTight(options, { ...space, freeBytes })) break;
    below = segment.end;
    freeBytes += segment.sizeBytes;
  }
  return below;
}

function isTight(options: RetentionOptions, space: DiskSpace): boolean {
  if (usedPercent(space) >= options.diskSpaceCleanForciblyRatio) return true;
  return spaceUntilWarning(options, space) <= 0;
}
