// Lets messages go whose time has come: in groups, one group under way at a time, so that a burst goes fast and sends
// find their place between two groups. Each group is one atomic step: the visible copies, and the end of being held.
import {
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  limits,
  type MqError,
} from "../../base/index.ts";
import { type HeldMessages, HeldWindow, type QueuesNow, queueNow } from "../held/index.ts";
import { type RecordDraft, SteadyTime } from "../store/index.ts";
import type { TimerCounters } from "./counters.ts";
import { DueReader, type ReadyMessage } from "./due-reader.ts";

/** What letting messages go stands on. */
export interface DueMessagesOptions extends QueuesNow {
  readonly held: HeldMessages;
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
  readonly #reader: DueReader;
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
    this.#reader = new DueReader({
      ...options,
      window: this.#window,
      nowMs: () => this.nowMs(),
      changed: () => this.#look(),
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

  /** Of those, the ones that are there with their bodies. */
  get readCount(): number {
    return this.#reader.count;
  }

  /** Lets no more messages go. Resolves when the log has answered for those that are under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick();
    this.#cancelAlarm();
    this.#window.close();
    this.#reader.close();
    await this.#answer;
  }

  /** Reads what is due soon, and lets go what is due now unless something is under way. */
  #look(): void {
    if (this.#isClosed) return;
    const nowMs = this.nowMs();
    this.#tellAhead();
    this.#reader.readAhead(nowMs);
    if (!this.#isReleasing && this.#isRested()) this.#letGo(nowMs);
    this.#arm();
  }

  #isRested(): boolean {
    return this.#options.clock.monotonicMs() >= this.#restUntilMs;
  }

  /** Wakes when the next message is due or to be read; the tick looks at what is further ahead. */
  #arm(): void {
    if (this.#isClosed) return;
    const nextMs = this.#reader.nextAtMs(!this.#isReleasing);
    if (nextMs === undefined) return;
    const { clock } = this.#options;
    const monotonicMs = clock.monotonicMs();
    const restMs = this.#isReleasing ? 0 : this.#restUntilMs - monotonicMs;
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

  #letGo(nowMs: number): void {
    const most = { count: limits.heldGroupCountMax, sizeBytes: limits.heldGroupSizeBytes };
    const due = this.#reader.take(nowMs, most).filter((message) => this.#claim(message));
    if (due.length === 0) return;
    this.#isReleasing = true;
    this.#restUntilMs = this.#options.clock.monotonicMs() + limits.timerGatherMs;
    background(this.#release(due));
  }

  /** Claims a message; not one that somebody else is changing. */
  #claim(message: ReadyMessage): boolean {
    if (this.#options.held.claim(message.entry)) return true;
    this.#reader.putBack(message, this.nowMs() + limits.heldClaimLookMs);
    return false;
  }

  async #release(due: readonly ReadyMessage[]): Promise<void> {
    const { held } = this.#options;
    const copies = due.flatMap(({ copy }) => (copy === undefined ? [] : [this.#placed(copy)]));
    for (const { entry, copy } of due) if (copy === undefined) held.noteLost(entry);
    const changes = due.map(({ entry }) => ({ ...entry, next: undefined }));
    const { answer, fate } = held.commit(changes, copies);
    this.#answer = answer.catch(() => {});
    const failure = await fate;
    this.#isReleasing = false;
    if (failure === undefined) this.#released(due, copies.length);
    else this.#failed(due, failure);
    this.#look();
  }

  #placed(copy: RecordDraft): RecordDraft {
    const queueId = queueNow(this.#options, copy);
    return queueId === copy.queueId ? copy : { ...copy, queueId };
  }

  #released(messages: readonly ReadyMessage[], count: number): void {
    const { counters, logger, released } = this.#options;
    if (this.#isFailing) logger.info("due messages are delivered again");
    this.#isFailing = false;
    counters.delivered += count;
    const nowMs = this.nowMs();
    for (const message of messages) {
      this.#reader.done(message);
      released(Math.max(0, nowMs - message.entry.dueMs));
    }
  }

  /** Nothing of it is in the log. */
  #failed(messages: readonly ReadyMessage[], failure: MqError): void {
    const { logger, counters } = this.#options;
    counters.failures += 1;
    if (!this.#isFailing && !this.#isClosed) {
      const { code, message } = failure;
      logger.warn("due messages cannot be delivered now, tried again", { code, error: message });
    }
    this.#isFailing = true;
    const wakeAtMs = this.nowMs() + limits.heldRetryMs;
    for (const message of messages) this.#reader.putBack(message, wakeAtMs);
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
