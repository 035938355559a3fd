// What a store needs to be opened, with the defaults of a broker.
import { type Clock, type Logger, limits } from "../../base/index.ts";
import type { Disk } from "./disk.ts";
import type { StoreObserver } from "./log-writer.ts";
import type { RetentionOptions } from "./retention.ts";

/** How a store is opened. What has a RocketMQ name keeps it. */
export interface StoreOptions extends Partial<RetentionOptions> {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Data folder; made when missing, locked while open. */
  readonly folder: string;
  /** Folder of the segment files, made when missing; nobody else may use it. Default `commitlog` in `folder`. */
  readonly commitLogFolder?: string;
  /** SYNC_FLUSH answers after datasync, ASYNC_FLUSH after the write. Default SYNC_FLUSH. */
  readonly flushDiskType?: "SYNC_FLUSH" | "ASYNC_FLUSH";
  /** Size of a segment file, bytes. Default 1 GiB. */
  readonly mappedFileSizeCommitLog?: number;
  /** Entries of a consume-queue file. Default 262,144 (6 MiB). */
  readonly queueFileEntries?: number;
  /** Time between flushes with ASYNC_FLUSH, milliseconds. Default 500. */
  readonly flushIntervalCommitLogMs?: number;
  /** Longest wait of an append for its durability, milliseconds. Default 5,000. */
  readonly syncFlushTimeoutMs?: number;
  /** Time between measurements of the disk and retention runs, milliseconds. Default 10,000. */
  readonly cleanResourceIntervalMs?: number;
  /** Time between checkpoints, milliseconds. Default 60,000. */
  readonly checkpointIntervalMs?: number;
  /** Bytes dispatched after which a checkpoint is due early. Default 256 MiB; 128 KiB more for each queue. */
  readonly checkpointSizeBytes?: number;
  /** Bytes at the log's end that every start verifies. Default 32 MiB. */
  readonly verifySizeBytes?: number;
  /** Newest bytes of the log kept in memory. Default 32 MiB. */
  readonly tailCacheSizeBytes?: number;
  /** Memory for entries of consume queues. Default 16 MiB. */
  readonly queueCacheSizeBytes?: number;
  /** Memory for cold reads, given back when unused. Default 8 MiB. */
  readonly coldCacheSizeBytes?: number;
  /** Bytes appended that the disk has not taken yet, from which on nothing is appended. Default 128 MiB. */
  readonly appendBacklogSizeMax?: number;
  readonly observer?: StoreObserver;
}

const mebibyte = 1_048_576;

/** Every option filled in. */
export function withDefaults(options: StoreOptions): Required<StoreOptions> {
  return { ...defaults, commitLogFolder: `${options.folder}/commitlog`, ...options };
}

const defaults = {
  flushDiskType: "SYNC_FLUSH",
  mappedFileSizeCommitLog: 1024 * mebibyte,
  queueFileEntries: 262_144,
  flushIntervalCommitLogMs: 500,
  syncFlushTimeoutMs: 5_000,
  cleanResourceIntervalMs: 10_000,
  checkpointIntervalMs: 60_000,
  checkpointSizeBytes: 256 * mebibyte,
  verifySizeBytes: 32 * mebibyte,
  tailCacheSizeBytes: 32 * mebibyte,
  queueCacheSizeBytes: 16 * mebibyte,
  coldCacheSizeBytes: 8 * mebibyte,
  fileReservedTimeHours: 72,
  deleteWhenHours: [4],
  diskMaxUsedSpaceRatio: 75,
  diskSpaceCleanForciblyRatio: 85,
  diskSpaceWarningLevelRatio: 90,
  diskFreeSpaceMinBytes: 0,
  appendBacklogSizeMax: limits.appendBacklogSizeMax,
  observer: {},
} satisfies Partial<StoreOptions>;
