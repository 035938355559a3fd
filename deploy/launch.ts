// The command line of each process of a set on this machine: the set's own files, with flags only where this machine
// wants something else than they say.
import { join } from "node:path";
import { type Address, formatAddress } from "../base/index.ts";
import { type DeploymentSet, type EtcdPlan, isLocal, type ServerPlan } from "./deployment-set.ts";
import { programPath } from "./places.ts";
import type { PortMap } from "./port-plan.ts";

/** What is started. */
export interface Launch {
  readonly name: string;
  readonly kind: "mqnamesrv" | "mqbroker" | "cometmq" | "etcd";
  readonly command: string;
  readonly args: readonly string[];
  /** `host:port` that answers when it is ready; undefined: it prints a `ready` line. */
  readonly healthAddress: string | undefined;
  readonly addresses: Readonly<Record<string, string>>;
  /** Lower ones end first. */
  readonly endRank: number;
}

const host = "127.0.0.1";
const etcdRank = 3;

/** A process of ours. */
export function serverLaunch(plan: ServerPlan, ports: PortMap, dataFolder: string): Launch {
  const { kind, name, file } = plan;
  const args = ["-c", file];
  for (const { key, port } of plan.ports) {
    const mapped = ports.get(port) ?? port;
    if (mapped !== port) args.push(`--${key}`, String(mapped));
  }
  for (const [key, written] of Object.entries(plan.addresses)) {
    const mapped = mappedList(written, ports);
    if (mapped !== mappedList(written, new Map())) args.push(`--${key}`, mapped);
  }
  if (kind !== "mqnamesrv") args.push("--storePathRootDir", join(dataFolder, name));
  // The default, but said: then nobody has to be warned of it.
  if (plan.isLoopbackOnly) args.push("--bindAddress", host);
  return {
    name,
    kind,
    command: programPath(kind),
    args,
    healthAddress: undefined,
    addresses: {},
    endRank: kind === "mqnamesrv" ? 2 : plan.isSlave ? 0 : 1,
  };
}

/** A member of etcd, found at `program`. */
export function etcdLaunch(
  plan: EtcdPlan,
  set: DeploymentSet,
  place: { readonly program: string; readonly ports: PortMap; readonly dataFolder: string },
): Launch {
  const url = (member: EtcdPlan, which: 0 | 1): string => {
    const { port } = member.ports[which];
    return `http://${host}:${place.ports.get(port) ?? port}`;
  };
  const members = set.etcd.map((member) => `${member.name}=${url(member, 1)}`).join(",");
  const client = url(plan, 0).replace("http://", "");
  const flags: Readonly<Record<string, string>> = {
    name: plan.name,
    "data-dir": join(place.dataFolder, plan.name),
    "listen-client-urls": url(plan, 0),
    "advertise-client-urls": url(plan, 0),
    "listen-peer-urls": url(plan, 1),
    "initial-advertise-peer-urls": url(plan, 1),
    "initial-cluster": members,
    "initial-cluster-token": `cometmq-${set.name}`,
    logger: "zap",
    "log-outputs": "stderr",
  };
  return {
    name: plan.name,
    kind: "etcd",
    command: place.program,
    args: Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
    healthAddress: client,
    addresses: { client, peer: url(plan, 1).replace("http://", "") },
    endRank: etcdRank,
  };
}

/** A command as a person may type it into a shell. */
export function shellText({ command, args }: Pick<Launch, "command" | "args">): string {
  return [command, ...args]
    .map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`))
    .join(" ");
}

function mappedList(written: readonly Address[], ports: PortMap): string {
  return written
    .map((address) => {
      const port = isLocal(address) ? (ports.get(address.port) ?? address.port) : address.port;
      return formatAddress({ host: address.host, port });
    })
    .join(";");
}
