// What commands share: the NameServers, the brokers behind them, and one way to call each.
import { brokerAdminService, cometmq, nameServerService } from "@cometmq/proto";
import type { Answered, Connections, Method } from "./call.ts";
import { CommandFailure, NoRouteFailure, UsageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";

/** What a broker does for its name; `acting` is a slave that serves for its lost master. */
export type Duty = "master" | "slave" | "acting";

/** A broker as the NameServers list it. */
export interface ListedBroker {
  readonly cluster: string;
  readonly name: string;
  readonly id: number;
  readonly duty: Duty;
  /** Reign that it takes part in. */
  readonly epoch: number;
  /** host:port for clients. */
  readonly address: string;
  readonly version: string;
  readonly lastHeartbeatMs: number;
  readonly topicCount: number;
  readonly softwareVersion: string;
}

/** Where one broker's part of a topic is. */
export interface RouteEntry {
  readonly cluster: string;
  readonly broker: string;
  readonly id: number;
  readonly duty: Duty;
  readonly address: string;
  readonly readQueues: number;
  readonly writeQueues: number;
  readonly perm: number;
  readonly messageType: string;
}

type AddressFields = { host?: string | null; port?: number | null } | null | undefined;

/** One run of mqadmin. */
export class Session {
  readonly #nameServers: readonly string[];
  readonly #connections: Connections;

  constructor(nameServers: readonly string[], connections: Connections) {
    this.#nameServers = nameServers;
    this.#connections = connections;
  }

  /** Calls a method of one broker. */
  call<Request, Response extends Answered>(
    address: string,
    method: Method<Request, Response>,
    request: Request,
    allowed: readonly number[] = [],
  ): Promise<Response> {
    return this.#connections.call(address, method, request, allowed);
  }

  /** All registered brokers: the union of what the live NameServers know, by cluster, name and id. */
  async brokers(cluster?: string): Promise<readonly ListedBroker[]> {
    const { ClusterList } = nameServerService.methods;
    const answers = await this.#askAll((address) => this.call(address, ClusterList, {}));
    const found = new Map<string, ListedBroker>();
    for (const broker of answers.flatMap((answer) => answer.brokers ?? [])) {
      const listed = {
        cluster: broker.cluster ?? "",
        name: broker.brokerName ?? "",
        id: broker.brokerId ?? 0,
        duty: dutyOf(broker),
        epoch: broker.version?.epoch ?? 0,
        address: reachable(broker.address, broker.observedAddress),
        version: `${broker.version?.epoch ?? 0}.${broker.version?.counter ?? 0}`,
        lastHeartbeatMs: broker.lastHeartbeatMs ?? 0,
        topicCount: broker.topicCount ?? 0,
        softwareVersion: broker.softwareVersion ?? "",
      };
      const key = `${listed.cluster}/${listed.name}/${listed.id}`;
      if (cluster !== undefined && listed.cluster !== cluster) continue;
      // A NameServer that has missed an election must not have the last word.
      if ((found.get(key)?.epoch ?? 0) <= listed.epoch) found.set(key, listed);
    }
    return [...found.entries()]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([, broker]) => broker);
  }

  /** The masters that `-b` or `-c` name; all masters when neither is given. Throws CommandFailure when there is none. */
  async masters(
    flags: Flags,
  ): Promise<readonly { readonly name: string; readonly address: string }[]> {
    const address = flags.text("brokerAddr");
    const cluster = flags.text("clusterName");
    if (address !== undefined && cluster !== undefined) {
      throw new UsageFailure("give --brokerAddr or --clusterName, not both");
    }
    if (address !== undefined)
      return [{ name: address, address: checkAddress(address, "--brokerAddr") }];
    const masters = ruling(await this.brokers(cluster));
    if (masters.length > 0) return masters;
    const where = this.#nameServers.join(";");
    if (cluster === undefined) throw new CommandFailure(`no broker is registered at ${where}`);
    const clusters = [...new Set((await this.brokers()).map((broker) => broker.cluster))].join(
      ", ",
    );
    throw new CommandFailure(
      `no master in cluster ${cluster} at ${where}. Clusters: ${clusters || "none"}`,
    );
  }

  /** Names of a cluster under which brokers are registered, but no master. */
  async withoutMaster(cluster: string): Promise<readonly string[]> {
    const brokers = await this.brokers(cluster);
    const ruled = new Set(ruling(brokers).map(({ name }) => name));
    return [...new Set(brokers.map(({ name }) => name))].filter((name) => !ruled.has(name));
  }

  /** Like `masters`, but a change must say for whom it is: without -b and -c it is refused. */
  async namedMasters(
    flags: Flags,
  ): Promise<readonly { readonly name: string; readonly address: string }[]> {
    if (flags.text("brokerAddr") === undefined && flags.text("clusterName") === undefined) {
      throw new UsageFailure(
        "say for whom: -b HOST:PORT for one broker, or -c CLUSTER for all its masters",
      );
    }
    return await this.masters(flags);
  }

  /** Where `topic` is. Throws NoRouteFailure when no NameServer knows it. */
  async route(topic: string): Promise<readonly RouteEntry[]> {
    const { QueryTopicRoute } = nameServerService.methods;
    const topicNotFound = 40402;
    const answers = await this.#askAll((address) =>
      this.call(address, QueryTopicRoute, { topic }, [topicNotFound]),
    );
    const found = new Map<string, RouteEntry>();
    for (const entry of answers.flatMap((answer) => answer.entries ?? [])) {
      found.set(`${entry.brokerName}/${entry.brokerId}`, {
        cluster: entry.cluster ?? "",
        broker: entry.brokerName ?? "",
        id: entry.brokerId ?? 0,
        duty: dutyOf(entry),
        address: reachable(entry.address, entry.observedAddress),
        readQueues: entry.readQueues ?? 0,
        writeQueues: entry.writeQueues ?? 0,
        perm: entry.perm ?? 0,
        messageType: entry.messageType ?? "",
      });
    }
    if (found.size > 0)
      return [...found.values()].toSorted((a, b) => (a.broker < b.broker ? -1 : 1));
    throw new NoRouteFailure(
      `no route for topic ${topic} at ${this.#nameServers.join(";")}. List topics with: mqadmin topicList`,
    );
  }

  /** The masters that hold `topic`, and those that act for one that is gone. */
  async owners(topic: string): Promise<readonly RouteEntry[]> {
    return (await this.route(topic)).filter((entry) => entry.duty !== "slave");
  }

  /** The master of a name. Throws CommandFailure when there is none now, naming those that are there. */
  async masterOf(brokerName: string): Promise<ListedBroker> {
    const brokers = await this.brokers();
    const master = ruling(brokers).find(({ name }) => name === brokerName);
    if (master !== undefined) return master;
    const names = [...new Set(brokers.map(({ name }) => name))];
    throw new CommandFailure(
      names.includes(brokerName)
        ? `${brokerName} has no master now; see mqadmin clusterList`
        : `no broker of the name ${brokerName} is registered at ${this.#nameServers.join(";")}. Registered: ${names.join(", ") || "none"}`,
    );
  }

  /** Asks every NameServer; answers of those that live. Throws the first failure when none does. */
  async #askAll<T>(ask: (address: string) => Promise<T>): Promise<readonly T[]> {
    const settled = await Promise.allSettled(this.#nameServers.map((address) => ask(address)));
    const answers = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (answers.length > 0) return answers;
    for (const one of settled) if (one.status === "rejected") throw one.reason;
    throw new UsageFailure("no NameServer address: give -n HOST:PORT");
  }

  /** Methods of the administration service of brokers. */
  readonly admin: typeof brokerAdminService.methods = brokerAdminService.methods;
}

/** The master of each name: where NameServers differ, the one of the newest reign. */
function ruling(brokers: readonly ListedBroker[]): readonly ListedBroker[] {
  const masters = new Map<string, ListedBroker>();
  for (const broker of brokers) {
    if (broker.duty !== "master") continue;
    const key = `${broker.cluster}/${broker.name}`;
    if ((masters.get(key)?.epoch ?? -1) < broker.epoch) masters.set(key, broker);
  }
  return [...masters.values()];
}

function dutyOf(broker: {
  readonly duty?: number | null;
  readonly brokerId?: number | null;
}): Duty {
  const { BrokerDuty } = cometmq.v1;
  switch (broker.duty) {
    case BrokerDuty.MASTER:
      return "master";
    case BrokerDuty.SLAVE:
      return "slave";
    case BrokerDuty.ACTING_MASTER:
      return "acting";
    default:
      // A broker that gives no duty is what its id says.
      return (broker.brokerId ?? 0) === 0 ? "master" : "slave";
  }
}

/** Checks `host:port`; gives it back. Throws UsageFailure. */
export function checkAddress(text: string, flag: string): string {
  const port = Number(/^(?:[^\s:]+|\[[^\]]+\]):(\d{1,5})$/.exec(text)?.[1] ?? 0);
  if (port > 0 && port < 65_536) return text;
  throw new UsageFailure(`${flag} must be HOST:PORT, not "${text}"`);
}

function reachable(address: AddressFields, observed: string | null | undefined): string {
  const host = address?.host ?? "";
  const port = address?.port ?? 0;
  if (host !== "") return `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const seen = observed ?? "";
  return `${seen.slice(0, seen.lastIndexOf(":"))}:${port}`;
}
