// The store's options out of the broker's configuration.
import type { BrokerConfig } from "../base/index.ts";
import type { RetentionOptions, StoreOptions } from "./store/index.ts";

/** How the configuration wants the store; the caller adds disk, clock, logger and observer. */
export function storeOptions(
  values: BrokerConfig,
): Omit<StoreOptions, "disk" | "clock" | "logger" | "observer"> {
  return {
    folder: values.storePathRootDir,
    commitLogFolder: values.storePathCommitLog,
    flushDiskType: values.flushDiskType,
    mappedFileSizeCommitLog: values.mappedFileSizeCommitLog,
    syncFlushTimeoutMs: values.syncFlushTimeout,
    cleanResourceIntervalMs: values.cleanResourceInterval,
    tailCacheSizeBytes: values.tailCacheSize,
    ...retentionOptions(values),
  };
}

/** How the configuration wants to keep messages; live keys all. */
export function retentionOptions(values: BrokerConfig): RetentionOptions {
  return {
    fileReservedTimeHours: values.fileReservedTime,
    deleteWhenHours: values.deleteWhen,
    diskMaxUsedSpaceRatio: values.diskMaxUsedSpaceRatio,
    diskSpaceCleanForciblyRatio: values.diskSpaceCleanForciblyRatio,
    diskSpaceWarningLevelRatio: values.diskSpaceWarningLevelRatio,
    diskFreeSpaceMinBytes: values.diskFreeSpaceMin,
  };
}
