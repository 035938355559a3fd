// Opens what a store is made of: takes the folder, recovers the log, and brings the queues up to it.

import { dirname } from "node:path";
import { MqError } from "../../base/index.ts";
import { ColdReader } from "./cold-reader.ts";
import type { CommitLogStart } from "./commit-log.ts";
import { ConsumeQueues } from "./consume-queues.ts";
import { type Disk, errorCode, type FolderLock, isDiskFull } from "./disk.ts";
import { FlushMarkFile } from "./flush-mark.ts";
import type { LogWriterEvents, LogWriterParts } from "./log-writer.ts";
import { QueueFiles } from "./queue-files.ts";
import { type Recovered, recover } from "./recovery.ts";
import { Segments } from "./segments.ts";
import type { StoreOptions } from "./store-options.ts";
import type { TailCache } from "./tail-cache.ts";

/** The parts of a recovered store; closed by whoever opened them. */
export interface StoreParts {
  readonly options: Required<StoreOptions>;
  readonly lock: FolderLock;
  readonly segments: Segments;
  readonly files: QueueFiles;
  readonly queues: ConsumeQueues;
  readonly cold: ColdReader;
  readonly mark: FlushMarkFile;
  readonly recovered: Recovered;
}

/** Opens and recovers. Throws as `Store.open` does, and holds nothing then. */
export async function openParts(options: Required<StoreOptions>): Promise<StoreParts> {
  try {
    return await lockAndRecover(options);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    const { folder } = options;
    const message = `no space left on the disk of ${folder}: it cannot be opened`;
    throw new MqError("DISK_FULL", message, { cause: error, facts: { folder } });
  }
}

async function lockAndRecover(options: Required<StoreOptions>): Promise<StoreParts> {
  const { disk, folder } = options;
  await disk.makeFolder(folder);
  const lock = await disk.lock(folder);
  let segments: Segments | undefined;
  try {
    segments = await Segments.open(disk, options.commitLogFolder);
    // The folders may be new: their names have to survive a power cut as well.
    await syncAbove(disk, folder);
    await syncAbove(disk, options.commitLogFolder);
    return await recoverParts(options, lock, segments);
  } catch (error) {
    await segments?.close();
    await lock.release();
    throw error;
  }
}

async function syncAbove(disk: Disk, folder: string): Promise<void> {
  try {
    await disk.syncFolder(dirname(folder));
  } catch (error) {
    // A folder that may be passed through but not read: ours was made in it by somebody else.
    if (errorCode(error) !== "EACCES") throw error;
  }
}

async function recoverParts(
  options: Required<StoreOptions>,
  lock: FolderLock,
  segments: Segments,
): Promise<StoreParts> {
  const { disk, folder, clock, logger, verifySizeBytes } = options;
  const files = new QueueFiles(disk, `${folder}/consumequeue`, options.queueFileEntries);
  const cold = new ColdReader(segments, clock, options.coldCacheSizeBytes);
  const queues = new ConsumeQueues({
    files,
    clock,
    memorySizeMax: options.queueCacheSizeBytes,
    storeTime: (place) => cold.storeTime(place),
  });
  try {
    const parts = { disk, logger, folder, segments, queues, files, verifySizeBytes };
    const recovered = await recover(parts);
    const mark = await FlushMarkFile.open(disk, folder);
    return { options, lock, segments, files, queues, cold, mark, recovered };
  } catch (error) {
    await files.close();
    throw error;
  }
}

/** Where appending goes on. */
export function logStart({ recovered, segments }: StoreParts): CommitLogStart {
  const { end, storeTimeMs, epochs } = recovered;
  return { end, segmentStart: segments.all.at(-1)?.start ?? end, storeTimeMs, epochs };
}

/** What the writer of an opened store works on. */
export function writerParts(
  { options, segments }: StoreParts,
  tail: TailCache,
  events: LogWriterEvents,
): LogWriterParts {
  const { clock, observer, flushDiskType } = options;
  const flushesAlways = flushDiskType === "SYNC_FLUSH";
  return { segments, tail, clock, observer, flushesAlways, events };
}
