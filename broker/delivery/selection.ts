// One receive's turn: visible messages first, then what lies past the cursors. Synchronous and bounded; what
// is not in memory is asked for and found by a later turn.
import { background, type Logger, limits } from "../../base/index.ts";
import type { RecordView } from "../store/index.ts";
import type { DeliveryCounters } from "./counters.ts";
import { matches, passesHash, scanCountMax } from "./filter.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import type { DeliveryQueue, DeliveryStore, RecordPlace } from "./ports.ts";
import type { AheadChunk, ColdReader } from "./read-ahead.ts";
import type { HandleCodec } from "./receipt-handle.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";
import type { Subscription } from "./subscription.ts";
import type { Alarm, Timeline } from "./timeline.ts";

/** What a selection stands on. */
export interface SelectionParts {
  readonly store: DeliveryStore;
  readonly timeline: Timeline;
  readonly handles: HandleCodec;
  readonly cold: ColdReader;
  readonly counters: DeliveryCounters;
  readonly logger: Logger;
  isAlive(clientId: string, group: string): boolean;
  renewMaxMs(): number;
  /** Takes over a message that has had its last delivery. */
  bury(subscription: Subscription, entry: PendingMessage, record: RecordView): void;
  /** Something may be found now that was not before. */
  wake(subscription: Subscription): void;
}

/** One turn. */
interface Turn {
  readonly subscription: Subscription;
  readonly request: ReceiveRequest;
  readonly nowMs: number;
  readonly messages: Delivered[];
  /** Entries it may still look at. */
  scanLeft: number;
}

/** Where a message to be handed out is. */
interface Found {
  readonly entry: PendingMessage;
  readonly record: RecordView;
}

/** Picks messages for receives. */
export class Selection {
  readonly #parts: SelectionParts;

  constructor(parts: SelectionParts) {
    this.#parts = parts;
  }

  /** Up to `countMax` messages, marked as handed out to the client. Empty: nothing now. */
  select(subscription: Subscription, request: ReceiveRequest): Delivered[] {
    const turn: Turn = {
      subscription,
      request,
      nowMs: this.#parts.timeline.nowMs(),
      messages: [],
      scanLeft: scanCountMax(request.filter),
    };
    this.#takeVisible(turn);
    // Each lane at most once, so that the turn ends.
    for (let lanes = subscription.readyCount; lanes > 0 && wantsMore(turn); lanes--) {
      const lane = subscription.nextReady();
      if (lane === undefined) break;
      if (this.#takeNew(turn, lane)) subscription.makeReady(lane);
    }
    return turn.messages;
  }

  #takeVisible(turn: Turn): void {
    const { subscription, nowMs } = turn;
    const cold: PendingMessage[] = [];
    while (wantsMore(turn)) {
      const entry = subscription.due.peek();
      if (entry === undefined || entry.dueAtMs > nowMs) break;
      turn.scanLeft--;
      if (this.#renew(turn, entry)) continue;
      entry.hold?.remove(entry);
      const record = entry.record ?? this.#recordOf(turn, entry);
      if (record === "expired") continue;
      if (record !== undefined) {
        this.#redeliver(turn, { entry, record });
        continue;
      }
      if (subscription.loading.length > 0) break;
      subscription.due.remove(entry);
      entry.state = "loading";
      if (cold.push(entry) >= limits.receiveBatchCountMax) break;
    }
    if (cold.length > 0) this.#load(subscription, cold);
  }

  /** Auto-renew is lazy: a message whose client lives is extended when its time has come. */
  #renew(turn: Turn, entry: PendingMessage): boolean {
    const { hold } = entry;
    if (hold === undefined) return false;
    if (turn.nowMs - entry.deliveredAtMs >= this.#parts.renewMaxMs()) return false;
    if (!this.#parts.isAlive(hold.clientId, turn.subscription.group)) return false;
    entry.dueAtMs = turn.nowMs + limits.invisibleRenewedMs;
    turn.subscription.due.moved(entry);
    return true;
  }

  #recordOf(turn: Turn, entry: PendingMessage): RecordView | "expired" | undefined {
    const { queue } = entry.lane;
    if (queue === undefined || entry.offset < queue.minOffset) {
      this.#parts.counters.expired++;
      turn.subscription.settle(entry);
      return "expired";
    }
    const entries = queue.entries(entry.offset, 1);
    if (entries === undefined || entries.count === 0) return undefined;
    return this.#parts.store.read(entries.position(0), entries.size(0));
  }

  #redeliver(turn: Turn, found: Found): void {
    const { entry, record } = found;
    const { subscription, request } = turn;
    // After its last delivery it goes to the dead letters, whatever the filter of now is.
    const isDead = entry.attempt >= subscription.attemptMax;
    if (!isDead && !matches(request.filter, record)) {
      this.#parts.counters.filtered++;
      subscription.settle(entry);
      return;
    }
    subscription.due.remove(entry);
    entry.record = undefined;
    if (isDead) {
      this.#parts.bury(subscription, entry, record);
      return;
    }
    this.#handOut(turn, found);
  }

  /** True: the lane has more to look at. */
  #takeNew(turn: Turn, lane: Lane): boolean {
    const { queue } = lane;
    if (queue === undefined || lane.queueId >= turn.subscription.readQueueNums) return false;
    if (lane.cursor < queue.minOffset) {
      this.#parts.counters.expired += queue.minOffset - lane.cursor;
      lane.moveTo(queue.minOffset);
    }
    while (wantsMore(turn) && lane.cursor < queue.endOffset) {
      if (this.#isFull(lane)) return false;
      const chunk = this.#parts.cold.chunkAt(lane.ahead, lane.cursor);
      const goesOn =
        chunk === undefined ? this.#takeWarm(turn, lane, queue) : this.#takeCold(turn, lane, chunk);
      if (!goesOn) return false;
    }
    return lane.cursor < queue.endOffset;
  }

  #isFull(lane: Lane): boolean {
    if (!lane.isFull) return false;
    if (!lane.full) this.#parts.counters.pendingFull++;
    lane.full = true;
    return true;
  }

  /** From memory. False: what comes next has to be read from files; that has been asked for. */
  #takeWarm(turn: Turn, lane: Lane, queue: DeliveryQueue): boolean {
    const { filter } = turn.request;
    const wanted = filter.kind === "all" ? turn.request.countMax - turn.messages.length : 1_024;
    const count = Math.min(wanted, turn.scanLeft, queue.endOffset - lane.cursor);
    const entries = queue.entries(lane.cursor, count);
    if (entries === undefined || entries.count === 0) return this.#fill(turn, lane, queue);
    for (let i = 0; i < entries.count && wantsMore(turn); i++) {
      if (this.#isFull(lane)) return true;
      if (!passesHash(filter, entries.tagHash(i))) {
        this.#skip(turn, lane);
        continue;
      }
      const record = this.#parts.store.read(entries.position(i), entries.size(i));
      if (record === undefined) return this.#fill(turn, lane, queue);
      this.#takeNext(turn, lane, record);
    }
    return true;
  }

  /** From what was read ahead. False: the rest has to be read again. */
  #takeCold(turn: Turn, lane: Lane, chunk: AheadChunk): boolean {
    const { filter } = turn.request;
    lane.ahead.usedAtMs = turn.nowMs;
    while (wantsMore(turn) && lane.cursor < chunk.end) {
      if (this.#isFull(lane)) return true;
      const index = lane.cursor - chunk.from;
      const record = chunk.records[index];
      if (record === "expired") {
        this.#parts.counters.expired++;
        lane.moveTo(lane.cursor + 1);
      } else if (!passesHash(filter, chunk.hashes[index] ?? 0)) {
        this.#skip(turn, lane);
      } else if (record === undefined || record === "unread") {
        // Read for a consumer with another filter.
        this.#parts.cold.clear(lane.ahead);
        return lane.queue === undefined ? false : this.#fill(turn, lane, lane.queue);
      } else {
        this.#takeNext(turn, lane, record);
      }
    }
    this.#readAhead(turn, lane);
    // Lets the chunk go when all of it is taken: the lane may not come back for long.
    this.#parts.cold.chunkAt(lane.ahead, lane.cursor);
    return true;
  }

  #takeNext(turn: Turn, lane: Lane, record: RecordView): void {
    if (!matches(turn.request.filter, record)) {
      this.#skip(turn, lane);
      return;
    }
    turn.scanLeft--;
    const entry = lane.add(lane.cursor);
    lane.moveTo(lane.cursor + 1);
    this.#handOut(turn, { entry, record });
  }

  #skip(turn: Turn, lane: Lane): void {
    turn.scanLeft--;
    this.#parts.counters.filtered++;
    lane.moveTo(lane.cursor + 1);
  }

  /** Always false, for the caller to return. */
  #fill(turn: Turn, lane: Lane, queue: DeliveryQueue): false {
    const { subscription } = turn;
    this.#parts.cold.fill(lane.ahead, {
      queue,
      from: lane.cursor,
      filter: turn.request.filter,
      done: () => this.#lookAgain(subscription, lane),
    });
    return false;
  }

  #lookAgain(subscription: Subscription, lane: Lane): void {
    if (lane.dropped) return;
    subscription.makeReady(lane);
    this.#parts.wake(subscription);
  }

  /** Further reads go on while a chunk is being consumed, until the tail in memory is reached. */
  #readAhead(turn: Turn, lane: Lane): void {
    const { ahead, queue } = lane;
    if (queue === undefined || ahead.filling) return;
    if (ahead.chunks.length >= limits.readAheadChunkCountMax) return;
    const from = ahead.end;
    if (from >= queue.endOffset || this.#parts.cold.isWarm(queue, from)) return;
    const { subscription } = turn;
    this.#parts.cold.fill(ahead, {
      queue,
      from,
      filter: turn.request.filter,
      done: () => this.#lookAgain(subscription, lane),
    });
  }

  #handOut(turn: Turn, found: Found): void {
    const { subscription, request, nowMs, messages } = turn;
    const { entry, record } = found;
    const { lane } = entry;
    entry.state = "due";
    entry.attempt++;
    entry.deliveryNumber = nextDeliveryNumber(entry, this.#parts.store.epoch);
    entry.deliveredAtMs = nowMs;
    entry.dueAtMs = nowMs + request.invisibleMs;
    subscription.due.push(entry);
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

  /** Reads the records of redeliveries that have left memory; they are visible again with their records. */
  #load(subscription: Subscription, entries: readonly PendingMessage[]): void {
    subscription.loading = entries;
    background(this.#runLoad(subscription, entries));
  }

  async #runLoad(subscription: Subscription, entries: readonly PendingMessage[]): Promise<void> {
    try {
      const records = await readPending(this.#parts.store, entries);
      this.#parts.counters.coldReads++;
      entries.forEach((entry, index) => {
        if (entry.state !== "loading") return;
        entry.record = records[index];
        if (entry.record !== undefined) return subscription.putBack(entry);
        this.#parts.counters.expired++;
        subscription.settle(entry);
      });
      subscription.loading = [];
      this.#parts.wake(subscription);
    } catch (error) {
      this.#loadFailed(subscription, entries, error);
    }
  }

  #loadFailed(
    subscription: Subscription,
    entries: readonly PendingMessage[],
    error: unknown,
  ): void {
    this.#parts.counters.coldReadFailures++;
    this.#parts.logger.error("messages to be redelivered cannot be read; they are tried again", {
      group: subscription.group,
      topic: subscription.topic,
      messages: entries.length,
      queueId: entries[0]?.lane.queueId,
      queueOffset: entries[0]?.offset,
      error: error instanceof Error ? error.message : String(error),
    });
    const ring = (): void => {
      subscription.loading = [];
      for (const entry of entries) if (entry.state === "loading") subscription.putBack(entry);
      this.#parts.wake(subscription);
    };
    const alarm: Alarm = { dueAtMs: 0, heapIndex: -1, ring };
    this.#parts.timeline.set(alarm, this.#parts.timeline.nowMs() + limits.readRetryDelayMs);
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

function wantsMore(turn: Turn): boolean {
  return turn.messages.length < turn.request.countMax && turn.scanLeft > 0;
}

/** Records of pending messages from files, in their order; undefined for what has expired. */
export async function readPending(
  store: DeliveryStore,
  entries: readonly PendingMessage[],
): Promise<(RecordView | undefined)[]> {
  const places = await Promise.all(entries.map((entry) => placeOf(entry)));
  const found = await store.readCold(places.filter((place) => place !== undefined));
  let next = 0;
  return places.map((place) => (place === undefined ? undefined : found[next++]));
}

async function placeOf(entry: PendingMessage): Promise<RecordPlace | undefined> {
  const { queue } = entry.lane;
  if (queue === undefined || entry.offset < queue.minOffset) return undefined;
  const entries = queue.entries(entry.offset, 1) ?? (await queue.load(entry.offset, 1));
  if (entries.count === 0 || entries.from !== entry.offset) return undefined;
  return { position: entries.position(0), size: entries.size(0) };
}
