export type { Appended, SendPlaces } from "./ack-line.ts";
export type { EpochStart } from "./checkpoint.ts";
export type { RecordPlace } from "./cold-reader.ts";
export type { ConsumeQueue } from "./consume-queue.ts";
export type { QueueBounds } from "./consume-queues.ts";
export {
  type Disk,
  type DiskFile,
  type DiskSpace,
  type FolderLock,
  readWhole,
  replaceWhole,
} from "./disk.ts";
export type { StoreFollower } from "./dispatcher.ts";
export { type ClosedStore, cutLog, eraseLog } from "./log-cut.ts";
export { scanLog } from "./log-scanner.ts";
export type { StoreObserver } from "./log-writer.ts";
export { nodeDisk } from "./node-disk.ts";
export type { Quorum } from "./quorum.ts";
export {
  isHeld,
  isQueued,
  type RecordDraft,
  RecordType,
  type RecordView,
  recordSize,
  sentFlag,
} from "./record.ts";
export type { RetentionOptions } from "./retention.ts";
export { Segments } from "./segments.ts";
export { SteadyTime } from "./steady-time.ts";
export { Store } from "./store.ts";
export type { StoreOptions } from "./store-options.ts";
export type { StoreStats } from "./store-stats.ts";
export { tagHash } from "./tag-hash.ts";
export type { ExpireHook } from "./upkeep.ts";
