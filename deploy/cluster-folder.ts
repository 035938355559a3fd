// Where a cluster on this machine keeps its data: a folder that stays, or one that goes.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { DeploymentSet } from "./deployment-set.ts";
import { PortConflict, type PortMap } from "./port-plan.ts";

const portsFile = "ports.json";

/** The folder; an ephemeral one is made at once and removed when the process ends. */
export function dataFolder(request: {
  readonly set: DeploymentSet;
  readonly data: string | undefined;
  readonly ephemeral: boolean;
}): string {
  if (!request.ephemeral) return resolve(request.data ?? join("data/cluster", request.set.name));
  const folder = mkdtempSync(join(tmpdir(), "cometmq-cluster-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/**
 * etcd keeps the addresses of its members in its data: with other ports they would look for each other in vain. Throws
 * PortConflict when the folder was made with others.
 */
export function rememberPorts(folder: string, set: DeploymentSet, ports: PortMap): void {
  if (set.etcd.length === 0) return;
  const now = set.etcd.flatMap((plan) => plan.ports.map(({ port }) => ports.get(port) ?? port));
  const file = join(folder, portsFile);
  if (existsSync(file)) {
    const before = readFileSync(file, "utf8").trim();
    if (before === JSON.stringify(now)) return;
    throw new PortConflict(
      `the data in ${folder} was made with other ports of etcd (${before}): give the same --base-port as then, or another --data`,
    );
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, `${JSON.stringify(now)}\n`);
}
