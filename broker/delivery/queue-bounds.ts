// Which offsets a queue has, also one that has had no message yet.
import type { DeliveryMetadata, DeliveryStore } from "./ports.ts";

/** One queue of a topic. */
export interface QueuePlace {
  readonly topic: string;
  readonly queueId: number;
}

/** Messages `[minOffset, endOffset)` can be read. */
export interface QueueBounds {
  readonly minOffset: number;
  readonly endOffset: number;
}

/** Asks for the bounds of queues. */
export type BoundsOf = (place: QueuePlace) => QueueBounds;

/** The bounds of queues as `store` has them now. */
export function boundsIn(
  store: Pick<DeliveryStore, "queue">,
  metadata: Pick<DeliveryMetadata, "firstOffset">,
): BoundsOf {
  return ({ topic, queueId }) => {
    const queue = store.queue(topic, queueId);
    if (queue !== undefined) return queue;
    const offset = metadata.firstOffset(topic, queueId);
    return { minOffset: offset, endOffset: offset };
  };
}
