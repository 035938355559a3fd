// What went in and out, by topic and group: plain counters that the hot paths raise and metrics read.

/** Messages and bytes of bodies. */
export interface TrafficCount {
  messages: number;
  bytes: number;
}

/** What one group got of one topic. */
export interface ConsumerCount extends TrafficCount {
  readonly group: string;
  readonly topic: string;
}

/** The counters of one broker since its start. */
export class Traffic {
  readonly #in = new Map<string, TrafficCount>();
  readonly #out = new Map<string, Map<string, ConsumerCount>>();
  readonly total: { readonly in: TrafficCount; readonly out: TrafficCount } = {
    in: { messages: 0, bytes: 0 },
    out: { messages: 0, bytes: 0 },
  };

  /** Messages that were sent again and not stored again. */
  repeats = 0;

  /** The counter of what is sent to `topic`; the same object until the topic is forgotten. */
  sent(topic: string): TrafficCount {
    let count = this.#in.get(topic);
    if (count === undefined) {
      count = { messages: 0, bytes: 0 };
      this.#in.set(topic, count);
    }
    return count;
  }

  /** The counter of what `group` gets of `topic`; the same object until one of them is forgotten. */
  received(group: string, topic: string): ConsumerCount {
    let topics = this.#out.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#out.set(group, topics);
    }
    let count = topics.get(topic);
    if (count === undefined) {
      count = { group, topic, messages: 0, bytes: 0 };
      topics.set(topic, count);
    }
    return count;
  }

  /** Drops what was counted for a topic that is gone. */
  forgetTopic(topic: string): void {
    this.#in.delete(topic);
    for (const topics of this.#out.values()) topics.delete(topic);
  }

  /** Drops what was counted for a group that is gone. */
  forgetGroup(group: string): void {
    this.#out.delete(group);
  }

  /** All that was sent, by topic. */
  ins(): Iterable<readonly [string, TrafficCount]> {
    return this.#in;
  }

  /** All that was received. */
  *outs(): Iterable<ConsumerCount> {
    for (const topics of this.#out.values()) yield* topics.values();
  }
}
