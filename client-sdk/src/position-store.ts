// Where a consumer that reads by offset keeps how far it is.
import type { OffsetCallOptions, OffsetCalls } from "./offset-calls.ts";
import type { QueuePosition, TopicQueue } from "./topic-queue.ts";

/** Keeps positions. */
export interface PositionStore {
  /** The position that was stored last; undefined when none was. */
  load(queue: TopicQueue, options: OffsetCallOptions): Promise<number | undefined>;
  /** Stores positions, also back. Rejects when one is not stored; the others may be. */
  save(positions: readonly QueuePosition[], options: OffsetCallOptions): Promise<void>;
}

/** Positions as offsets of a group on the brokers that hold the queues. */
export class BrokerPositions implements PositionStore {
  readonly #calls: OffsetCalls;

  constructor(calls: OffsetCalls) {
    this.#calls = calls;
  }

  load(queue: TopicQueue, options: OffsetCallOptions): Promise<number | undefined> {
    return this.#calls.get(queue, options);
  }

  async save(positions: readonly QueuePosition[], options: OffsetCallOptions): Promise<void> {
    const settled = await Promise.allSettled(
      positions.map(({ queue, offset }) => this.#calls.update(queue, offset, options)),
    );
    for (const one of settled) if (one.status === "rejected") throw one.reason;
  }
}
