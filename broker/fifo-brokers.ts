// Records which brokers a topic of message groups is on: a message group lives on one of them, whoever is alive. A broker
// that appears is added once NameServers tell of it; taking one away is for operators.
import {
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  limits,
  toMqError,
} from "../base/index.ts";
import { type ClusterView, isWritable } from "./cluster/index.ts";
import {
  brokersOfTopic,
  fifoBrokersKey,
  type Metadata,
  type TopicConfig,
  takesMessageGroups,
} from "./metadata/index.ts";

/** What it stands on. */
export interface FifoBrokersOptions {
  readonly view: Pick<ClusterView, "isAlone" | "topic">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is served here now; undefined while nothing is. */
  local(): { readonly metadata: Metadata; readonly canSend: boolean } | undefined;
}

/** Looks at some topics at a time, from construction to `close`. */
export class FifoBrokers {
  readonly #options: FifoBrokersOptions;
  readonly #cancel: CancelTimer;
  #turn = 0;
  #isLooking = false;

  constructor(options: FifoBrokersOptions) {
    this.#options = options;
    this.#cancel = options.clock.every(limits.fifoBrokersPeriodMs, () => background(this.look()));
  }

  close(): void {
    this.#cancel();
  }

  /** Looks at the topics whose turn it is, and records what is new. */
  async look(): Promise<void> {
    const parts = this.#options.local();
    if (this.#options.view.isAlone || parts?.canSend !== true || this.#isLooking) return;
    this.#isLooking = true;
    try {
      const topics = [...parts.metadata.topics()].filter(takesMessageGroups);
      const count = Math.min(topics.length, limits.fifoBrokersTopicsMax);
      for (let left = count; left > 0; left--) {
        const topic = topics[this.#turn++ % topics.length];
        if (topic !== undefined) await this.#lookAt(topic, parts.metadata);
      }
    } finally {
      this.#isLooking = false;
    }
  }

  async #lookAt(topic: TopicConfig, metadata: Metadata): Promise<void> {
    const places = await this.#options.view.topic(topic.name);
    const known = brokersOfTopic(topic);
    const all = new Set(known);
    for (const place of places) if (isWritable(place)) all.add(place.brokerName);
    if (all.size === known.length || all.size < 2) return;
    const brokers = [...all].toSorted().join(";");
    const now = metadata.topic(topic.name);
    if (now === undefined || this.#options.local()?.metadata !== metadata) return;
    try {
      const attributes = { ...now.attributes, [fifoBrokersKey]: brokers };
      await metadata.updateTopic({ ...now, attributes });
      this.#options.logger.info("message groups of a topic live on these brokers from now on", {
        topic: topic.name,
        brokers,
      });
    } catch (error) {
      const { code, message } = toMqError(error);
      this.#options.logger.warn("the brokers of a topic cannot be recorded; tried again", {
        topic: topic.name,
        code,
        error: message,
      });
    }
  }
}
