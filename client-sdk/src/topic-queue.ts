// Queues and places in them, as consumers that read by offset name them. Pure.
import type { Route, RouteBroker } from "./route.ts";
import { readableBrokers } from "./route.ts";

/** One queue of a topic. */
export interface TopicQueue {
  readonly topic: string;
  readonly brokerName: string;
  readonly queueId: number;
}

/** A place in a queue: the offset of the next message to read. */
export interface QueuePosition {
  readonly queue: TopicQueue;
  readonly offset: number;
}

/** Where to go in a queue: to an offset, to its ends, or to the first message stored at a moment or later. */
export type SeekTarget = number | "beginning" | "end" | Date;

/** The same text for the same queue, for maps. */
export function queueKey({ topic, brokerName, queueId }: TopicQueue): string {
  return `${topic} ${brokerName} ${queueId}`;
}

/** The queues of a route that can be read, by broker name and queue id. */
export function readableQueues(route: Route): readonly TopicQueue[] {
  const { topic } = route;
  const queues = new Map<string, TopicQueue>();
  for (const { name, readableQueueIds } of readableBrokers(route.brokers)) {
    for (const queueId of readableQueueIds) {
      const queue = { topic, brokerName: name, queueId };
      queues.set(queueKey(queue), queue);
    }
  }
  return [...queues.values()].sort((a, b) =>
    a.brokerName === b.brokerName ? a.queueId - b.queueId : a.brokerName < b.brokerName ? -1 : 1,
  );
}

/** Queues of one topic as a short text: `broker:0-3,7;other:1`, broker names percent-encoded. */
export function queuesText(queues: readonly TopicQueue[]): string {
  const byBroker = new Map<string, number[]>();
  for (const { brokerName, queueId } of queues) {
    const ids = byBroker.get(brokerName);
    if (ids === undefined) byBroker.set(brokerName, [queueId]);
    else ids.push(queueId);
  }
  return [...byBroker]
    .map(([name, ids]) => `${encodeURIComponent(name)}:${rangesText(ids)}`)
    .join(";");
}

function rangesText(ids: readonly number[]): string {
  const ranges: { from: number; to: number }[] = [];
  for (const id of [...ids].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.to === id - 1) last.to = id;
    else ranges.push({ from: id, to: id });
  }
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/** Takes from a route the addresses of the broker that holds `queue`. */
export function holdersOf(queue: TopicQueue): (route: Route) => readonly RouteBroker[] {
  return (route) => readableBrokers(route.brokers).filter(({ name }) => name === queue.brokerName);
}
