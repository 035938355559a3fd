// The machine's disk through Node's asynchronous file calls: the event loop never waits for it.
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as fsp from "node:fs/promises";
import { dirname } from "node:path";
import type { Disk, DiskFile } from "./disk.ts";
import { errorCode } from "./disk.ts";
import { lockFolder } from "./folder-lock.ts";

/** The machine's disk. */
export const nodeDisk: Disk = {
  open(path, options) {
    const create = options.create ? fs.constants.O_CREAT : 0;
    return new Promise((resolve, reject) => {
      fs.open(path, fs.constants.O_RDWR | create, 0o644, (error, descriptor) =>
        error === null ? resolve(new NodeFile(descriptor)) : reject(error),
      );
    });
  },
  rename: (from, to) => fsp.rename(from, to),
  remove: (path) => fsp.rm(path, { force: true }),
  makeFolder,
  removeFolder: (path) => fsp.rm(path, { force: true, recursive: true }),
  async list(folder) {
    try {
      return (await fsp.readdir(folder)).sort();
    } catch (error) {
      if (errorCode(error) === "ENOENT") return [];
      throw error;
    }
  },
  async syncFolder(folder) {
    const handle = await fsp.open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  syncAll(folder) {
    // Node has no syncfs(2); the coreutils program is it.
    return new Promise((resolve) => {
      const child = spawn("sync", ["-f", folder], { stdio: "ignore" });
      child.once("error", () => resolve(false));
      child.once("exit", (code) => resolve(code === 0));
    });
  },
  async space(folder) {
    const found = await fsp.statfs(folder);
    // As df counts: what is used and what may still be used. Reserved blocks are neither.
    const countable = found.blocks - found.bfree + found.bavail;
    return { freeBytes: found.bavail * found.bsize, totalBytes: countable * found.bsize };
  },
  lock: (folder) => lockFolder(folder),
  async bootId() {
    try {
      return (await fsp.readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    } catch {
      return "";
    }
  },
};

/** What follows the first `count` bytes. */
function behind(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let skipped = 0;
  return parts.flatMap((part) => {
    const from = Math.max(0, count - skipped);
    skipped += part.length;
    return from < part.length ? [part.subarray(from)] : [];
  });
}

function noByteError(): Error {
  return Object.assign(new Error("EIO: a write took no byte and gave no reason"), { code: "EIO" });
}

// Not mkdir's own `recursive`: on a file system that takes no folders (such as /proc) Node's never ends.
async function makeFolder(path: string): Promise<void> {
  try {
    await fsp.mkdir(path);
  } catch (error) {
    const parent = dirname(path);
    if (errorCode(error) === "EEXIST" && (await fsp.stat(path)).isDirectory()) return;
    if (errorCode(error) !== "ENOENT" || parent === path || (await exists(parent))) throw error;
    await makeFolder(parent);
    await makeFolder(path);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await fsp.stat(path);
    return true;
  } catch {
    return false;
  }
}

class NodeFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  read(target: Uint8Array, at: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const step = (done: number): void => {
        fs.read(this.#descriptor, target, done, target.length - done, at + done, (error, count) => {
          if (error !== null) reject(error);
          else if (count === 0 || done + count === target.length) resolve(done + count);
          else step(done + count);
        });
      };
      if (target.length === 0) resolve(0);
      else step(0);
    });
  }

  write(bytes: Uint8Array, at: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const step = (done: number): void => {
        fs.write(this.#descriptor, bytes, done, bytes.length - done, at + done, (error, count) => {
          if (error !== null) reject(error);
          else if (done + count >= bytes.length) resolve();
          // Never seen; going on would never end.
          else if (count === 0) reject(noByteError());
          else step(done + count);
        });
      };
      if (bytes.length === 0) resolve();
      else step(0);
    });
  }

  writeAll(parts: readonly Uint8Array[], at: number): Promise<void> {
    const [only] = parts;
    if (only !== undefined && parts.length === 1) return this.write(only, at);
    return new Promise((resolve, reject) => {
      const step = (left: readonly Uint8Array[], place: number): void => {
        fs.writev(this.#descriptor, left, place, (error, count) => {
          const rest = error === null ? behind(left, count) : [];
          if (error !== null) reject(error);
          else if (rest.length === 0) resolve();
          else if (count === 0) reject(noByteError());
          else step(rest, place + count);
        });
      };
      const filled = behind(parts, 0);
      if (filled.length === 0) resolve();
      else step(filled, at);
    });
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#descriptor, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#descriptor, sizeBytes, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#descriptor, (error, stats) =>
        error === null ? resolve(stats.size) : reject(error),
      );
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.close(this.#descriptor, (error) =>
        error === undefined || error === null ? resolve() : reject(error),
      );
    });
  }
}
