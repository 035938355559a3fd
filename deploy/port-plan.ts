// Which ports the processes of a set get on this machine: those of its files, or others.
import { createServer } from "node:net";
import type { DeploymentSet } from "./deployment-set.ts";

/** Ports by the ones that the files name. */
export type PortMap = ReadonlyMap<number, number>;

const portMax = 65_535;
/** Below the range from which systems give ports to outgoing connections. */
const searchedFrom = 20_000;
const searchedCount = 12_000;

/** A port that cannot be had, or too few of them: the message says whose it is and what to do. */
export class PortConflict extends Error {
  override readonly name = "PortConflict";
}

/**
 * The ports of a set: as its files say when `basePort` is undefined, from `basePort` on in the order of the processes,
 * or free ones when it is 0. Throws PortConflict when one is taken or named twice.
 */
export async function planPorts(
  set: DeploymentSet,
  basePort: number | undefined,
): Promise<PortMap> {
  const uses = [...set.etcd, ...set.servers].flatMap(({ name, ports }) =>
    ports.map(({ key, port }) => ({ name, key, port })),
  );
  const owners = new Map<number, string>();
  for (const { name, key, port } of uses) {
    // The process chooses a free one by itself.
    if (port === 0) continue;
    const owner = owners.get(port);
    if (owner !== undefined) {
      throw new PortConflict(`port ${port} is named twice: by ${owner} and by ${key} of ${name}`);
    }
    owners.set(port, `${key} of ${name}`);
  }
  if (basePort === 0) return await freePorts([...owners.keys()]);
  const map = new Map<number, number>();
  let next = basePort ?? 0;
  for (const [written, owner] of owners) {
    const port = basePort === undefined ? written : next++;
    if (port > portMax) throw new PortConflict(`--base-port ${basePort} leaves too few ports`);
    if (!(await isFree(port))) {
      throw new PortConflict(
        `port ${port} (${owner}) is taken: stop what listens there, or choose other ports with --base-port N, for example --base-port ${searchedFrom}`,
      );
    }
    map.set(written, port);
  }
  return map;
}

async function freePorts(written: readonly number[]): Promise<PortMap> {
  const map = new Map<number, number>();
  // From a place of its own for each process, so that two of them seldom look at the same ports.
  let candidate = searchedFrom + ((process.pid * 37) % searchedCount);
  for (let tried = 0; tried < searchedCount && map.size < written.length; tried++) {
    const wanted = written[map.size];
    if (wanted !== undefined && (await isFree(candidate))) map.set(wanted, candidate);
    candidate = candidate + 1 < searchedFrom + searchedCount ? candidate + 1 : searchedFrom;
  }
  if (map.size === written.length) return map;
  throw new PortConflict(`no ${written.length} ports are free on this machine`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
