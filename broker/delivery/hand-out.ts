// Hands a message to a client: the last step of every delivery, new or again.
import type { Logger } from "../../base/index.ts";
import type { RecordView } from "../store/index.ts";
import type { DeliveryCounters } from "./counters.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import type { DeliveryStore } from "./ports.ts";
import type { HandleCodec } from "./receipt-handle.ts";
import type { Subscription } from "./subscription.ts";
import type { Timeline } from "./timeline.ts";
import type { Found, Turn } from "./turn.ts";

/** What all that picks messages stands on. */
export interface HandOutParts {
  readonly store: DeliveryStore;
  readonly timeline: Timeline;
  readonly handles: HandleCodec;
  readonly counters: DeliveryCounters;
  readonly logger: Logger;
  /** Something may be found now that was not before. */
  wake(subscription: Subscription): void;
}

/** Marks messages as handed out, and puts them into the answer. */
export class HandOut {
  readonly #parts: HandOutParts;

  constructor(parts: HandOutParts) {
    this.#parts = parts;
  }

  /** Hands out the message at `offset`, which never was before. */
  first(turn: Turn, lane: Lane, { offset, record }: { offset: number; record: RecordView }): void {
    const entry = lane.add(offset);
    this.#hold(turn.subscription, entry, record.messageGroupHash);
    this.again(turn, { entry, record });
  }

  /** Makes the message at `offset` pending, to be handed out for the first time when it has been read. */
  later(
    turn: Turn,
    lane: Lane,
    { offset, hash }: { offset: number; hash: number },
  ): PendingMessage {
    const entry = lane.add(offset);
    entry.dueAtMs = turn.nowMs;
    this.#hold(turn.subscription, entry, hash);
    if (entry.group !== undefined) entry.group.turn = 0;
    lane.touch(entry);
    return entry;
  }

  /** Hands out a message that is pending. */
  again(turn: Turn, found: Found): void {
    const { subscription, request, nowMs, messages } = turn;
    const { entry, record } = found;
    const { lane, group } = entry;
    entry.record = undefined;
    entry.state = "due";
    entry.attempt++;
    entry.deliveryNumber = nextDeliveryNumber(entry, this.#parts.store.epoch);
    entry.deliveredAtMs = nowMs;
    entry.dueAtMs = nowMs + request.invisibleMs;
    entry.clientId = request.clientId;
    if (group === undefined) subscription.due.push(entry);
    else {
      group.turn = turn.number;
      group.servedAtMs = nowMs;
      group.changed();
    }
    if (request.autoRenew) subscription.holdOf(request.clientId).add(entry);
    lane.touch(entry);
    this.#parts.counters.delivered++;
    if (entry.attempt > 1) this.#parts.counters.redelivered++;
    messages.push({
      record,
      queueId: lane.queueId,
      queueOffset: entry.offset,
      attempt: entry.attempt,
      invisibleMs: request.invisibleMs,
      receiptHandle: this.#parts.handles.encode(lane, entry.offset, entry.deliveryNumber),
      deliveryNumber: entry.deliveryNumber,
      lease: entry,
    });
  }

  #hold(subscription: Subscription, entry: PendingMessage, hash: number): void {
    const { lane } = entry;
    const isKnown = subscription.orders[lane.queueId]?.knows(hash) === true;
    if (subscription.isOrdered || isKnown) subscription.orderOf(lane).hold(entry, hash);
  }
}

/** A run hands out one message fewer times than this. */
const deliveriesPerEpoch = 4_096;

/**
 * The number of the next handle of `entry`. Each run starts beyond what the runs before it could have
 * given: a crash loses the newest numbers, and a handle from before it must not fit a later delivery.
 */
export function nextDeliveryNumber(entry: PendingMessage, epoch: number): number {
  return Math.max(entry.deliveryNumber, epoch * deliveriesPerEpoch) + 1;
}
