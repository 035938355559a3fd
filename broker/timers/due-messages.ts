// Lets messages go whose time has come: in groups, one group under way at a time, so that a burst goes fast and sends
// find their place between two groups. Each group is one atomic step: the visible copies, and the end of being held.
import {
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  limits,
  MqError,
} from "../../base/index.ts";
import { type HeldMessages, HeldWindow } from "../held/index.ts";
import type { HeldChange, HeldEntry, Metadata } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type RecordView, SteadyTime } from "../store/index.ts";
import type { TimerCounters } from "./counters.ts";

/** What letting messages go stands on. */
export interface DueMessagesOptions {
  readonly held: HeldMessages;
  readonly metadata: Pick<Metadata, "topic">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: TimerCounters;
  /** Hears how late a message went, milliseconds. */
  readonly released: (latenessMs: number) => void;
  /** Messages in memory; `limits.heldWindowMax` by default. */
  readonly windowMax?: number;
}

/** Works from `start` to `close`. */
export class DueMessages {
  readonly #options: DueMessagesOptions;
  readonly #time: SteadyTime;
  readonly #window: HeldWindow;
  readonly #cancelTick: CancelTimer;
  #cancelAlarm: CancelTimer = () => {};
  /** When the alarm rings, monotonic milliseconds. */
  #alarmAtMs = Number.POSITIVE_INFINITY;
  /** No group begins before, monotonic milliseconds. */
  #restUntilMs = 0;
  #isReleasing = false;
  #isClosed = false;
  #isFailing = false;
  #isAhead = false;
  /** The answer to the group that is under way. */
  #answer: Promise<unknown> = Promise.resolve();

  private constructor(options: DueMessagesOptions) {
    const { held, clock, logger, windowMax } = options;
    this.#options = options;
    this.#time = new SteadyTime(clock, {
      jumpMinMs: limits.timerJumpMinMs,
      believedAfterMs: limits.timerJumpBelievedMs,
    });
    this.#window = HeldWindow.open({
      state: held.state,
      kind: "timer",
      clock,
      logger,
      ...(windowMax === undefined ? {} : { countMax: windowMax }),
      changed: () => this.#arm(),
    });
    this.#cancelTick = clock.every(limits.timerTickMs, () => this.#look());
  }

  static start(options: DueMessagesOptions): DueMessages {
    return new DueMessages(options);
  }

  /** The time that decides whether a message is due, whole milliseconds since 1970. */
  nowMs(): number {
    return Math.floor(this.#time.now());
  }

  /** Messages in memory. */
  get windowCount(): number {
    return this.#window.count;
  }

  /** Lets no more messages go. Resolves when the log has answered for those that are under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick();
    this.#cancelAlarm();
    this.#window.close();
    await this.#answer;
  }

  /** Takes what is due now, if anything is and nothing is under way. */
  #look(): void {
    const nowMs = this.nowMs();
    this.#tellAhead();
    if (this.#isReleasing || this.#isClosed) return;
    const most = { count: limits.heldGroupCountMax, sizeBytes: limits.heldGroupSizeBytes };
    const due = this.#window.take(nowMs, most);
    if (due.length === 0) return this.#arm();
    this.#isReleasing = true;
    this.#restUntilMs = this.#options.clock.monotonicMs() + limits.timerGatherMs;
    background(this.#release(due));
  }

  /** Wakes when the next message is due; the tick looks at what is further ahead. */
  #arm(): void {
    if (this.#isReleasing || this.#isClosed) return;
    const nextMs = this.#window.nextAtMs;
    if (nextMs === undefined) return;
    const { clock } = this.#options;
    const monotonicMs = clock.monotonicMs();
    const restMs = this.#restUntilMs - monotonicMs;
    const delayMs = Math.max(nextMs - this.#time.now(), restMs, 0);
    if (delayMs > limits.timerTickMs || monotonicMs + delayMs >= this.#alarmAtMs) return;
    this.#cancelAlarm();
    this.#alarmAtMs = monotonicMs + delayMs;
    const ring = (): void => {
      this.#alarmAtMs = Number.POSITIVE_INFINITY;
      this.#look();
    };
    this.#cancelAlarm = clock.after(delayMs, ring, { unref: true });
  }

  async #release(due: readonly HeldEntry[]): Promise<void> {
    try {
      const claimed = due.filter((entry) => this.#claim(entry));
      const records = await this.#read(claimed);
      if (this.#isClosed) for (const entry of records.keys()) this.#options.held.free(entry);
      else if (records.size > 0) await this.#commit(claimed, records);
    } finally {
      this.#isReleasing = false;
    }
    this.#arm();
  }

  /** Claims a message; not one that somebody else is changing, or whose topic is gone. */
  #claim(entry: HeldEntry): boolean {
    const { held } = this.#options;
    if (held.state.isDead(entry)) this.#window.forget(entry);
    else if (held.claim(entry)) return true;
    else this.#window.putBack(entry, this.nowMs() + limits.heldClaimLookMs);
    return false;
  }

  /** The records of claimed messages, as far as they can be read; the others are given up. */
  async #read(
    entries: readonly HeldEntry[],
  ): Promise<ReadonlyMap<HeldEntry, RecordView | undefined>> {
    // In the order of the log: those that lie together are read together.
    const places = entries.toSorted((one, other) => one.position - other.position);
    const { store } = this.#options.held;
    try {
      const records = await store.readCold(places);
      return new Map(places.map((entry, index) => [entry, records[index]]));
    } catch {
      return await this.#readEach(places);
    }
  }

  async #readEach(
    entries: readonly HeldEntry[],
  ): Promise<ReadonlyMap<HeldEntry, RecordView | undefined>> {
    const { held } = this.#options;
    const found = new Map<HeldEntry, RecordView | undefined>();
    for (const entry of entries) {
      try {
        const [record] = await held.store.readCold([entry]);
        found.set(entry, record);
      } catch (error) {
        this.#cannotRead(entry, error);
        held.free(entry);
      }
    }
    return found;
  }

  /** A disk may come to its senses; what is damaged is left to the next start, with whatever file lies there then. */
  #cannotRead(entry: HeldEntry, error: unknown): void {
    const { logger, counters } = this.#options;
    const isDamaged = error instanceof MqError && error.code === "CORRUPT";
    if (isDamaged) this.#window.forget(entry);
    else this.#window.putBack(entry, this.nowMs() + limits.heldRetryMs);
    counters.unreadable += 1;
    logger.error(
      isDamaged
        ? "a delayed message is damaged; it is not delivered before its file is restored and the broker restarted"
        : "a delayed message cannot be read, tried again",
      { topic: entry.topic, position: entry.position, reason: messageOf(error) },
    );
  }

  /** Appends the copies of those that were read, in the order in which they were due. */
  async #commit(
    due: readonly HeldEntry[],
    records: ReadonlyMap<HeldEntry, RecordView | undefined>,
  ): Promise<void> {
    const { held, counters, released } = this.#options;
    const entries = due.filter((entry) => records.has(entry));
    const changes: HeldChange[] = [];
    const copies: RecordDraft[] = [];
    for (const entry of entries) {
      const record = records.get(entry);
      changes.push({ ...entry, next: undefined });
      if (record === undefined) held.noteLost(entry);
      else copies.push(this.#copyOf(entry, record));
    }
    const { answer, fate } = held.commit(changes, copies);
    this.#answer = answer.catch(() => {});
    const failure = await fate;
    if (failure !== undefined) return this.#failed(entries, failure);
    if (this.#isFailing) this.#options.logger.info("due messages are delivered again");
    this.#isFailing = false;
    counters.delivered += copies.length;
    const nowMs = this.nowMs();
    for (const entry of entries) released(Math.max(0, nowMs - entry.dueMs));
  }

  /** Nothing of it is in the log. */
  #failed(entries: readonly HeldEntry[], failure: MqError): void {
    const { logger, counters } = this.#options;
    counters.failures += 1;
    if (!this.#isFailing && !this.#isClosed) {
      const { code, message } = failure;
      logger.warn("due messages cannot be delivered now, tried again", { code, error: message });
    }
    this.#isFailing = true;
    const wakeAtMs = this.nowMs() + limits.heldRetryMs;
    for (const entry of entries) this.#window.putBack(entry, wakeAtMs);
  }

  /** What consumers will see. The topic may have fewer queues by now than when the message came. */
  #copyOf({ topic }: HeldEntry, record: RecordView): RecordDraft {
    const queueCount = this.#options.metadata.topic(topic)?.writeQueueNums ?? 1;
    return {
      type: RecordType.deliveredTimer,
      flags: record.flags,
      topic,
      queueId: record.queueId % queueCount,
      systemProperties: record.systemProperties,
      userProperties: record.userProperties,
      body: record.body,
      tagHash: record.tagHash,
      messageGroupHash: record.messageGroupHash,
    };
  }

  #tellAhead(): void {
    const { aheadMs } = this.#time;
    const isAhead = aheadMs > 0;
    if (isAhead && !this.#isAhead) {
      const waitMs = limits.timerJumpBelievedMs;
      this.#options.logger.warn(
        "the clock was set forward: no delayed message is due by that until it has lasted",
        { aheadMs, waitMs },
      );
    }
    this.#isAhead = isAhead;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
