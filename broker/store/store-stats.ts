// How a store is doing, for metrics and operators.
import type { ConsumeQueues } from "./consume-queues.ts";
import type { DiskGuard } from "./disk-guard.ts";
import type { QueueFiles } from "./queue-files.ts";
import { usedPercent } from "./retention.ts";
import type { Segments } from "./segments.ts";
import type { TailCache } from "./tail-cache.ts";

/** What a store tells about itself. */
export interface StoreStats {
  readonly segmentCount: number;
  /** Bytes of the log kept. */
  readonly sizeBytes: number;
  readonly queueCount: number;
  readonly queueFilesOpen: number;
  /** Appended and not yet confirmed, bytes. */
  readonly behindBytes: number;
  /** Groups of messages that were refused because too much was behind. */
  readonly refusedSends: number;
  /** Appends waiting for their answer. */
  readonly waitingCount: number;
  readonly tailCacheBytes: number;
  readonly queueCacheBytes: number;
  /** Share of the disk in use, percent, as measured last. */
  readonly diskUsedPercent: number;
  /** Whether messages are refused for want of space. */
  readonly isDiskFull: boolean;
}

/** Reads the parts of a store. */
export function statsOf(parts: {
  readonly segments: Segments;
  readonly queues: ConsumeQueues;
  readonly files: QueueFiles;
  readonly tail: TailCache;
  readonly guard: DiskGuard;
  readonly behindBytes: number;
  readonly waitingCount: number;
}): StoreStats {
  const { segments, queues, files, tail, guard, behindBytes, waitingCount } = parts;
  return {
    segmentCount: segments.all.length,
    sizeBytes: segments.end - segments.start,
    queueCount: queues.count,
    queueFilesOpen: files.openCount,
    behindBytes,
    refusedSends: guard.refusedSends,
    waitingCount,
    tailCacheBytes: tail.sizeBytes,
    queueCacheBytes: queues.memorySizeBytes,
    diskUsedPercent: usedPercent(guard.space),
    isDiskFull: guard.isFull,
  };
}
