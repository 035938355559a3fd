// The disk as the store sees it: few operations, each with its durability said. The machine's disk
// is node-disk.ts; simulated-disk.ts keeps only what was synced. test/conformance/disk runs on both.
import { MqError } from "../../base/index.ts";

/** How full the file system of a folder is. */
export interface DiskSpace {
  /** Bytes this process may still write. */
  readonly freeBytes: number;
  /** Size of the file system, bytes. */
  readonly totalBytes: number;
}

/** An open file. Operations may overlap; nothing orders them but awaiting. */
export interface DiskFile {
  /**
   * Reads into `target` from byte `at`. Gives the bytes read: fewer than `target` holds only at the
   * end of the file, 0 behind it. `target` belongs to the file until then.
   */
  read(target: Uint8Array, at: number): Promise<number>;
  /**
   * Writes all of `bytes` at byte `at`; behind the end the gap reads as zeros. When it fails, any
   * part may have been written. `bytes` must not change until then. Durable after `datasync` only.
   */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** As `write`, for parts that follow each other. */
  writeAll(parts: readonly Uint8Array[], at: number): Promise<void>;
  /** Makes every write that ended before this call, and the size, survive a power cut. */
  datasync(): Promise<void>;
  /** Cuts or extends (with zeros) to `sizeBytes`. Durable after `datasync` only. */
  truncate(sizeBytes: number): Promise<void>;
  /** Bytes up to the end. */
  size(): Promise<number>;
  /** Closes; later calls fail. Does not sync. */
  close(): Promise<void>;
}

/** Held while a folder is ours. */
export interface FolderLock {
  /** Gives the folder free. */
  release(): Promise<void>;
}

/** Files and folders. Errors carry the `code` of the system call that failed (`ENOENT`, `ENOSPC`, …). */
export interface Disk {
  /** Opens for reading and writing. Without `create` a missing file is `ENOENT`. */
  open(path: string, options: { readonly create: boolean }): Promise<DiskFile>;
  /** Renames, replacing what was there. Durable after `syncFolder` of the target's folder. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; a missing one is no error. */
  remove(path: string): Promise<void>;
  /** Makes a folder and those above it; an existing one is no error. */
  makeFolder(path: string): Promise<void>;
  /** Removes a folder with all it holds; a missing one is no error. */
  removeFolder(path: string): Promise<void>;
  /** Names in a folder, sorted; none when it is missing. */
  list(folder: string): Promise<readonly string[]>;
  /** Makes created, renamed and removed names of a folder survive a power cut. */
  syncFolder(folder: string): Promise<void>;
  /**
   * Makes everything on the file system of `folder` durable in one step, which is far cheaper than
   * many files one by one. False when the machine cannot do it; nothing is promised then.
   */
  syncAll(folder: string): Promise<boolean>;
  /** Space of the file system that holds `folder`. */
  space(folder: string): Promise<DiskSpace>;
  /** Takes a folder for this process alone. Throws FOLDER_IN_USE naming the process that has it. */
  lock(folder: string): Promise<FolderLock>;
  /**
   * Names the running of the machine: as long as it stays the same, no written byte can have been
   * lost (the page cache lives on when a process is killed). Empty when unknown.
   */
  bootId(): Promise<string>;
}

/** Whether a failed operation says that there is no space left. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error);
  return code === "ENOSPC" || code === "EDQUOT";
}

/** The system's code of a failed operation, such as `ENOENT`; undefined for other errors. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Runs a read of a file. Throws READ_FAILED, which names it, when the system refuses. */
export async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (errorCode(error) === undefined || error instanceof MqError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new MqError("READ_FAILED", `${path} cannot be read: ${reason}`, {
      cause: error,
      facts: { file: path },
    });
  }
}

/** Reads a whole small file; undefined when it is missing. The caller owns the bytes. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer | undefined> {
  let file: DiskFile;
  try {
    file = await disk.open(path, { create: false });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(await file.size());
    const count = await file.read(bytes, 0);
    return bytes.subarray(0, count);
  } finally {
    await file.close();
  }
}

/** Replaces a small file so that after a power cut the old or the new content is there, never a mix. */
export async function replaceWhole(
  disk: Disk,
  place: { readonly folder: string; readonly name: string },
  bytes: Uint8Array,
): Promise<void> {
  const path = `${place.folder}/${place.name}`;
  const file = await disk.open(`${path}.tmp`, { create: true });
  try {
    await file.truncate(0);
    await file.write(bytes, 0);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(`${path}.tmp`, path);
  await disk.syncFolder(place.folder);
}
