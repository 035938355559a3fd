// A broker in the same process: registered by a function call, gone when it closes, never silent.
import type { Logger } from "../base/index.ts";
import { dutyOf, type Registration } from "../route/index.ts";
import type { Registry, RegistrySession } from "./registry.ts";
import { findTopic, listBrokers, type TopicPlace } from "./route-queries.ts";
import type { BrokerEntry } from "./route-table.ts";

/** What every table of the broker's process has in common. */
export interface LocalBrokerFacts {
  readonly instanceId: string;
  readonly startedAtMs: number;
  readonly softwareVersion: string;
}

/** The registration of a broker in this process. */
export class LocalBroker {
  readonly #registry: Registry;
  readonly #session: RegistrySession;
  readonly #facts: LocalBrokerFacts;
  readonly #logger: Logger;
  #closed = false;

  constructor(options: {
    readonly registry: Registry;
    readonly facts: LocalBrokerFacts;
    readonly logger: Logger;
  }) {
    this.#registry = options.registry;
    this.#facts = options.facts;
    this.#logger = options.logger;
    this.#session = options.registry.openSession(() => {
      this.#closed = true;
    });
  }

  /** Makes the whole table known. Gives why it is refused, `undefined` when it is accepted. */
  publish(table: Registration): string | undefined {
    if (this.#closed) return "the registration has ended";
    const { startedAtMs, instanceId, softwareVersion } = this.#facts;
    const answer = this.#registry.apply({
      kind: "register",
      session: this.#session.id,
      expires: false,
      broker: {
        clusterName: table.clusterName,
        brokerName: table.brokerName,
        brokerId: table.brokerId,
        host: table.host,
        observedHost: "127.0.0.1",
        port: table.port,
        duty: dutyOf(table),
        haPort: table.haPort,
        instanceId,
        softwareVersion,
        version: { ...table.version, timestampMs: startedAtMs },
        topics: new Map(table.topics.map((topic) => [topic.name, topic])),
      },
    });
    if (answer.kind !== "refused") return undefined;
    this.#logger.warn("broker refused", { broker: table.brokerName, reason: answer.reason });
    return answer.reason;
  }

  /** The live brokers of a name. */
  brokers(brokerName: string): readonly BrokerEntry[] {
    return listBrokers(this.#registry.state, { brokerName });
  }

  /** Where a topic is, one place a broker name. */
  places(topic: string): readonly TopicPlace[] {
    return findTopic(this.#registry.state, topic);
  }

  /** Takes the broker out. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#registry.closeSession(this.#session, "closed");
  }
}
