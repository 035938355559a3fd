// Message groups that may be looked at: what they hold is handed out again in its order, and after that what was passed
// over. One receive gets consecutive messages; nobody else gets any of the group until they are done or visible again.
import { background, limits } from "../../../base/index.ts";
import { matches } from "../filter.ts";
import type { HandOut, HandOutParts } from "../hand-out.ts";
import type { Lane, PendingMessage } from "../lane.ts";
import type { DeliveryQueue } from "../ports.ts";
import type { Redelivery } from "../redelivery.ts";
import type { Subscription } from "../subscription.ts";
import type { Alarm } from "../timeline.ts";
import { type Turn, wantsMore } from "../turn.ts";
import type { WaitingLanes } from "../waiting-lanes.ts";
import type { MessageGroup } from "./message-group.ts";

/** What ordered delivery stands on. */
export interface OrderedParts extends HandOutParts {
  readonly handOut: HandOut;
  readonly redelivery: Redelivery;
  readonly waiting: WaitingLanes;
}

/** Hands out what message groups hold and what was passed over of them. */
export class OrderedDelivery {
  readonly #parts: OrderedParts;

  constructor(parts: OrderedParts) {
    this.#parts = parts;
  }

  /** Takes what is due, message group by message group. */
  takeDue(turn: Turn): void {
    const { subscription, nowMs } = turn;
    const { groupsDue } = subscription;
    const cold: PendingMessage[] = [];
    while (wantsMore(turn) && cold.length < limits.receiveBatchCountMax) {
      const group = groupsDue.peek();
      if (group === undefined || group.dueAtMs > nowMs) break;
      turn.scanLeft--;
      if (this.#renew(turn, group)) continue;
      const unread = this.#takeGroup(turn, group);
      if (unread === undefined) continue;
      // One read at a time: what waits for the next one is due still.
      if (subscription.loading.length > 0) break;
      subscription.takeOut(unread, "loading");
      cold.push(unread);
    }
    this.#parts.redelivery.load(subscription, cold);
  }

  #renew(turn: Turn, group: MessageGroup): boolean {
    let isRenewed = false;
    for (const entry of group.held) {
      if (this.#parts.redelivery.renew(turn, entry)) isRenewed = true;
    }
    if (isRenewed) group.changed();
    return isRenewed;
  }

  /** Gives the message that has to be read before the group can go on; undefined when it needs none. */
  #takeGroup(turn: Turn, group: MessageGroup): PendingMessage | undefined {
    // What is done on the way leaves the list.
    const visible = group.held.slice();
    for (const entry of visible) {
      if (!wantsMore(turn)) return undefined;
      const outcome = this.#parts.redelivery.redeliver(turn, entry);
      if (outcome === "unread") return entry;
      if (outcome === "dying") return undefined;
    }
    const { lane } = group;
    while (wantsMore(turn)) {
      if (!lane.hasRoom && group.hasPassed) {
        this.#waitForRoom(turn, lane);
        turn.subscription.orderOf(lane).waitForRoom(group);
        return undefined;
      }
      const offset = turn.subscription.orderOf(lane).nextPassed(group);
      if (offset === undefined) {
        if (!this.#search(turn, group)) break;
        continue;
      }
      const unread = this.#takePassed(turn, group, offset);
      if (unread !== undefined) return unread;
    }
    group.changed();
    // It may have been let go on and have had nothing: then others may.
    if (lane.hasRoom) turn.subscription.orders[lane.queueId]?.goOn();
    return undefined;
  }

  #waitForRoom({ subscription }: Turn, lane: Lane): void {
    if (!lane.full) this.#parts.counters.pendingFull++;
    lane.full = true;
    if (lane.waitsForOthers) this.#parts.waiting.add(lane, subscription);
  }

  #takePassed(turn: Turn, group: MessageGroup, offset: number): PendingMessage | undefined {
    const { lane } = group;
    turn.scanLeft--;
    const record = this.#parts.redelivery.recordAt({ lane, offset });
    if (record === "expired") this.#parts.counters.expired++;
    else if (record === undefined) {
      return this.#parts.handOut.later(turn, lane, { offset, hash: group.hash });
    } else if (!matches(turn.request.filter, record)) this.#parts.counters.filtered++;
    else this.#parts.handOut.first(turn, lane, { offset, record });
    return undefined;
  }

  /** Looks for what was passed over and is not remembered. False: there is none, or it has to be read first. */
  #search(turn: Turn, group: MessageGroup): boolean {
    const { searchFrom } = group;
    const { queue, cursor } = group.lane;
    if (searchFrom === undefined || queue === undefined) return false;
    const from = Math.max(searchFrom, queue.minOffset);
    group.searchFrom = from < cursor ? from : undefined;
    if (from >= cursor) return false;
    const count = Math.min(cursor - from, turn.scanLeft);
    const entries = queue.entries(from, count);
    if (entries !== undefined && entries.count > 0) {
      turn.scanLeft -= turn.subscription.orderOf(group.lane).search(group, entries, count);
      return true;
    }
    this.#read(turn.subscription, group, { queue, from });
    return false;
  }

  #read(
    subscription: Subscription,
    group: MessageGroup,
    place: { readonly queue: DeliveryQueue; readonly from: number },
  ): void {
    group.isSearching = true;
    group.changed();
    background(this.#runRead(subscription, group, place));
  }

  async #runRead(
    subscription: Subscription,
    group: MessageGroup,
    { queue, from }: { readonly queue: DeliveryQueue; readonly from: number },
  ): Promise<void> {
    const goOn = (): void => {
      group.isSearching = false;
      if (group.lane.dropped) return;
      group.changed();
      this.#parts.wake(subscription);
    };
    try {
      const entries = await queue.load(from, limits.receiveScanCountMax);
      this.#parts.counters.coldReads++;
      subscription.orderOf(group.lane).search(group, entries, limits.receiveScanCountMax);
      goOn();
    } catch (error) {
      this.#parts.counters.coldReadFailures++;
      const { topic, queueId } = queue;
      this.#parts.logger.error("a queue cannot be read; its message groups wait and try again", {
        group: subscription.group,
        topic,
        queueId,
        queueOffset: from,
        error: error instanceof Error ? error.message : String(error),
      });
      const alarm: Alarm = { dueAtMs: 0, heapIndex: -1, ring: goOn };
      this.#parts.timeline.set(alarm, this.#parts.timeline.nowMs() + limits.readRetryDelayMs);
    }
  }
}
