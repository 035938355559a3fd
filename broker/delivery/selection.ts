// One receive's turn: visible messages first, then what lies past the cursors. Synchronous and bounded; what
// is not in memory is asked for and found by a later turn.
import { limits } from "../../base/index.ts";
import type { RecordView } from "../store/index.ts";
import { matches, passesHash, scanCountMax } from "./filter.ts";
import type { HandOut, HandOutParts } from "./hand-out.ts";
import type { Lane } from "./lane.ts";
import type { OrderedDelivery } from "./order/ordered-delivery.ts";
import type { DeliveryQueue } from "./ports.ts";
import type { AheadChunk, ColdReader } from "./read-ahead.ts";
import type { Redelivery } from "./redelivery.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";
import type { Subscription } from "./subscription.ts";
import { type Turn, wantsMore } from "./turn.ts";
import type { WaitingLanes } from "./waiting-lanes.ts";

/** What a selection stands on. */
export interface SelectionParts extends HandOutParts {
  readonly cold: ColdReader;
  readonly waiting: WaitingLanes;
  readonly handOut: HandOut;
  readonly redelivery: Redelivery;
  readonly ordered: OrderedDelivery;
}

/** Picks messages for receives. */
export class Selection {
  readonly #parts: SelectionParts;
  #turnCount = 0;

  constructor(parts: SelectionParts) {
    this.#parts = parts;
  }

  /** Up to `countMax` messages, marked as handed out to the client. Empty: nothing now. */
  select(subscription: Subscription, request: ReceiveRequest): Delivered[] {
    const turn: Turn = {
      number: ++this.#turnCount,
      subscription,
      request,
      nowMs: this.#parts.timeline.nowMs(),
      messages: [],
      scanLeft: scanCountMax(request.filter),
    };
    if (subscription.hasPriorities) this.#takeByPriority(turn);
    else this.#parts.redelivery.takeDue(turn);
    this.#parts.ordered.takeDue(turn);
    if (!subscription.hasPriorities) this.#takeInTurn(turn);
    return turn.messages;
  }

  /** What is past the cursors, lane after lane: each at most once, so that the turn ends. */
  #takeInTurn(turn: Turn): void {
    const { subscription } = turn;
    for (let lanes = subscription.readyCount; lanes > 0 && wantsMore(turn); lanes--) {
      const lane = subscription.nextReady();
      if (lane === undefined) break;
      if (this.#takeNew(turn, lane)) subscription.makeReady(lane);
    }
  }

  /** The lane of the highest priority first, each with what is due in it; none before a higher one has been read. */
  #takeByPriority(turn: Turn): void {
    const { subscription } = turn;
    const { lanes } = subscription;
    subscription.waitsFor = undefined;
    subscription.clearReady();
    for (let queueId = lanes.length - 1; queueId >= 0; queueId--) {
      const lane = lanes[queueId];
      if (lane === undefined) continue;
      if (subscription.waitsFor !== undefined || !wantsMore(turn)) {
        subscription.makeReady(lane);
        continue;
      }
      if (isAnyDue(turn, lane)) this.#parts.redelivery.takeDue(turn, lane);
      if (this.#takeNew(turn, lane)) subscription.makeReady(lane);
      if (isBeingRead(turn, lane)) subscription.waitsFor = lane;
    }
  }

  /** True: the lane has more to look at. */
  #takeNew(turn: Turn, lane: Lane): boolean {
    const { queue } = lane;
    if (queue === undefined || lane.starting) return false;
    if (lane.queueId >= turn.subscription.readQueueNums) return false;
    if (lane.cursor < queue.minOffset) {
      this.#parts.counters.expired += queue.minOffset - lane.cursor;
      lane.moveTo(queue.minOffset);
    }
    while (wantsMore(turn) && lane.cursor < queue.endOffset) {
      if (this.#isFull(turn, lane)) return false;
      const chunk = this.#parts.cold.chunkAt(lane.ahead, lane.cursor);
      const goesOn =
        chunk === undefined ? this.#takeWarm(turn, lane, queue) : this.#takeCold(turn, lane, chunk);
      if (!goesOn) return false;
    }
    return lane.cursor < queue.endOffset;
  }

  #isFull({ subscription }: Turn, lane: Lane): boolean {
    if (!lane.isFull) return false;
    if (!lane.full) this.#parts.counters.pendingFull++;
    lane.full = true;
    if (lane.waitsForOthers) this.#parts.waiting.add(lane, subscription);
    return true;
  }

  /** From memory. False: what comes next has to be read from files; that has been asked for. */
  #takeWarm(turn: Turn, lane: Lane, queue: DeliveryQueue): boolean {
    const { filter } = turn.request;
    const wanted = filter.kind === "all" ? turn.request.countMax - turn.messages.length : 1_024;
    const count = Math.min(wanted, turn.scanLeft, queue.endOffset - lane.cursor);
    const entries = queue.entries(lane.cursor, count);
    if (entries === undefined || entries.count === 0) return this.#fill(turn, lane, queue);
    const { orders } = turn.subscription;
    for (let i = 0; i < entries.count && wantsMore(turn); i++) {
      if (this.#isFull(turn, lane)) return true;
      if (!passesHash(filter, entries.tagHash(i))) {
        this.#skip(turn, lane);
        continue;
      }
      if (orders[lane.queueId]?.passesOver(entries.messageGroupHash(i), turn.number) === true) {
        this.#passOver(turn, lane);
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
    const { orders } = turn.subscription;
    lane.ahead.usedAtMs = turn.nowMs;
    while (wantsMore(turn) && lane.cursor < chunk.end) {
      if (this.#isFull(turn, lane)) return true;
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
      } else if (orders[lane.queueId]?.passesOver(record.messageGroupHash, turn.number) === true) {
        this.#passOver(turn, lane);
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
    const offset = lane.cursor;
    lane.moveTo(offset + 1);
    this.#parts.handOut.first(turn, lane, { offset, record });
  }

  #skip(turn: Turn, lane: Lane): void {
    this.#parts.counters.filtered++;
    this.#passOver(turn, lane);
  }

  #passOver(turn: Turn, lane: Lane): void {
    turn.scanLeft--;
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
    subscription.waitsFor = undefined;
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
}

/**
 * Whether the turn has left something in `lane` that is being looked up or read now. Not so after a failed read: lower
 * priorities do not wait for a broken disk.
 */
function isBeingRead(turn: Turn, lane: Lane): boolean {
  const { subscription } = turn;
  if (turn.messages.length >= turn.request.countMax) return false;
  if (lane.starting) return true;
  if (lane.ahead.failureCount > 0) return false;
  const end = lane.queue?.endOffset ?? 0;
  if (lane.ahead.filling && !lane.full && lane.cursor < end) return true;
  if (subscription.loading.some((entry) => entry.lane === lane)) return true;
  return subscription.loading.length > 0 && isAnyDue(turn, lane);
}

function isAnyDue({ subscription, nowMs }: Turn, { queueId }: Lane): boolean {
  const first = subscription.due.peek(queueId);
  return first !== undefined && first.dueAtMs <= nowMs;
}
