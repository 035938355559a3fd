// Cuts the log of a store that is not open: what a slave has and its master has not. The bytes are kept in a side
// file, for an operator to look at. docs/format/replication.md.
import { type Logger, limits } from "../../base/index.ts";
import { checkpointFile, readCheckpoint } from "./checkpoint.ts";
import { type Disk, isDiskFull } from "./disk.ts";
import { FlushMarkFile, flushMarkFile, readFlushMark } from "./flush-mark.ts";
import { Segments, startName } from "./segments.ts";

/** A store's folders. Nobody has it open. */
export interface ClosedStore {
  readonly disk: Disk;
  readonly folder: string;
  readonly commitLogFolder: string;
  readonly logger: Logger;
}

/** Folder of the side files, in the data folder. */
const sideFolder = "cut";

/**
 * Cuts the log at `end`, the end of a group, durably. Gives the side file that has the bytes behind; undefined when
 * there were none. Throws FOLDER_IN_USE and what the disk throws: then nothing is lost, and it can be called again.
 */
export async function cutLog(
  store: ClosedStore,
  end: number,
  suffix: string,
): Promise<string | undefined> {
  const { disk, folder } = store;
  const lock = await disk.lock(folder);
  const segments = await Segments.open(disk, store.commitLogFolder);
  try {
    if (segments.end <= end) return undefined;
    const sideFile = await keepBytes(store, segments, { from: end, suffix });
    const checkpoint = await readCheckpoint(disk, folder);
    if (checkpoint !== undefined && checkpoint.position > end) {
      await disk.remove(`${folder}/${checkpointFile}`);
      await disk.syncFolder(folder);
    }
    const mark = await readFlushMark(disk, folder);
    if (mark !== undefined && mark.position > end) {
      const file = await FlushMarkFile.open(disk, folder);
      await file.save(end);
      await file.close();
    }
    await segments.truncate(end);
    return sideFile;
  } finally {
    await segments.close();
    await lock.release();
  }
}

/** Removes log, queues and marks of a store whose every byte is of no use any more. Side files stay. */
export async function eraseLog(store: ClosedStore): Promise<void> {
  const { disk, folder, commitLogFolder } = store;
  const lock = await disk.lock(folder);
  try {
    await disk.remove(`${folder}/${checkpointFile}`);
    await takeMarkBack(disk, folder);
    const names = (await disk.list(commitLogFolder)).filter((name) => /^\d{20}$/.test(name));
    // Newest first, each for good: what is left when this is interrupted is a log without a hole.
    for (const name of names.toReversed()) {
      await disk.remove(`${commitLogFolder}/${name}`);
      await disk.syncFolder(commitLogFolder);
    }
    // Last, since without it the rest would be checked as if nothing had ever been lost.
    await disk.remove(`${folder}/${flushMarkFile}`);
    await disk.syncFolder(folder);
    await disk.removeFolder(`${folder}/consumequeue`);
  } finally {
    await lock.release();
  }
}

/** Says that nothing is flushed; on a full disk it is not said how much is. */
async function takeMarkBack(disk: Disk, folder: string): Promise<void> {
  const mark = await readFlushMark(disk, folder);
  if (mark === undefined) return;
  const file = await FlushMarkFile.open(disk, folder);
  try {
    await file.save(0);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    await disk.remove(`${folder}/${flushMarkFile}`);
  } finally {
    await file.close();
  }
  await disk.syncFolder(folder);
}

async function keepBytes(
  { disk, folder, logger }: ClosedStore,
  segments: Segments,
  { from, suffix }: { readonly from: number; readonly suffix: string },
): Promise<string> {
  const side = `${folder}/${sideFolder}`;
  const path = `${side}/${startName(from)}-${suffix}.log`;
  await disk.makeFolder(side);
  const file = await disk.open(path, { create: true });
  try {
    await file.truncate(0);
    for (let place = from; place < segments.end; ) {
      const bytes = Buffer.allocUnsafeSlow(Math.min(limits.logReadSize, segments.end - place));
      const count = await segments.read(place, bytes);
      if (count === 0) break;
      await file.write(bytes.subarray(0, count), place - from);
      place += count;
    }
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.syncFolder(side);
  await disk.syncFolder(folder);
  logger.warn(
    "the end of the log is cut, because the master does not have it: kept in a side file",
    {
      position: from,
      cutBytes: segments.end - from,
      file: path,
    },
  );
  return path;
}
