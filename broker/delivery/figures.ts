// What operators see of delivery: where groups stand, and what is held and pending now.
import type { Lane } from "./lane.ts";
import type { LiteState } from "./lite/lite.ts";
import type { Subscription } from "./subscription.ts";

/** One group on one queue. Offsets are queue offsets. */
export interface LaneProgress {
  readonly topic: string;
  readonly queueId: number;
  /** Oldest offset that still exists. */
  readonly minOffset: number;
  /** One past the newest. */
  readonly endOffset: number;
  /** The next offset to hand out for the first time. */
  readonly cursor: number;
  /** Handed out and not acknowledged. */
  readonly pendingCount: number;
  /** Oldest offset that is pending or was passed over; `cursor` when there is none. All below is done. */
  readonly doneOffset: number;
  /** When the pending message that waits longest was last handed out, milliseconds since 1970; since the last start at most. */
  readonly oldestDeliveredAtMs: number | undefined;
  /** Messages not handed out yet. */
  readonly lag: number;
}

/** Sums over all groups. */
export interface DeliveryFigures {
  readonly heldPolls: number;
  readonly pending: number;
  /** Pending messages that are kept invisible for a living client. */
  readonly renewed: number;
  /** How long the oldest of those has been out, milliseconds; 0 without any. */
  readonly oldestRenewedMs: number;
  /** Queues whose cursor waits at the bound of pending messages. */
  readonly fullLanes: number;
  /** Bytes read from files ahead of consumers. */
  readonly readAheadBytes: number;
  readonly lite: LiteState;
}

/** Where a group stands, by topic and queue. */
export function progressOf(subscriptions: Iterable<Subscription>): LaneProgress[] {
  const all: LaneProgress[] = [];
  for (const subscription of subscriptions) {
    for (const lane of subscription.lanes)
      if (lane !== undefined) all.push(laneProgress(subscription, lane));
  }
  return all;
}

function laneProgress({ orders, lite }: Subscription, lane: Lane): LaneProgress {
  const order = orders[lane.queueId];
  let doneOffset = order?.passedFrom ?? lane.cursor;
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const entry of lane.pending.values()) {
    doneOffset = Math.min(doneOffset, entry.offset);
    oldestMs = Math.min(oldestMs, entry.deliveredAtMs);
  }
  const endOffset = lane.queue?.endOffset ?? lane.cursor;
  return {
    topic: lane.topic,
    queueId: lane.queueId,
    minOffset: lane.queue?.minOffset ?? lane.cursor,
    endOffset,
    cursor: lane.cursor,
    pendingCount: lane.pending.size,
    doneOffset,
    oldestDeliveredAtMs: lane.pending.size === 0 ? undefined : oldestMs,
    lag: lite?.lag(lane) ?? Math.max(0, endOffset - lane.cursor) + (order?.passedCount ?? 0),
  };
}

/** Sums over `subscriptions`. */
export function figuresOf(
  subscriptions: Iterable<Subscription>,
  now: Pick<DeliveryFigures, "heldPolls" | "readAheadBytes" | "lite"> & {
    readonly nowMs: number;
  },
): DeliveryFigures {
  let pending = 0;
  let renewed = 0;
  let oldestMs = now.nowMs;
  let fullLanes = 0;
  for (const subscription of subscriptions) {
    for (const lane of subscription.lanes) {
      pending += lane?.pending.size ?? 0;
      if (lane?.full === true) fullLanes++;
    }
    for (const hold of subscription.holds()) {
      renewed += hold.count;
      for (let entry = hold.first; entry !== undefined; entry = entry.holdAfter) {
        oldestMs = Math.min(oldestMs, entry.deliveredAtMs);
      }
    }
  }
  return {
    heldPolls: now.heldPolls,
    pending,
    renewed,
    oldestRenewedMs: now.nowMs - oldestMs,
    fullLanes,
    readAheadBytes: now.readAheadBytes,
    lite: now.lite,
  };
}
