// A registrar that says what a test tells it, and notes what is published.
import type { Registration } from "../../route/index.ts";
import type {
  Asked,
  BrokerSeen,
  FirstAnswer,
  NameServerAnswer,
  NameServerStatus,
  Registrar,
  ReplicaSeen,
  TopicHolder,
} from "../registrar.ts";
import { mastersOf } from "../replicas-seen.ts";

/** What one NameServer knows; `undefined`: it does not answer. */
export interface ToldServer {
  readonly brokers: readonly TopicHolder[];
  readonly isSettled: boolean;
}

/** Change its fields to change what it says. */
export class ToldRegistrar implements Registrar {
  readonly published: Registration[] = [];
  closed = 0;
  /** How often NameServers were asked for a topic or a broker. */
  askedCount = 0;
  states: readonly NameServerStatus[] = [
    { address: "ns:9876", state: "connecting", sinceMs: 0, reason: "refused" },
  ];
  seen: readonly ReplicaSeen[] = [];
  /** One entry a NameServer. */
  servers: readonly (ToldServer | undefined)[] = [{ brokers: [], isSettled: true }];
  readonly #listeners = new Set<() => void>();

  publish(registration: Registration): void {
    this.published.push(registration);
  }
  status(): readonly NameServerStatus[] {
    return this.states;
  }
  replicas(): readonly ReplicaSeen[] {
    return this.seen;
  }
  mastersSeen(): readonly ReplicaSeen[] {
    return mastersOf(this.seen);
  }
  settledCount(): number {
    return this.states.filter(({ state }) => state === "registered").length;
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  /** Tells the listeners. */
  changed(): void {
    for (const listener of this.#listeners) listener();
  }
  async firstAnswer(): Promise<FirstAnswer> {
    const refused = this.states.find(({ state }) => state === "refused");
    if (refused === undefined) return { kind: "silent" };
    return { kind: "refused", address: refused.address, reason: refused.reason };
  }
  askTopic(topic: string): readonly Asked<TopicHolder>[] {
    this.askedCount += 1;
    return this.servers.map((server, index) =>
      said(server, index, (broker) => broker.topic.name === topic),
    );
  }
  askBrokers(brokerName: string): readonly Asked<BrokerSeen>[] {
    this.askedCount += 1;
    return this.servers.map((server, index) =>
      said(server, index, (broker) => broker.brokerName === brokerName),
    );
  }
  async close(): Promise<void> {
    this.closed += 1;
  }
}

async function said(
  server: ToldServer | undefined,
  index: number,
  fits: (broker: TopicHolder) => boolean,
): Promise<NameServerAnswer<TopicHolder> | undefined> {
  if (server === undefined) return undefined;
  const { brokers, isSettled } = server;
  return { address: `ns-${index}`, brokers: brokers.filter(fits), isSettled };
}
