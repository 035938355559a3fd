// Delivery of lite topics: a client gets messages of the lite topics that it subscribes to, each of them in order, and
// nothing else of the topic is looked at. docs/messages/lite.md.
import { limits } from "../../../base/index.ts";
import { matches } from "../filter.ts";
import type { HandOut, HandOutParts } from "../hand-out.ts";
import type { PendingMessage } from "../lane.ts";
import type { PollTable } from "../polls.ts";
import type { Redelivery } from "../redelivery.ts";
import type { Delivered, ReceiveRequest } from "../request.ts";
import type { Subscription } from "../subscription.ts";
import { type Turn, wantsMore } from "../turn.ts";
import type { WaitingLanes } from "../waiting-lanes.ts";
import type { LiteClient } from "./lite-client.ts";
import type { LiteGroup } from "./lite-group.ts";
import type { LiteSubscription } from "./lite-subscription.ts";

/** What it stands on. */
export interface LiteDeliveryParts extends HandOutParts {
  readonly handOut: HandOut;
  readonly redelivery: Redelivery;
  readonly polls: PollTable;
  readonly waiting: WaitingLanes;
  /** Lets a subscription be served once others have had their turn. */
  serveLater(subscription: Subscription): void;
}

/** Gives messages of lite topics. */
export class LiteDelivery {
  readonly #parts: LiteDeliveryParts;
  #turnCount = 0;

  constructor(parts: LiteDeliveryParts) {
    this.#parts = parts;
  }

  /** As `Delivery.receive`, of a LITE topic. */
  async receive(
    subscription: Subscription,
    lite: LiteSubscription,
    request: ReceiveRequest,
  ): Promise<readonly Delivered[]> {
    const client = lite.clientOf(request.clientId);
    if (client.polls.count === 0) {
      lite.distribute(this.#parts.timeline.nowMs());
      const messages = this.#select(subscription, client, request);
      if (messages.length > 0) return messages;
    }
    const isReading = subscription.isLoading || lite.queues.some((queue) => queue?.isLoading);
    const mayGoOn = [...client.ready].some((group) => !group.waitsForRoom);
    const isWorthWaiting = request.pollingMs > 0 || mayGoOn || isReading;
    if (!isWorthWaiting || request.signal.aborted) return [];
    const pollingMs = request.pollingMs > 0 ? request.pollingMs : limits.coldReceiveWaitMs;
    const polled = this.#parts.polls.hold(client.polls, request, pollingMs);
    if (client.ready.size > 0) lite.woken.add(client);
    this.#parts.wake(subscription);
    return await polled;
  }

  /** Gives what there is to those who wait for it. */
  serve(subscription: Subscription, lite: LiteSubscription): void {
    const { timeline } = this.#parts;
    lite.distribute(timeline.nowMs());
    const woken = [...lite.woken];
    // What is woken from here on has its turn later.
    for (const client of woken) {
      this.#serveClient(subscription, client);
      if (client.polls.count === 0 || client.ready.size === 0) lite.woken.delete(client);
    }
    const next = lite.due.peek()?.dueAtMs;
    if (next === undefined) return;
    if (next > timeline.nowMs()) timeline.set(subscription.alarm, next);
    else this.#parts.serveLater(subscription);
  }

  #serveClient(subscription: Subscription, client: LiteClient): void {
    for (let poll = client.polls.first(); poll !== undefined; poll = client.polls.first()) {
      if (poll.request.isClientGone()) {
        poll.end([]);
        continue;
      }
      const messages = this.#select(subscription, client, poll.request);
      if (messages.length === 0) return;
      poll.end(messages);
    }
  }

  #select(subscription: Subscription, client: LiteClient, request: ReceiveRequest): Delivered[] {
    const turn: Turn = {
      number: ++this.#turnCount,
      subscription,
      request,
      nowMs: this.#parts.timeline.nowMs(),
      messages: [],
      scanLeft: limits.receiveScanCountMax,
    };
    const cold: PendingMessage[] = [];
    for (const group of client.ready) {
      if (!wantsMore(turn) || cold.length >= limits.receiveBatchCountMax) break;
      turn.scanLeft--;
      if (!isReady(group, turn.nowMs)) {
        client.ready.delete(group);
        continue;
      }
      // It stays in the list: an acknowledgement lets it go on.
      if (group.waitsForRoom) {
        if (!group.lane.full) this.#parts.counters.pendingFull++;
        group.lane.full = true;
        if (group.lane.waitsForOthers) this.#parts.waiting.add(group.lane, subscription);
        continue;
      }
      client.ready.delete(group);
      const isReading = subscription.loading.length > 0;
      const room = isReading ? 1 : limits.receiveBatchCountMax - cold.length;
      const unread = this.#take(turn, group, room);
      if (unread.length > 0 && !isReading) {
        for (const entry of unread) subscription.takeOut(entry, "loading");
        cold.push(...unread);
      } else if (isReady(group, turn.nowMs)) {
        client.ready.add(group);
        if (unread.length > 0) break;
      }
    }
    this.#parts.redelivery.load(subscription, cold);
    if (turn.messages.length === 0 && turn.scanLeft <= 0) this.#parts.serveLater(subscription);
    return turn.messages;
  }

  /** Gives the messages, at most `room`, that have to be read before the lite topic can go on. */
  #take(turn: Turn, group: LiteGroup, room: number): PendingMessage[] {
    const { redelivery } = this.#parts;
    // What is done on the way leaves the list.
    const visible = group.held.slice();
    let isRenewed = false;
    for (const entry of visible) if (redelivery.renew(turn, entry)) isRenewed = true;
    const unread: PendingMessage[] = [];
    const isOver = (): boolean => {
      const isEnough = turn.messages.length + unread.length >= turn.request.countMax;
      return isRenewed || isEnough || unread.length >= room || !wantsMore(turn);
    };
    for (const entry of visible) {
      if (isOver()) break;
      // Nothing is given before what is in front of it.
      const outcome = unread.length > 0 ? "unread" : redelivery.redeliver(turn, entry);
      if (outcome === "unread") unread.push(entry);
      if (outcome === "dying") return [];
    }
    while (!isOver() && !group.lane.isFull) {
      const offset = turn.subscription.lite?.nextOffset(group);
      if (offset === undefined) break;
      const entry = this.#takeNew(turn, group, { offset, isBehindUnread: unread.length > 0 });
      if (entry !== undefined) unread.push(entry);
    }
    // Who waits for a read is due when that has ended.
    if (unread.length === 0) group.changed();
    return unread;
  }

  #takeNew(
    turn: Turn,
    group: LiteGroup,
    { offset, isBehindUnread }: { readonly offset: number; readonly isBehindUnread: boolean },
  ): PendingMessage | undefined {
    const { redelivery, handOut, counters } = this.#parts;
    const { lane, hash } = group;
    turn.scanLeft--;
    const record = isBehindUnread ? undefined : redelivery.recordAt({ lane, offset });
    group.takenEnd = offset + 1;
    if (record === "expired") counters.expired++;
    else if (record === undefined) return handOut.later(turn, lane, { offset, hash });
    else if (!matches(turn.request.filter, record)) counters.filtered++;
    else handOut.first(turn, lane, { offset, record });
    return undefined;
  }
}

function isReady(group: LiteGroup, nowMs: number): boolean {
  const { readyAtMs } = group;
  return readyAtMs !== undefined && readyAtMs <= nowMs;
}
