// Questions to the route tables. Pure; every answer has a stable order, because clients rebuild their
// load balancers when two answers differ.
import type { RegisteredTopic } from "../route/index.ts";
import type { BrokerEntry, RouteState } from "./route-table.ts";

/** What one broker holds of a topic. */
export interface TopicPlace {
  readonly broker: BrokerEntry;
  readonly topic: RegisteredTopic;
}

/** A topic and where it is. */
export interface KnownTopic {
  readonly name: string;
  readonly clusters: readonly string[];
  readonly messageType: string;
}

/** All live brokers (of one cluster), by cluster, name and id. */
export function listBrokers(state: RouteState, cluster?: string): BrokerEntry[] {
  return [...state.brokers.values()]
    .filter((broker) => cluster === undefined || broker.clusterName === cluster)
    .sort(
      (a, b) =>
        compareText(a.clusterName, b.clusterName) ||
        compareText(a.brokerName, b.brokerName) ||
        a.brokerId - b.brokerId,
    );
}

/** Where a topic is, by broker name and id; empty when no live broker holds it. */
export function findTopic(state: RouteState, name: string): TopicPlace[] {
  const places: TopicPlace[] = [];
  for (const broker of state.brokers.values()) {
    const topic = broker.topics.get(name);
    if (topic !== undefined) places.push({ broker, topic });
  }
  return places.sort(
    (a, b) =>
      compareText(a.broker.brokerName, b.broker.brokerName) ||
      a.broker.brokerId - b.broker.brokerId,
  );
}

/** All topics (of one cluster) by name. The type is that of the first broker in order. */
export function listTopics(state: RouteState, cluster?: string): KnownTopic[] {
  const found = new Map<string, { clusters: Set<string>; messageType: string }>();
  for (const broker of listBrokers(state, cluster)) {
    for (const topic of broker.topics.values()) {
      const known = found.get(topic.name);
      if (known !== undefined) known.clusters.add(broker.clusterName);
      else {
        const clusters = new Set([broker.clusterName]);
        found.set(topic.name, { clusters, messageType: topic.messageType });
      }
    }
  }
  return [...found]
    .map(([name, { clusters, messageType }]) => ({ name, clusters: [...clusters], messageType }))
    .sort((a, b) => compareText(a.name, b.name));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
