// A disk in memory that keeps after a power cut only what was synced, loses or garbles the rest
// sector by sector, can be full, and fails or waits where a test says so.
import { MqError, type Random } from "../../../base/index.ts";
import type { Disk, DiskFile, DiskSpace, FolderLock } from "../disk.ts";

/** What a test may stop, delay or fail. */
export interface DiskOperation {
  readonly kind: "open" | "read" | "write" | "datasync" | "truncate" | "rename" | "remove" | "list";
  readonly path: string;
}

/** What becomes of sectors that were not synced when the power goes. */
export type UnsyncedFate = "lost" | "kept" | "random" | "garbled";

const sectorSize = 512;

interface Inode {
  bytes: Buffer;
  size: number;
  /** Content and size at the last datasync. */
  syncedBytes: Buffer;
  /** Sectors written since. */
  readonly dirty: Set<number>;
}

interface Folder {
  /** Names as programs see them, and as they are on the medium. */
  readonly names: Map<string, Inode>;
  synced: Map<string, Inode>;
}

/** The medium and what the operating system has cached of it. */
export class SimulatedDisk implements Disk {
  /** Runs before each operation: may throw to fail it, or wait. */
  onOperation: ((operation: DiskOperation) => void | Promise<void>) | undefined;
  /** How long an operation takes: the next turn of the event loop, or a while on a virtual clock. */
  pace: (operation: DiskOperation) => Promise<void> = () =>
    new Promise((resolve) => setImmediate(resolve));
  /** Size of the file system; writes beyond it fail with ENOSPC after a part was written. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  /** Whether the machine has a step that syncs everything. */
  syncsAll = true;
  openCount = 0;
  openMost = 0;
  readonly #folders = new Map<string, Folder>();
  readonly #locks = new Set<string>();
  #boot = 1;
  /** Goes up when the process dies: what it had under way never ends. */
  #life = 1;

  /** Power fails: unsynced sectors and names meet their fate, the machine starts again. */
  cutPower(fate: UnsyncedFate, random: Random): void {
    this.kill();
    this.#boot += 1;
    for (const folder of this.#folders.values()) {
      for (const inode of new Set([...folder.names.values(), ...folder.synced.values()])) {
        settle(inode, fate, random);
      }
      const isLost = fate === "lost" || (fate !== "kept" && random.next() < 0.5);
      const names = isLost ? folder.synced : folder.names;
      folder.synced = new Map(names);
      folder.names.clear();
      for (const [name, inode] of folder.synced) folder.names.set(name, inode);
    }
  }

  /** The process is killed: everything written stays, the lock is free, nothing under way ends. */
  kill(): void {
    this.#life += 1;
    this.#locks.clear();
    this.openCount = 0;
    this.onOperation = undefined;
  }

  /**
   * What a system does after a flush has failed: it holds the bytes for clean, shows them to programs,
   * and does not write them again by itself.
   */
  forgetUnsynced(path: string): void {
    this.#find(path).dirty.clear();
  }

  /** Bytes of a file as programs see them, a copy. */
  bytesOf(path: string): Buffer {
    const inode = this.#find(path);
    return Buffer.from(inode.bytes.subarray(0, inode.size));
  }

  /** Bytes `[from, to)` of a file as programs see them, a view until the file changes; fewer at its end, none without it. */
  view(path: string, from: number, to: number): Buffer {
    const cut = path.lastIndexOf("/");
    const inode = this.#folders.get(path.slice(0, cut))?.names.get(path.slice(cut + 1));
    return inode?.bytes.subarray(from, Math.min(to, inode.size)) ?? Buffer.alloc(0);
  }

  /** Replaces a file's content, on the medium too. */
  put(path: string, bytes: Uint8Array): void {
    const [folder, name] = this.#place(path);
    const content = Buffer.from(bytes);
    const inode = newInode();
    inode.bytes = content;
    inode.size = content.length;
    inode.syncedBytes = Buffer.from(content);
    folder.names.set(name, inode);
    folder.synced.set(name, inode);
  }

  /** Every file's path. */
  paths(): string[] {
    const found: string[] = [];
    for (const [folder, { names }] of this.#folders) {
      for (const name of names.keys()) found.push(`${folder}/${name}`);
    }
    return found.sort();
  }

  /** A disk of its own with the same content, synced as it is here. */
  copy(): SimulatedDisk {
    const other = new SimulatedDisk();
    other.#boot = this.#boot;
    const copies = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      let made = copies.get(inode);
      if (made === undefined) {
        const dirty = new Set(inode.dirty);
        const bytes = Buffer.from(inode.bytes);
        made = { bytes, size: inode.size, syncedBytes: inode.syncedBytes, dirty };
        copies.set(inode, made);
      }
      return made;
    };
    const copyNames = (names: Map<string, Inode>): Map<string, Inode> =>
      new Map([...names].map(([name, inode]) => [name, copyOf(inode)]));
    for (const [path, { names, synced }] of this.#folders) {
      other.#folders.set(path, { names: copyNames(names), synced: copyNames(synced) });
    }
    return other;
  }

  async open(path: string, options: { readonly create: boolean }): Promise<DiskFile> {
    await this.#step({ kind: "open", path });
    const [folder, name] = this.#place(path);
    let inode = folder.names.get(name);
    if (inode === undefined) {
      if (!options.create) throw systemError("ENOENT", `no such file: ${path}`);
      inode = newInode();
      folder.names.set(name, inode);
    }
    this.openCount += 1;
    this.openMost = Math.max(this.openMost, this.openCount);
    return this.#handle(inode, path);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step({ kind: "rename", path: from });
    const inode = this.#find(from);
    const [source, sourceName] = this.#place(from);
    const [target, targetName] = this.#place(to);
    source.names.delete(sourceName);
    target.names.set(targetName, inode);
  }

  async remove(path: string): Promise<void> {
    await this.#step({ kind: "remove", path });
    const cut = path.lastIndexOf("/");
    this.#folders.get(path.slice(0, cut))?.names.delete(path.slice(cut + 1));
  }

  async makeFolder(path: string): Promise<void> {
    await this.#step({ kind: "open", path });
    const parts = path.split("/");
    for (let count = 2; count <= parts.length; count += 1) {
      const folder = parts.slice(0, count).join("/");
      if (!this.#folders.has(folder)) {
        this.#folders.set(folder, { names: new Map(), synced: new Map() });
      }
    }
  }

  async removeFolder(path: string): Promise<void> {
    await this.#step({ kind: "remove", path });
    for (const folder of this.#folders.keys()) {
      if (folder === path || folder.startsWith(`${path}/`)) this.#folders.delete(folder);
    }
  }

  async list(folder: string): Promise<readonly string[]> {
    await this.#step({ kind: "list", path: folder });
    const found = new Set(this.#folders.get(folder)?.names.keys() ?? []);
    for (const path of this.#folders.keys()) {
      if (path.startsWith(`${folder}/`))
        found.add(path.slice(folder.length + 1).split("/")[0] ?? "");
    }
    return [...found].sort();
  }

  async syncFolder(path: string): Promise<void> {
    await this.#step({ kind: "datasync", path });
    const folder = this.#folders.get(path);
    if (path === "/") return;
    if (folder === undefined) throw systemError("ENOENT", `no such folder: ${path}`);
    folder.synced = new Map(folder.names);
  }

  async syncAll(path: string): Promise<boolean> {
    await this.#step({ kind: "datasync", path });
    if (!this.syncsAll) return false;
    for (const folder of this.#folders.values()) {
      for (const inode of folder.names.values()) syncInode(inode);
      folder.synced = new Map(folder.names);
    }
    return true;
  }

  async space(): Promise<DiskSpace> {
    await this.#step({ kind: "list", path: "" });
    const totalBytes = Number.isFinite(this.capacityBytes) ? this.capacityBytes : 2 ** 50;
    return { freeBytes: Math.max(0, totalBytes - this.#usedBytes()), totalBytes };
  }

  async lock(folder: string): Promise<FolderLock> {
    if (this.#locks.has(folder)) throw new MqError("FOLDER_IN_USE", `process 1 uses ${folder}`);
    this.#locks.add(folder);
    return {
      release: async () => {
        this.#locks.delete(folder);
      },
    };
  }

  async bootId(): Promise<string> {
    return `boot-${this.#boot}`;
  }

  #handle(inode: Inode, path: string): DiskFile {
    let isOpen = true;
    const life = this.#life;
    const step = async (kind: DiskOperation["kind"]): Promise<void> => {
      // Code of a process that is gone may still run.
      if (life !== this.#life) await new Promise<never>(() => {});
      if (!isOpen) throw systemError("EBADF", `closed: ${path}`);
      await this.#step({ kind, path });
    };
    const write = async (bytes: Uint8Array, at: number): Promise<void> => {
      await step("write");
      const room = this.capacityBytes - this.#usedBytes();
      const growth = Math.max(0, at + bytes.length - inode.size);
      const fits = growth <= room ? bytes.length : Math.max(0, bytes.length - (growth - room));
      writeInode(inode, bytes.subarray(0, fits), at);
      if (fits < bytes.length) throw systemError("ENOSPC", `no space for ${path}`);
    };
    return {
      read: async (target, at) => {
        await step("read");
        const end = Math.max(at, Math.min(inode.size, at + target.length));
        target.set(inode.bytes.subarray(at, end));
        return end - at;
      },
      write,
      writeAll: (parts, at) => write(Buffer.concat(parts), at),
      datasync: async () => {
        await step("datasync");
        syncInode(inode);
      },
      truncate: async (sizeBytes) => {
        await step("truncate");
        resizeInode(inode, sizeBytes);
      },
      size: async () => {
        await step("read");
        return inode.size;
      },
      close: async () => {
        if (isOpen) this.openCount -= 1;
        isOpen = false;
      },
    };
  }

  // Every operation ends in a later turn of the event loop, as on a real disk, and never when the
  // process that asked for it is gone.
  async #step(operation: DiskOperation): Promise<void> {
    const life = this.#life;
    await this.onOperation?.(operation);
    await this.pace(operation);
    if (life !== this.#life) await new Promise<never>(() => {});
  }

  #usedBytes(): number {
    if (!Number.isFinite(this.capacityBytes)) return 0;
    let used = 0;
    for (const folder of this.#folders.values()) {
      for (const inode of folder.names.values()) used += inode.size;
    }
    return used;
  }

  #find(path: string): Inode {
    const [folder, name] = this.#place(path);
    const inode = folder.names.get(name);
    if (inode === undefined) throw systemError("ENOENT", `no such file: ${path}`);
    return inode;
  }

  #place(path: string): [Folder, string] {
    const cut = path.lastIndexOf("/");
    const folder = this.#folders.get(path.slice(0, cut));
    if (folder === undefined) throw systemError("ENOENT", `no such folder: ${path}`);
    return [folder, path.slice(cut + 1)];
  }
}

/** An error as the operating system gives it. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

function newInode(): Inode {
  return { bytes: Buffer.alloc(0), size: 0, syncedBytes: Buffer.alloc(0), dirty: new Set() };
}

function resizeInode(inode: Inode, size: number): void {
  if (size > inode.bytes.length) {
    const bytes = Buffer.alloc(Math.max(size, inode.bytes.length * 2));
    inode.bytes.copy(bytes, 0, 0, inode.size);
    inode.bytes = bytes;
  }
  if (size < inode.size) inode.bytes.fill(0, size, inode.size);
  markDirty(inode, Math.min(size, inode.size), Math.max(size, inode.size));
  inode.size = size;
}

function writeInode(inode: Inode, bytes: Uint8Array, at: number): void {
  if (bytes.length === 0) return;
  if (at + bytes.length > inode.size) resizeInode(inode, at + bytes.length);
  inode.bytes.set(bytes, at);
  markDirty(inode, at, at + bytes.length);
}

function markDirty(inode: Inode, from: number, to: number): void {
  for (let sector = Math.floor(from / sectorSize); sector * sectorSize < to; sector += 1) {
    inode.dirty.add(sector);
  }
}

function syncInode(inode: Inode): void {
  const synced = Buffer.alloc(inode.size);
  inode.syncedBytes.copy(synced);
  for (const sector of inode.dirty) {
    const from = sector * sectorSize;
    inode.bytes.copy(synced, from, from, Math.min(from + sectorSize, inode.size));
  }
  inode.syncedBytes = synced;
  inode.dirty.clear();
}

/** What is left of a file: synced sectors as they were, each unsynced one by its fate. */
function settle(inode: Inode, fate: UnsyncedFate, random: Random): void {
  const cached = inode.bytes.subarray(0, inode.size);
  const kept = Buffer.alloc(Math.max(cached.length, inode.syncedBytes.length));
  inode.syncedBytes.copy(kept);
  let size = inode.syncedBytes.length;
  for (const sector of [...inode.dirty].sort((one, other) => one - other)) {
    const from = sector * sectorSize;
    const to = Math.min(from + sectorSize, cached.length);
    if (fate === "lost" || from >= to) continue;
    if (fate !== "kept" && random.next() < 0.5) continue;
    cached.copy(kept, from, from, to);
    // A sector is written whole or not at all: what it held at the last sync is never garbled.
    const isNew = from >= inode.syncedBytes.length;
    if (fate === "garbled" && isNew && random.next() < 0.3)
      random.bytes(to - from).copy(kept, from);
    size = Math.max(size, to);
  }
  if (fate === "kept") size = cached.length;
  inode.bytes = Buffer.from(kept.subarray(0, size));
  inode.size = size;
  inode.syncedBytes = Buffer.from(inode.bytes);
  inode.dirty.clear();
}
