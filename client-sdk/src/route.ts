// Routes as values: which brokers hold a topic, and which of them serve sends and receives. Pure.
import type { rocketmq } from "@cometmq/proto";
import { type Endpoints, endpointsOf } from "./endpoints.ts";

/** A broker that holds queues of a topic. */
export interface RouteBroker {
  readonly name: string;
  /** 0 is a master. */
  readonly id: number;
  readonly endpoints: Endpoints;
  readonly readableQueueIds: readonly number[];
  readonly writableQueueIds: readonly number[];
  /** Values of `MessageType` that its queues take; empty when the server did not say. */
  readonly acceptMessageTypes: readonly number[];
}

/** A queue that message groups are spread over. */
export interface GroupQueue {
  readonly brokerName: string;
  readonly queueId: number;
}

/** Where a topic lives. Equal knowledge gives equal routes. */
export interface Route {
  readonly topic: string;
  /**
   * By name and id. Servers may disagree about the address of one name and id, as they do while its master
   * changes: then each address has an entry, the one to be believed first.
   */
  readonly brokers: readonly RouteBroker[];
  /** The writable queues of the listed names and, for a while, of those that are away, in a stable order. */
  readonly groupQueues: readonly GroupQueue[];
  /** Names that took messages a moment ago and are not listed, or not as masters: their master changes or is gone. */
  readonly awayNames: readonly string[];
}

/** Values of `apache.rocketmq.v2.Permission`. */
const permission = { read: 2, write: 3, readWrite: 4 } as const;

const noPort = 0;

/** The brokers an answer names. Queues without broker or address are left out. */
export function brokersOf(queues: readonly rocketmq.v2.IMessageQueue[]): readonly RouteBroker[] {
  const brokers = new Map<string, Mutable<RouteBroker>>();
  for (const queue of queues) {
    const addresses = (queue.broker?.endpoints?.addresses ?? [])
      .map(({ host, port }) => ({ host: host ?? "", port: port ?? noPort }))
      .filter(({ host, port }) => host !== "" && port !== noPort);
    const known = queue.broker ?? undefined;
    if (known === undefined || addresses.length === 0) continue;
    const endpoints = endpointsOf(addresses);
    const named = known.name ?? "";
    const name = named === "" ? endpoints.facade : named;
    const key = `${name}@${endpoints.facade}`;
    let broker = brokers.get(key);
    if (broker === undefined) {
      broker = {
        name,
        id: known.id ?? 0,
        endpoints,
        readableQueueIds: [],
        writableQueueIds: [],
        acceptMessageTypes: [...(queue.acceptMessageTypes ?? [])],
      };
      brokers.set(key, broker);
    }
    const allowed = queue.permission ?? 0;
    const id = queue.id ?? 0;
    if (allowed === permission.read || allowed === permission.readWrite) {
      broker.readableQueueIds.push(id);
    }
    if (allowed === permission.write || allowed === permission.readWrite) {
      broker.writableQueueIds.push(id);
    }
  }
  return [...brokers.values()];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** Brokers to send to: masters with a writable queue, or what is writable when no master is known. */
export function writableBrokers(brokers: readonly RouteBroker[]): readonly RouteBroker[] {
  const writable = brokers.filter((broker) => broker.writableQueueIds.length > 0);
  const masters = writable.filter((broker) => broker.id === 0);
  return masters.length > 0 ? masters : writable;
}

/** Brokers to receive from: of each name the lowest id that has a readable queue, all addresses it may have. */
export function readableBrokers(brokers: readonly RouteBroker[]): readonly RouteBroker[] {
  const readable = brokers.filter((broker) => broker.readableQueueIds.length > 0);
  return readable.filter(
    (broker) => !readable.some((other) => other.name === broker.name && other.id < broker.id),
  );
}

/** The queue of a message group: sticks to broker name and queue while these stay. `hash` is any 64-bit hash of the group. */
export function queueOfGroup(queues: readonly GroupQueue[], hash: bigint): GroupQueue | undefined {
  if (queues.length === 0) return undefined;
  const count = BigInt(queues.length);
  const index = ((BigInt.asIntN(64, hash) % count) + count) % count;
  return queues[Number(index)];
}
