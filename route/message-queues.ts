// The MessageQueue entries of a route answer, the same from a broker and from a NameServer. What the official
// clients trip over is settled here: queue 0 can be read and written, one address a broker, every field is set.
import { isIP } from "node:net";
import type { RegisteredTopic } from "./registration.ts";

/** Values of `apache.rocketmq.v2.Permission`. */
const permission = { none: 1, read: 2, write: 3, readWrite: 4 } as const;

/** Values of `apache.rocketmq.v2.AddressScheme`. */
const scheme = { ipv4: 1, ipv6: 2, domainName: 3 } as const;

/** Values of `apache.rocketmq.v2.MessageType` that a topic of each type accepts. */
const acceptedTypes: Readonly<Record<string, readonly number[]>> = {
  NORMAL: [1],
  FIFO: [2],
  DELAY: [3],
  TRANSACTION: [4],
  LITE: [5],
  PRIORITY: [6],
  MIXED: [1, 2, 3, 4],
};

/** Shape of `apache.rocketmq.v2.Endpoints` with one address. */
export interface RouteEndpoints {
  scheme: number;
  addresses: { host: string; port: number }[];
}

/** Shape of `apache.rocketmq.v2.MessageQueue`. */
export interface RouteQueue {
  topic: { resourceNamespace: string; name: string };
  id: number;
  permission: number;
  broker: { name: string; id: number; endpoints: RouteEndpoints };
  acceptMessageTypes: number[];
}

/** A broker as a route names it. `host` is a name or an address, IPv6 without brackets. */
export interface RouteBroker {
  readonly name: string;
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

/** Endpoints with one address and the scheme that fits it. */
export function endpointsOf(host: string, port: number): RouteEndpoints {
  const bare = host.replace(/^\[(.*)\]$/, "$1").replace(/^::ffff:(?=\d+\.)/i, "");
  const version = isIP(bare);
  const kind = version === 4 ? scheme.ipv4 : version === 6 ? scheme.ipv6 : scheme.domainName;
  return { scheme: kind, addresses: [{ host: bare, port }] };
}

/** The host of an `:authority`, brackets taken off; `undefined` when it names none (Java sends a fixed word). */
export function dialledHost(authority: string): string | undefined {
  const match = /^(?:\[([^\]]{1,253})\]|([^:[\]]{1,253})):\d{1,5}$/.exec(authority);
  return match?.[1] ?? match?.[2];
}

/**
 * The queues of one topic on one broker in stable order: first those that can be read and written, then those
 * that can only be read or only be written (while a topic's queues are being made more or fewer), and where
 * neither is allowed all of them with permission NONE.
 */
export function messageQueues(topic: RegisteredTopic, broker: RouteBroker): RouteQueue[] {
  const readable = (topic.perm & 4) !== 0 ? topic.readQueueNums : 0;
  const writable = (topic.perm & 2) !== 0 ? topic.writeQueueNums : 0;
  const both = Math.min(readable, writable);
  const closed =
    readable + writable > 0 ? 0 : Math.max(1, topic.readQueueNums, topic.writeQueueNums);
  const count = Math.max(readable, writable, closed);
  const rest = closed > 0 ? permission.none : readable > both ? permission.read : permission.write;
  const endpoints = endpointsOf(broker.host, broker.port);
  const types = acceptedTypes[topic.messageType] ?? [1];
  return Array.from({ length: count }, (_unused, id) => ({
    topic: { resourceNamespace: "", name: topic.name },
    id,
    permission: id < both ? permission.readWrite : rest,
    broker: { name: broker.name, id: broker.id, endpoints },
    acceptMessageTypes: [...types],
  }));
}
