// What the store does beside appending: saves queues, the flush mark and checkpoints, measures the
// disk, and lets expired segments go. One job at a time, none on the path of a send.
import {
  AssertionError,
  assert,
  background,
  type CancelTimer,
  type Logger,
  MqError,
} from "../../base/index.ts";
import { type Checkpoint, type EpochStart, writeCheckpoint } from "./checkpoint.ts";
import type { ColdReader } from "./cold-reader.ts";
import type { ConsumeQueues } from "./consume-queues.ts";
import { isDiskFull } from "./disk.ts";
import type { DiskGuard } from "./disk-guard.ts";
import type { FlushMarkFile } from "./flush-mark.ts";
import { expiredBelow, type SegmentAge } from "./retention.ts";
import type { Segments } from "./segments.ts";
import { SteadyTime } from "./steady-time.ts";
import type { StoreOptions } from "./store-options.ts";

/** Set by whoever derives state from the log, so that the log may lose its head. */
export interface ExpireHook {
  /**
   * Prepares for the log to start at `below`: whatever lies before and is needed is appended again. Then appends a
   * snapshot of the state; gives the position from which a replay needs the log once that is confirmed.
   */
  snapshot(below: number): Promise<number>;
}

/** Where the log stands. */
export interface LogState {
  readonly flushed: number;
  readonly dispatched: number;
  readonly epochs: readonly EpochStart[];
}

/** What upkeep works on. */
export interface UpkeepParts {
  readonly options: Required<StoreOptions>;
  readonly segments: Segments;
  readonly queues: ConsumeQueues;
  readonly cold: ColdReader;
  readonly mark: FlushMarkFile;
  readonly guard: DiskGuard;
  readonly state: () => LogState;
  /** Resolves when the log is durable up to a position. */
  readonly flushTo: (position: number) => Promise<void>;
  /** Called with the first failure that is not a full disk: the store must stop writing. */
  readonly failed: (error: MqError) => void;
}

const saveIntervalMs = 1_000;
/** Saving many queues is dear: the more there are, the more log lies between two checkpoints. */
const checkpointSizePerQueue = 131_072;

/** The background work of a store. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #timers: CancelTimer[] = [];
  readonly #newestTimes = new Map<number, number>();
  readonly #logger: Logger;
  hook: ExpireHook | undefined;
  /** Of a follower: where its master's log starts, which alone decides what goes here. */
  followedStart: number | undefined;
  #turn: Promise<void> = Promise.resolve();
  #saving: Promise<void> | undefined;
  #isStopped = false;
  #tellStopped = (): void => {};
  readonly #whenStopped: Promise<undefined>;
  #cleaning: Promise<void> | undefined;
  #isMeasuring = false;
  #checkpointPosition: number;
  #checkpointMs: number;
  #saidFull = false;
  readonly #time: SteadyTime;
  #saidAhead = false;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#logger = parts.options.logger;
    this.#time = new SteadyTime(parts.options.clock);
    this.#checkpointPosition = parts.state().dispatched;
    this.#checkpointMs = parts.options.clock.monotonicMs();
    this.#whenStopped = new Promise((resolve) => {
      this.#tellStopped = () => resolve(undefined);
    });
  }

  /** Says durably how far the log is flushed. Without a file it has lost nothing, wherever it is going to start. */
  mark(): Promise<void> {
    const { segments, mark, state } = this.#parts;
    const position = segments.all.length === 0 ? 0 : state().flushed;
    return this.#inTurn(() => mark.save(position));
  }

  /** Starts the timers. */
  start(): void {
    const { clock, cleanResourceIntervalMs } = this.#parts.options;
    this.#timers.push(
      clock.every(saveIntervalMs, () => this.#save()),
      clock.every(cleanResourceIntervalMs, () => background(this.clean())),
    );
  }

  /** Measures the disk soon, because the estimate has become uncertain. */
  measureSoon(): void {
    if (!this.#isMeasuring) background(this.#measure());
  }

  /** The disk has refused a write: says so and watches for space. */
  diskFull(): void {
    this.#parts.guard.full();
    this.#tellFull();
    this.measureSoon();
  }

  /** Ends the timers and waits for what is running, which stops at its next step. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#tellStopped();
    for (const cancel of this.#timers) cancel();
    // A job has several turns: after the last one nothing touches the folder any more.
    await Promise.all([this.#cleaning, this.#saving]);
    await this.#turn;
  }

  /**
   * Saves everything and makes it durable, so that a start has nothing to rebuild before the current
   * position. Gives up without harm after `limitMs`.
   */
  checkpoint(limitMs: number = Number.POSITIVE_INFINITY): Promise<void> {
    const deadlineMs = this.#parts.options.clock.monotonicMs() + limitMs;
    return this.#inTurn(() => this.#writeCheckpoint(deadlineMs));
  }

  /** Measures the disk and lets expired segments go; one run at a time. Failures are logged or end the writing. */
  clean(): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    this.#cleaning ??= this.#clean().finally(() => {
      this.#cleaning = undefined;
    });
    return this.#cleaning;
  }

  async #clean(): Promise<void> {
    try {
      await this.#measure();
      await this.#expire();
    } catch (error) {
      this.#report("retention failed", error);
    }
  }

  #save(): void {
    if (this.#parts.guard.isFull) this.measureSoon();
    if (this.#saving !== undefined) return;
    this.#saving = this.#saveNow().finally(() => {
      this.#saving = undefined;
    });
    background(this.#saving);
  }

  async #saveNow(): Promise<void> {
    try {
      await this.mark();
      await this.#parts.queues.save({ everything: false });
      if (this.#isCheckpointDue() && !this.#isStopped) await this.checkpoint();
    } catch (error) {
      this.#report("saving the consume queues failed", error);
    }
  }

  #isCheckpointDue(): boolean {
    const { clock, checkpointIntervalMs, checkpointSizeBytes } = this.#parts.options;
    const aheadBytes = this.#parts.state().dispatched - this.#checkpointPosition;
    if (aheadBytes === 0) return false;
    const dueBytes = checkpointSizeBytes + this.#parts.queues.count * checkpointSizePerQueue;
    const ageMs = clock.monotonicMs() - this.#checkpointMs;
    return aheadBytes >= dueBytes || ageMs >= checkpointIntervalMs;
  }

  async #writeCheckpoint(deadlineMs: number): Promise<void> {
    const { queues, mark, options, state, flushTo } = this.#parts;
    if (this.#parts.segments.all.length === 0) return;
    const { dispatched, epochs } = state();
    // Bounds and position are taken in one moment; entries of later records do no harm.
    const checkpoint: Checkpoint = {
      position: dispatched,
      epochs: epochs.filter((start) => start.position < dispatched),
      queues: [...queues.bounds()],
    };
    await flushTo(dispatched);
    await mark.save(state().flushed);
    if (!(await queues.save({ everything: true, deadlineMs }))) return;
    await queues.sync();
    await writeCheckpoint(options.disk, options.folder, checkpoint);
    this.#checkpointPosition = dispatched;
    this.#checkpointMs = options.clock.monotonicMs();
  }

  async #measure(): Promise<void> {
    this.#isMeasuring = true;
    try {
      await this.#parts.guard.measure();
      this.#tellFull();
    } catch (error) {
      this.#report("measuring the disk failed", error);
    } finally {
      this.#isMeasuring = false;
    }
  }

  #tellFull(): void {
    const { guard } = this.#parts;
    if (guard.isFull === this.#saidFull) return;
    this.#saidFull = guard.isFull;
    const { freeBytes, totalBytes } = guard.space;
    if (guard.isFull) {
      this.#logger.error("the disk is full: messages are refused", { freeBytes, totalBytes });
    } else {
      this.#logger.info("the disk has space again: messages are taken", { freeBytes, totalBytes });
    }
  }

  async #expire(): Promise<void> {
    const { segments } = this.#parts;
    const below = this.followedStart ?? (await this.#ownExpiry());
    if (below === undefined || this.#isStopped) return;
    const needed = this.followedStart ?? (await this.#neededFrom(below));
    if (needed === undefined || this.#isStopped) return;
    const { flushed, dispatched } = this.#parts.state();
    const start = this.#segmentBorder(Math.min(below, needed, flushed, dispatched));
    if (start <= segments.start) return;
    await this.#parts.queues.expire(start);
    // Before anything goes: queues start, and continue their offsets, where the checkpoint says.
    await this.checkpoint();
    if (this.#isStopped) return;
    assert(this.#checkpointPosition >= start, "the log would lose what no checkpoint covers");
    const removedBytes = await this.#inTurn(() => segments.removeBelow(start));
    await this.#parts.queues.removeExpired();
    for (const position of this.#newestTimes.keys()) {
      if (position <= start) this.#newestTimes.delete(position);
    }
    await this.#measure();
    this.#logger.info("expired segments are removed", { start, removedBytes });
  }

  /** Where the log may start by age and disk, as the options say. */
  async #ownExpiry(): Promise<number | undefined> {
    const { options, guard } = this.#parts;
    return expiredBelow(options, {
      segments: await this.#ages(),
      space: guard.space,
      nowMs: this.#believedNow(),
    });
  }

  /** What the clock says, except that a jump forward is only believed after a while. */
  #believedNow(): number {
    const nowMs = this.#time.now();
    const { aheadMs } = this.#time;
    if (aheadMs > 0 && !this.#saidAhead) {
      this.#logger.warn("the clock was set forward: no segment expires by it for a day", {
        aheadMs,
      });
    }
    this.#saidAhead = aheadMs > 0;
    return nowMs;
  }

  /** From where the log is needed by those who derive state from it; undefined when they cannot say. */
  async #neededFrom(below: number): Promise<number | undefined> {
    if (this.hook === undefined) return below;
    try {
      // A master that has lost its slaves waits in vain for a snapshot to be confirmed, and has to stop all the same.
      return await Promise.race([this.hook.snapshot(below), this.#whenStopped]);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      this.#logger.warn("no snapshot of the state: expired segments are kept", { reason });
      return undefined;
    }
  }

  #segmentBorder(position: number): number {
    const { all } = this.#parts.segments;
    let border = 0;
    for (const segment of all) if (segment.start <= position) border = segment.start;
    return border;
  }

  async #ages(): Promise<SegmentAge[]> {
    const { all } = this.#parts.segments;
    const ages: SegmentAge[] = [];
    for (const { start, end } of all.slice(0, -1)) {
      ages.push({ end, sizeBytes: end - start, newestMs: await this.#timeAt(end) });
    }
    return ages;
  }

  async #timeAt(position: number): Promise<number> {
    const known = this.#newestTimes.get(position);
    if (known !== undefined) return known;
    // The newest segment may have been made a moment ago and be empty: what ends before it is young.
    if (position >= this.#parts.segments.end) return this.#parts.options.clock.now();
    const found = await this.#parts.cold.storeTime(position);
    if (found === undefined) return this.#parts.options.clock.now();
    this.#newestTimes.set(position, found);
    return found;
  }

  #report(what: string, error: unknown): void {
    if (isDiskFull(error)) return this.diskFull();
    if (!(error instanceof Error) || !("code" in error)) throw error;
    // These have been said where they came up.
    if (error.code === "DISK_FULL" || error.code === "STORE_FAILED") return;
    const failure = new MqError("STORE_FAILED", `${what}: ${error.message}`, { cause: error });
    this.#parts.failed(failure);
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(task);
    this.#turn = run.then(
      () => undefined,
      () => undefined,
    );
    return run;
  }
}
