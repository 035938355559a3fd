// The stored offsets of groups, as clients that pull and operators see them: the cursors that delivery moves, read and
// set from outside. What a set offset means for messages that are handed out and not acknowledged: docs/pull.md.
import { MqError } from "../../base/index.ts";
import { resetCursor } from "./cursor-reset.ts";
import type { DeliveryStore } from "./ports.ts";
import type { ProgressWriter } from "./progress-writer.ts";
import type { BoundsOf, QueuePlace } from "./queue-bounds.ts";
import type { Subscription } from "./subscription.ts";
import type { SubscriptionTable } from "./subscription-table.ts";

/** What offsets stand on. */
export interface OffsetsParts {
  readonly store: DeliveryStore;
  readonly table: SubscriptionTable;
  readonly writer: ProgressWriter;
  readonly boundsOf: BoundsOf;
  wake(subscription: Subscription): void;
}

/** One group on one queue. */
export interface GroupPlace extends QueuePlace {
  readonly group: string;
}

/** Where a group shall be on a queue. */
export interface OffsetReset {
  readonly place: GroupPlace;
  readonly offset: number;
}

/** What a reset has done. */
export interface ResetOutcome {
  /** The offset before; undefined when the group had none. */
  readonly before: number | undefined;
  /** Messages that were handed out and not acknowledged, and are not pending any more. */
  readonly dropped: number;
}

/** Offsets of groups on queues that exist; the caller has checked the names. */
export class Offsets {
  readonly #parts: OffsetsParts;

  constructor(parts: OffsetsParts) {
    this.#parts = parts;
  }

  /** The next offset that a group looks at on a queue; undefined when it has none there. */
  get({ group, topic, queueId }: GroupPlace): number | undefined {
    const lane = this.#parts.table.find(group, topic)?.lanes[queueId];
    return lane === undefined || lane.starting ? undefined : lane.cursor;
  }

  /**
   * Sets the offset of a group as a client says, also back. What is pending before it stays pending; the rest comes again
   * by the cursor. Resolves when that is in the log. Throws ILLEGAL_OFFSET outside `[0, end]`, and what the store says:
   * it counts here all the same then, and is written later.
   */
  async commit(place: GroupPlace, offset: number): Promise<void> {
    this.#check(place, offset, 0);
    const { table, writer } = this.#parts;
    const { subscription, lane, isNew } = table.laneAt(place);
    if (!isNew && offset >= lane.cursor) lane.moveTo(offset);
    else resetCursor({ subscription, lane }, { offset, keepBefore: offset });
    this.#parts.wake(subscription);
    await writer.written();
  }

  /**
   * Sets offsets as an operator says, also back, all or none: nothing is pending there then, all receipt handles of before
   * are invalid, and held polls are served from there. Resolves when that is in the log, with an outcome each. Throws
   * ILLEGAL_OFFSET when a queue does not have its offset, and what the store says, as `commit` does.
   */
  async reset(changes: readonly OffsetReset[]): Promise<readonly ResetOutcome[]> {
    const { table, writer, boundsOf } = this.#parts;
    for (const { place, offset } of changes) this.#check(place, offset, boundsOf(place).minOffset);
    const outcomes = changes.map(({ place, offset }) => {
      const before = this.get(place);
      const { subscription, lane } = table.laneAt(place);
      const dropped = resetCursor({ subscription, lane }, { offset, keepBefore: 0 });
      this.#parts.wake(subscription);
      return { before, dropped };
    });
    await writer.written();
    return outcomes;
  }

  /** The offset of the first message that was stored at `ms` or later; the end when there is none. */
  async atTime(place: QueuePlace, ms: number): Promise<number> {
    const queue = this.#parts.store.queue(place.topic, place.queueId);
    return queue === undefined
      ? this.#parts.boundsOf(place).endOffset
      : await queue.offsetByTime(ms);
  }

  /** Which offsets a queue has. */
  bounds(place: QueuePlace): ReturnType<BoundsOf> {
    return this.#parts.boundsOf(place);
  }

  #check(place: QueuePlace, offset: number, min: number): void {
    const { endOffset } = this.#parts.boundsOf(place);
    if (Number.isSafeInteger(offset) && offset >= min && offset <= endOffset) return;
    throw new MqError(
      "ILLEGAL_OFFSET",
      `offset ${offset} is not allowed for queue ${place.queueId} of ${place.topic}: ${min} to ${endOffset} are`,
    );
  }
}
