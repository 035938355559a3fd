// Pending messages whose time has come: extended for a client that lives, buried after their last delivery, or handed
// out again; read from files first when they have left memory.
import { background, limits } from "../../base/index.ts";
import type { RecordView } from "../store/index.ts";
import { matches } from "./filter.ts";
import type { HandOut, HandOutParts } from "./hand-out.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import type { DeliveryStore, RecordPlace } from "./ports.ts";
import type { Subscription } from "./subscription.ts";
import type { Alarm } from "./timeline.ts";
import { type Turn, wantsMore } from "./turn.ts";

/** What redelivery stands on. */
export interface RedeliveryParts extends HandOutParts {
  readonly handOut: HandOut;
  isAlive(clientId: string, group: string): boolean;
  renewMaxMs(): number;
  /** Takes over a message that has had its last delivery. */
  bury(subscription: Subscription, entry: PendingMessage, record: RecordView): void;
}

/** What became of a message whose time had come. */
export type Redelivered =
  /** Handed out, or done: there is nothing to wait for. */
  | "passed"
  /** On its way to the dead-letter topic. */
  | "dying"
  /** Its record has to be read first. */
  | "unread";

/** Gives pending messages again. */
export class Redelivery {
  readonly #parts: RedeliveryParts;

  constructor(parts: RedeliveryParts) {
    this.#parts = parts;
  }

  /** Takes what is due and holds back no others; with `lane` of that alone. */
  takeDue(turn: Turn, lane?: Lane): void {
    const { subscription, nowMs } = turn;
    const cold: PendingMessage[] = [];
    while (wantsMore(turn)) {
      const entry = subscription.due.peek(lane?.queueId);
      if (entry === undefined || entry.dueAtMs > nowMs) break;
      turn.scanLeft--;
      if (this.renew(turn, entry)) {
        subscription.due.moved(entry);
        continue;
      }
      if (this.redeliver(turn, entry) !== "unread") continue;
      if (subscription.loading.length > 0) break;
      subscription.takeOut(entry, "loading");
      if (cold.push(entry) >= limits.receiveBatchCountMax) break;
    }
    this.load(subscription, cold);
  }

  /** Auto-renew is lazy: a message whose client lives is extended when its time has come. */
  renew(turn: Turn, entry: PendingMessage): boolean {
    const { hold } = entry;
    if (hold === undefined) return false;
    if (turn.nowMs - entry.deliveredAtMs >= this.#parts.renewMaxMs()) return false;
    if (!this.#parts.isAlive(hold.clientId, turn.subscription.group)) return false;
    entry.dueAtMs = turn.nowMs + limits.invisibleRenewedMs;
    return true;
  }

  /** Hands out a message that is due, unless it is not to be handed out any more. */
  redeliver(turn: Turn, entry: PendingMessage): Redelivered {
    const { subscription, request } = turn;
    entry.hold?.remove(entry);
    const record = entry.record ?? this.recordAt(entry);
    if (record === "expired") {
      this.#parts.counters.expired++;
      subscription.settle(entry);
      return "passed";
    }
    if (record === undefined) return "unread";
    // After its last delivery it goes to the dead letters, whatever the filter of now is.
    const isDead = entry.attempt >= subscription.attemptMax;
    if (!isDead && !matches(request.filter, record)) {
      this.#parts.counters.filtered++;
      subscription.settle(entry);
      return "passed";
    }
    subscription.due.remove(entry);
    entry.record = undefined;
    if (isDead) {
      this.#parts.bury(subscription, entry, record);
      return "dying";
    }
    this.#parts.handOut.again(turn, { entry, record });
    return "passed";
  }

  /** The record of a message when it is in memory; undefined when it has to be read. */
  recordAt({
    lane,
    offset,
  }: Pick<PendingMessage, "lane" | "offset">): RecordView | "expired" | undefined {
    const { queue } = lane;
    if (queue === undefined || offset < queue.minOffset) return "expired";
    const entries = queue.entries(offset, 1);
    if (entries === undefined || entries.count === 0) return undefined;
    return this.#parts.store.read(entries.position(0), entries.size(0));
  }

  /** Reads the records of messages whose state is "loading"; they are visible with their records after that. */
  load(subscription: Subscription, entries: readonly PendingMessage[]): void {
    if (entries.length === 0) return;
    subscription.loading = entries;
    background(this.#runLoad(subscription, entries));
  }

  async #runLoad(subscription: Subscription, entries: readonly PendingMessage[]): Promise<void> {
    try {
      const records = await readPending(this.#parts.store, entries);
      this.#parts.counters.coldReads++;
      for (const { lane } of entries) lane.ahead.failureCount = 0;
      entries.forEach((entry, index) => {
        if (entry.state !== "loading") return;
        entry.record = records[index];
        if (entry.record !== undefined) return subscription.putBack(entry);
        this.#parts.counters.expired++;
        subscription.settle(entry);
      });
      subscription.loading = [];
      subscription.waitsFor = undefined;
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
    for (const lane of new Set(entries.map((entry) => entry.lane))) lane.ahead.failureCount++;
    // Lower priorities do not wait for it.
    if (subscription.waitsFor !== undefined) this.#parts.wake(subscription);
    subscription.waitsFor = undefined;
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

/**
 * Records of pending messages from files, in their order; undefined for what has expired. What lies apart in the log is
 * asked for at once; the store bounds how many reads are at the disk.
 */
export async function readPending(
  store: DeliveryStore,
  entries: readonly PendingMessage[],
): Promise<(RecordView | undefined)[]> {
  const places = await Promise.all(entries.map((entry) => placeOf(entry)));
  const runs = inRuns(places.filter((place) => place !== undefined));
  const found = new Map<number, RecordView | undefined>();
  const readRun = async (run: readonly RecordPlace[]): Promise<void> => {
    const records = await store.readCold(run);
    for (const [index, { position }] of run.entries()) found.set(position, records[index]);
  };
  await Promise.all(runs.map(readRun));
  return places.map((place) => (place === undefined ? undefined : found.get(place.position)));
}

/** By position, those that lie together in one run: reading the first of them mostly reads the others as well. */
function inRuns(places: readonly RecordPlace[]): RecordPlace[][] {
  const runs: RecordPlace[][] = [];
  let end = Number.NEGATIVE_INFINITY;
  for (const place of places.toSorted((a, b) => a.position - b.position)) {
    if (place.position - end > togetherSpanBytes) runs.push([place]);
    else runs.at(-1)?.push(place);
    end = place.position + place.size;
  }
  return runs;
}

/** About what the store reads around a record. */
const togetherSpanBytes = 16_384;

async function placeOf(entry: PendingMessage): Promise<RecordPlace | undefined> {
  const { queue } = entry.lane;
  if (queue === undefined || entry.offset < queue.minOffset) return undefined;
  const entries = queue.entries(entry.offset, 1) ?? (await queue.load(entry.offset, 1));
  if (entries.count === 0 || entries.from !== entry.offset) return undefined;
  return { position: entries.position(0), size: entries.size(0) };
}
