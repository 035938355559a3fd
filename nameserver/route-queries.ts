// Questions to the route tables. Pure; every answer has a stable order, because clients rebuild their
// load balancers when two answers differ.
import { activeBrokers, type Candidate, type RegisteredTopic } from "../route/index.ts";
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

/** All live brokers (of one cluster, of one name), by cluster, name and id. */
export function listBrokers(
  state: RouteState,
  { cluster, brokerName }: { readonly cluster?: string; readonly brokerName?: string } = {},
): BrokerEntry[] {
  return [...state.brokers.values()]
    .filter((broker) => cluster === undefined || broker.clusterName === cluster)
    .filter((broker) => brokerName === undefined || broker.brokerName === brokerName)
    .sort(
      (a, b) =>
        compareText(a.clusterName, b.clusterName) ||
        compareText(a.brokerName, b.brokerName) ||
        a.brokerId - b.brokerId,
    );
}

/**
 * Where a topic is, one place a broker name and by name: the master of the newest reign that holds it, else who acts
 * for it. Empty when no live broker holds it.
 */
export function findTopic(state: RouteState, name: string): TopicPlace[] {
  const holders: (BrokerEntry & Candidate & { readonly held: RegisteredTopic })[] = [];
  for (const broker of state.brokers.values()) {
    const held = broker.topics.get(name);
    if (held !== undefined) holders.push({ ...broker, epoch: broker.version.epoch, held });
  }
  return activeBrokers(holders).map((broker) => ({ broker, topic: broker.held }));
}

/** All topics (of one cluster) by name. The type is that of the first broker in order. */
export function listTopics(state: RouteState, cluster?: string): KnownTopic[] {
  const found = new Map<string, { clusters: Set<string>; messageType: string }>();
  for (const broker of listBrokers(state, cluster === undefined ? {} : { cluster })) {
    if (broker.duty === "slave") continue;
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
