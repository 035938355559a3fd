// One process a data folder: a `lock` file that names the process, with the time it started, so that
// a process number that was given to another program since is not mistaken for the owner.
import * as fsp from "node:fs/promises";
import { hostname } from "node:os";
import { MqError } from "../../base/index.ts";
import { errorCode, type FolderLock } from "./disk.ts";

interface Owner {
  readonly pid: number;
  /** Start time of the process as the kernel counts it; empty when unknown. */
  readonly started: string;
  readonly host: string;
}

const attemptsMax = 5;
/** How file systems without hard links (FAT, some network ones) refuse one. */
const withoutLinks: ReadonlySet<string> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"]);
let draftCount = 0;

/**
 * Takes `folder` for this process. The lock of a dead process is taken over. Throws FOLDER_IN_USE
 * with the owner's process id. Processes that do not see each other (two containers with process
 * namespaces of their own on one volume) are not told apart by this.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = `${folder}/lock`;
  const mine = JSON.stringify(await describe(process.pid));
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    if (await createExclusive(path, mine)) return { release: () => release(path, mine) };
    await refuseWhenAlive(path, folder);
    if (await replaceStale(path, mine, folder)) return { release: () => release(path, mine) };
  }
  throw new MqError("FOLDER_IN_USE", `several processes are taking the folder ${folder} at once`);
}

// Only the holder of the second file may replace a stale first one; otherwise two starting
// processes that both saw the dead owner could each throw out the other's new lock.
async function replaceStale(path: string, mine: string, folder: string): Promise<boolean> {
  const guard = `${path}.takeover`;
  if (!(await createExclusive(guard, mine))) {
    await refuseWhenAlive(guard, folder);
    await fsp.rm(guard, { force: true });
    return false;
  }
  try {
    await refuseWhenAlive(path, folder);
    await fsp.writeFile(`${path}.new`, mine);
    await fsp.rename(`${path}.new`, path);
    return true;
  } finally {
    await fsp.rm(guard, { force: true });
  }
}

/** Makes a file that is never seen without its content: a reader would take it for a dead owner's. */
async function createExclusive(path: string, content: string): Promise<boolean> {
  const draft = `${path}.${process.pid}.${++draftCount}`;
  try {
    await fsp.writeFile(draft, content);
    await fsp.link(draft, path);
    return true;
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST") return false;
    if (!withoutLinks.has(code ?? "")) throw error;
    return await createWithoutLink(path, content);
  } finally {
    await fsp.rm(draft, { force: true });
  }
}

async function createWithoutLink(path: string, content: string): Promise<boolean> {
  try {
    await fsp.writeFile(path, content, { flag: "wx" });
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

async function refuseWhenAlive(path: string, folder: string): Promise<void> {
  const owner = await readOwner(path);
  if (owner === undefined || !(await isAlive(owner))) return;
  throw new MqError("FOLDER_IN_USE", `the folder ${folder} is in use by process ${owner.pid}`, {
    facts: { folder, pid: owner.pid },
  });
}

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    const found: unknown = JSON.parse(await fsp.readFile(path, "utf8"));
    if (typeof found !== "object" || found === null) return undefined;
    const { pid, started, host } = found as Record<string, unknown>;
    if (typeof pid !== "number" || typeof started !== "string") return undefined;
    return { pid, started, host: typeof host === "string" ? host : "" };
  } catch (error) {
    // A lock that holds nothing readable was being written when its process died.
    if (errorCode(error) === "ENOENT" || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  if (!Number.isInteger(owner.pid) || owner.pid <= 0) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    // EPERM: alive, of another user.
    if (errorCode(error) !== "EPERM") return false;
  }
  if (await isZombie(owner.pid)) return false;
  const now = await describe(owner.pid);
  return owner.started === "" || now.started === "" || owner.started === now.started;
}

/** Dead to its last thread, but nobody has asked how it ended: the first process of a container may never do that. */
async function isZombie(pid: number): Promise<boolean> {
  try {
    const [state] = await statFields(pid);
    return state === "Z" && (await fsp.readdir(`/proc/${pid}/task`)).length === 1;
  } catch {
    return false;
  }
}

async function describe(pid: number): Promise<Owner> {
  let started = "";
  try {
    const fields = await statFields(pid);
    const boot = await fsp.readFile("/proc/sys/kernel/random/boot_id", "utf8");
    started = `${boot.trim()}/${fields[19] ?? ""}`;
  } catch {
    // No /proc: the process number alone decides.
  }
  return { pid, started, host: hostname() };
}

/** Fields of `/proc/<pid>/stat` from the third on, the state: the second, the program's name, may hold blanks and brackets. */
async function statFields(pid: number): Promise<readonly string[]> {
  const stat = await fsp.readFile(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

async function release(path: string, mine: string): Promise<void> {
  try {
    if ((await fsp.readFile(path, "utf8")) === mine) await fsp.rm(path, { force: true });
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error;
  }
}
