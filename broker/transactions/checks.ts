// Asks producers how the transactions ended that nobody has settled in time: the due ones together, one group under way
// at a time. What was asked, and what is given up, stands in one atomic group of records.
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
import { type RecordDraft, type RecordView, SteadyTime } from "../store/index.ts";
import { givenUpCopy } from "./copies.ts";
import type { TransactionCounters } from "./counters.ts";
import type { OpenHalves } from "./open-halves.ts";
import type { OutcomeNote, Outcomes } from "./outcomes.ts";
import type { Producers } from "./ports.ts";

/** When and how often producers are asked. Read each time: they may change. */
export interface CheckTimes {
  /** Between two checks of one message, milliseconds. */
  readonly intervalMs: () => number;
  /** Checks of one message; then it is given up. */
  readonly countMax: () => number;
}

/** What checks stand on. */
export interface ChecksOptions {
  readonly held: HeldMessages;
  readonly halves: OpenHalves;
  readonly outcomes: Outcomes;
  readonly metadata: Pick<Metadata, "ensureGivenUpTopic">;
  readonly producers: Producers;
  readonly times: CheckTimes;
  readonly transactionIdOf: (entry: HeldEntry) => string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly counters: TransactionCounters;
  /** Messages in memory; `limits.heldWindowMax` by default. */
  readonly windowMax?: number;
}

/** What one look decides, before it is written. */
interface Decisions {
  readonly changes: HeldChange[];
  readonly copies: RecordDraft[];
  readonly asked: HeldEntry[];
  readonly givenUp: Map<HeldEntry, OutcomeNote>;
}

/** Works from `start` to `close`. */
export class Checks {
  readonly #options: ChecksOptions;
  readonly #time: SteadyTime;
  readonly #window: HeldWindow;
  readonly #cancelTick: CancelTimer;
  #cancelAlarm: CancelTimer = () => {};
  /** When the alarm rings, monotonic milliseconds. */
  #alarmAtMs = Number.POSITIVE_INFINITY;
  #isLooking = false;
  #isClosed = false;
  #isFailing = false;
  /** The answer to the group that is under way. */
  #answer: Promise<unknown> = Promise.resolve();

  private constructor(options: ChecksOptions) {
    const { held, clock, logger, windowMax } = options;
    this.#options = options;
    this.#time = new SteadyTime(clock, {
      jumpMinMs: limits.timerJumpMinMs,
      believedAfterMs: limits.timerJumpBelievedMs,
    });
    this.#window = HeldWindow.open({
      state: held.state,
      kind: "half",
      clock,
      logger,
      ...(windowMax === undefined ? {} : { countMax: windowMax }),
      changed: () => this.#arm(),
    });
    this.#cancelTick = clock.every(limits.timerTickMs, () => this.#look());
  }

  static start(options: ChecksOptions): Checks {
    return new Checks(options);
  }

  /** The time that decides whether a check is due, whole milliseconds since 1970. */
  nowMs(): number {
    return Math.floor(this.#time.now());
  }

  /** Asks nobody any more. Resolves when the log has answered for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick();
    this.#cancelAlarm();
    this.#window.close();
    await this.#answer;
  }

  #look(): void {
    const nowMs = this.nowMs();
    if (this.#isLooking || this.#isClosed) return;
    const most = { count: limits.heldGroupCountMax, sizeBytes: limits.heldGroupSizeBytes };
    const due = this.#window.take(nowMs, most);
    if (due.length === 0) return this.#arm();
    this.#isLooking = true;
    background(this.#check(due));
  }

  /** Wakes when the next check is due; the tick looks at what is further ahead. */
  #arm(): void {
    if (this.#isLooking || this.#isClosed) return;
    const nextMs = this.#window.nextAtMs;
    if (nextMs === undefined) return;
    const { clock } = this.#options;
    const monotonicMs = clock.monotonicMs();
    const delayMs = Math.max(nextMs - this.#time.now(), 0);
    if (delayMs > limits.timerTickMs || monotonicMs + delayMs >= this.#alarmAtMs) return;
    this.#cancelAlarm();
    this.#alarmAtMs = monotonicMs + delayMs;
    const ring = (): void => {
      this.#alarmAtMs = Number.POSITIVE_INFINITY;
      this.#look();
    };
    this.#cancelAlarm = clock.after(delayMs, ring, { unref: true });
  }

  async #check(due: readonly HeldEntry[]): Promise<void> {
    try {
      const claimed = due.filter((entry) => this.#claim(entry));
      const records = await this.#read(claimed);
      if (this.#isClosed) this.#freeAll(records.keys());
      else if (await this.#hasGivenUpTopic(records.keys())) await this.#decide(records);
    } finally {
      this.#isLooking = false;
    }
    this.#arm();
  }

  #claim(entry: HeldEntry): boolean {
    const { held, halves, producers } = this.#options;
    if (held.state.isDead(entry)) {
      this.#window.forget(entry);
      halves.forget(entry);
      return false;
    }
    if (!this.#isOver(entry) && !producers.canAsk(entry.topic)) {
      this.#window.putBack(entry, this.nowMs() + limits.transactionAskLookMs);
      return false;
    }
    if (held.claim(entry)) return true;
    this.#window.putBack(entry, this.nowMs() + limits.heldClaimLookMs);
    return false;
  }

  #isOver({ count }: HeldEntry): boolean {
    return count >= this.#options.times.countMax();
  }

  /** The records of claimed messages, as far as they can be read; the others are given up. */
  async #read(
    entries: readonly HeldEntry[],
  ): Promise<ReadonlyMap<HeldEntry, RecordView | undefined>> {
    const { held } = this.#options;
    const found = new Map<HeldEntry, RecordView | undefined>();
    for (const entry of entries) {
      try {
        const { position, size } = entry;
        const record = held.store.read(position, size) ?? (await held.store.readCold([entry]))[0];
        found.set(entry, record);
      } catch (error) {
        this.#cannotRead(entry, error);
      }
    }
    return found;
  }

  #cannotRead(entry: HeldEntry, error: unknown): void {
    const { held, logger, counters } = this.#options;
    const isDamaged = error instanceof MqError && error.code === "CORRUPT";
    if (isDamaged) this.#window.forget(entry);
    else this.#window.putBack(entry, this.nowMs() + limits.heldRetryMs);
    held.free(entry);
    counters.unreadable += 1;
    logger.error(
      isDamaged
        ? "a half message is damaged; nobody is asked about it before its file is restored and the broker restarted"
        : "a half message cannot be read, tried again",
      {
        topic: entry.topic,
        position: entry.position,
        reason: error instanceof Error ? error.message : String(error),
      },
    );
  }

  /** Whether there is a place for what is given up; if not, all is put back. */
  async #hasGivenUpTopic(entries: Iterable<HeldEntry>): Promise<boolean> {
    const all = [...entries];
    if (!all.some((entry) => this.#isOver(entry))) return true;
    try {
      await this.#options.metadata.ensureGivenUpTopic();
      return true;
    } catch (error) {
      this.#freeAll(all);
      this.#failed(all, error);
      return false;
    }
  }

  async #decide(records: ReadonlyMap<HeldEntry, RecordView | undefined>): Promise<void> {
    const decisions: Decisions = { changes: [], copies: [], asked: [], givenUp: new Map() };
    for (const [entry, record] of records) this.#decideOne(entry, record, decisions);
    if (decisions.changes.length === 0) return;
    const { held, outcomes, counters } = this.#options;
    const { answer, fate } = held.commit(decisions.changes, decisions.copies);
    this.#answer = answer.catch(() => {});
    const failure = await fate;
    if (failure !== undefined) {
      for (const [{ id }, note] of decisions.givenUp) outcomes.takeBack(id, note);
      return this.#failed([...decisions.asked, ...decisions.givenUp.keys()], failure);
    }
    if (this.#isFailing) this.#options.logger.info("transactions are checked again");
    this.#isFailing = false;
    counters.givenUp += decisions.givenUp.size;
    for (const { topic, id, count } of decisions.givenUp.keys()) {
      this.#options.logger.warn("a transaction was given up: no producer has told its end", {
        topic,
        position: id,
        checks: count,
      });
    }
  }

  #decideOne(entry: HeldEntry, record: RecordView | undefined, decisions: Decisions): void {
    const { held, outcomes, producers, times, counters, transactionIdOf } = this.#options;
    const { topic, position, size, count } = entry;
    if (record === undefined) {
      held.noteLost(entry);
      decisions.changes.push({ ...entry, next: undefined });
    } else if (this.#isOver(entry)) {
      decisions.changes.push({ ...entry, next: undefined });
      decisions.copies.push(givenUpCopy(record));
      decisions.givenUp.set(entry, outcomes.note(entry.id, "given up"));
    } else if (producers.ask({ topic, transactionId: transactionIdOf(entry), record })) {
      counters.checked += 1;
      const dueMs = this.nowMs() + times.intervalMs();
      decisions.changes.push({ ...entry, next: { dueMs, position, size, count: count + 1 } });
      decisions.asked.push(entry);
    } else {
      held.free(entry);
      this.#window.putBack(entry, this.nowMs() + limits.transactionAskLookMs);
    }
  }

  /** Nothing of it is in the log. */
  #failed(entries: readonly HeldEntry[], error: unknown): void {
    const { logger, counters } = this.#options;
    counters.failures += 1;
    if (!this.#isFailing && !this.#isClosed) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn("checks of transactions cannot be noted now, tried again", { reason });
    }
    this.#isFailing = true;
    const wakeAtMs = this.nowMs() + limits.heldRetryMs;
    for (const entry of entries) this.#window.putBack(entry, wakeAtMs);
  }

  #freeAll(entries: Iterable<HeldEntry>): void {
    for (const entry of entries) this.#options.held.free(entry);
  }
}
