// Routes as values: which brokers hold a topic, from the answers of several servers. Pure.
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

/** Where a topic lives. Brokers are sorted, so that equal knowledge gives equal routes. */
export interface Route {
  readonly topic: string;
  readonly brokers: readonly RouteBroker[];
}

/** Values of `apache.rocketmq.v2.Permission`. */
const permission = { read: 2, write: 3, readWrite: 4 } as const;

const noPort = 0;

/** The brokers an answer names. Queues without broker or address are left out. */
export function brokersOf(
  queues: readonly rocketmq.v2.IMessageQueue[],
): ReadonlyMap<string, RouteBroker> {
  const brokers = new Map<string, Mutable<RouteBroker>>();
  for (const queue of queues) {
    const addresses = (queue.broker?.endpoints?.addresses ?? [])
      .map(({ host, port }) => ({ host: host ?? "", port: port ?? noPort }))
      .filter(({ host, port }) => host !== "" && port !== noPort);
    const known = queue.broker ?? undefined;
    if (known === undefined || addresses.length === 0) continue;
    const endpoints = endpointsOf(addresses);
    const name = known.name ?? "";
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
  return brokers;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** One route from the answers of several servers: the union of their brokers. */
export function unionOf(topic: string, answers: Iterable<ReadonlyMap<string, RouteBroker>>): Route {
  const union = new Map<string, RouteBroker>();
  for (const answer of answers) {
    for (const [key, broker] of answer) {
      const known = union.get(key);
      const queueCount = broker.readableQueueIds.length + broker.writableQueueIds.length;
      if (known === undefined || queueCount > queueCountOf(known)) union.set(key, broker);
    }
  }
  const keys = [...union.keys()].sort();
  return { topic, brokers: keys.flatMap((key) => union.get(key) ?? []) };
}

function queueCountOf(broker: RouteBroker): number {
  return broker.readableQueueIds.length + broker.writableQueueIds.length;
}

/** Brokers to send to: masters with a writable queue, or what is writable when no master is known. */
export function writableBrokers(route: Route): readonly RouteBroker[] {
  const writable = route.brokers.filter((broker) => broker.writableQueueIds.length > 0);
  const masters = writable.filter((broker) => broker.id === 0);
  return masters.length > 0 ? masters : writable;
}

/** Brokers to receive from: of each name the one with the lowest id that has a readable queue. */
export function readableBrokers(route: Route): readonly RouteBroker[] {
  const readable = route.brokers.filter((broker) => broker.readableQueueIds.length > 0);
  return readable.filter(
    (broker) => !readable.some((other) => other.name === broker.name && other.id < broker.id),
  );
}

/** The queue of a message group: sticks to broker and queue while the route stays. `hash` is any 64-bit hash of the group. */
export function queueOfGroup(
  brokers: readonly RouteBroker[],
  hash: bigint,
): { readonly broker: RouteBroker; readonly queueId: number } | undefined {
  const queues = brokers.flatMap((broker) =>
    broker.writableQueueIds.map((queueId) => ({ broker, queueId })),
  );
  if (queues.length === 0) return undefined;
  const count = BigInt(queues.length);
  const index = ((BigInt.asIntN(64, hash) % count) + count) % count;
  return queues[Number(index)];
}
