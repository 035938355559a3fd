// A configuration set as the processes it describes. The files are the whole truth: which programs run follows from
// their names, where they listen and whether etcd is needed from their keys.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Address,
  brokerRole,
  type ConfigRole,
  Configuration,
  namesrvRole,
  standaloneRole,
} from "../base/index.ts";
import { programOf } from "./places.ts";

/** A port that a process listens on, and the key that says so. */
export interface PortUse {
  readonly key: string;
  readonly port: number;
}

/** A process of ours. */
export interface ServerPlan {
  readonly kind: "mqnamesrv" | "mqbroker" | "cometmq";
  /** Of the file, without its ending. */
  readonly name: string;
  readonly file: string;
  readonly ports: readonly PortUse[];
  /** Keys that name other processes, with what the file says. */
  readonly addresses: Readonly<Record<string, readonly Address[]>>;
  /** It copies a master from the start on, and is ended before the others. */
  readonly isSlave: boolean;
  /** The file says nothing about who may connect. */
  readonly isLoopbackOnly: boolean;
}

/** A member of etcd. */
export interface EtcdPlan {
  readonly kind: "etcd";
  readonly name: string;
  readonly ports: readonly [PortUse, PortUse];
}

/** A whole set, in the order in which it is started. */
export interface DeploymentSet {
  readonly name: string;
  readonly etcd: readonly EtcdPlan[];
  readonly servers: readonly ServerPlan[];
}

/** Reads the set in `folder`. Throws BAD_CONFIG naming the file, as the program itself would. */
export function readSet(name: string, folder: string): DeploymentSet {
  const servers: ServerPlan[] = [];
  const controllers = new Map<string, Address>();
  for (const file of readdirSync(folder).toSorted()) {
    const kind = programOf(file);
    if (kind === undefined) continue;
    const plan = readServer(kind, join(folder, file), file.replace(/\.conf$/, ""));
    servers.push(plan);
    for (const address of plan.addresses["controllerAddr"] ?? []) {
      controllers.set(`${address.host}:${address.port}`, address);
    }
  }
  const order = ["mqnamesrv", "cometmq", "mqbroker"];
  servers.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind));
  return { name, servers, etcd: [...controllers.values()].filter(isLocal).map(etcdPlan) };
}

/** Whether an address of a file means this machine. */
export function isLocal({ host }: Address): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function readServer(kind: ServerPlan["kind"], file: string, name: string): ServerPlan {
  const text = readFileSync(file, "utf8");
  if (kind === "mqnamesrv") {
    const { values } = load(namesrvRole, file, text);
    const ports = portsOf(values, ["listenPort", "metricsPromExporterPort"]);
    const isLoopbackOnly = values.bindAddress === "";
    return { kind, name, file, ports, addresses: {}, isSlave: false, isLoopbackOnly };
  }
  const keys = ["grpcServerPort", "haListenPort", "metricsPromExporterPort"] as const;
  const { values, namesrvPorts } =
    kind === "cometmq" ? standaloneValues(file, text) : brokerValues(file, text);
  return {
    kind,
    name,
    file,
    ports: [...portsOf(values, keys), ...namesrvPorts],
    addresses: {
      namesrvAddr: values.namesrvAddr,
      haMasterAddress: values.haMasterAddress,
      controllerAddr: values.enableControllerMode ? values.controllerAddr : [],
    },
    isSlave: values.brokerRole === "SLAVE",
    isLoopbackOnly: values.bindAddress === "",
  };
}

function brokerValues(file: string, text: string) {
  const namesrvPorts: PortUse[] = [];
  return { values: load(brokerRole, file, text).values, namesrvPorts };
}

function standaloneValues(file: string, text: string) {
  const { values } = load(standaloneRole, file, text);
  return { values, namesrvPorts: portsOf(values, ["namesrvPort"]) };
}

function load<C extends object>(role: ConfigRole<C>, file: string, text: string): Configuration<C> {
  return Configuration.load(role, { file: { name: file, text } });
}

function portsOf<K extends string>(
  values: Readonly<Record<K, number>>,
  keys: readonly K[],
): PortUse[] {
  return keys.map((key) => ({ key, port: values[key] }));
}

function etcdPlan({ port }: Address, index: number): EtcdPlan {
  return {
    kind: "etcd",
    name: `etcd-${index + 1}`,
    ports: [
      { key: "client port", port },
      // As etcd itself has it: 2379 and 2380.
      { key: "peer port", port: port + 1 },
    ],
  };
}
