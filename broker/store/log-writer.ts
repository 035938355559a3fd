// Brings the tail of the log to the disk: one write in flight that takes all that is queued, and one
// datasync that covers all that was written and may run beside the next write and flush (group commit).
import { background, type Clock, MqError } from "../../base/index.ts";
import { isDiskFull } from "./disk.ts";
import type { Segment, Segments } from "./segments.ts";
import type { TailCache } from "./tail-cache.ts";

/** Hears what happens to appended bytes. Called from the completions of the disk, never reentrantly. */
export interface LogWriterEvents {
  /** `written` or `flushed` has moved. */
  advanced(): void;
  /** No space: everything behind `written` has been taken back, on disk and in the tail. */
  rolledBack(cause: unknown): void;
  /** A write or flush failed for good; `error` is STORE_FAILED. Called once. */
  failed(error: MqError): void;
}

/** Hears of each write and flush, for metrics. */
export interface StoreObserver {
  wrote?(sizeBytes: number, elapsedMs: number): void;
  flushed?(elapsedMs: number): void;
}

/** What the writer works on. */
export interface LogWriterParts {
  readonly segments: Segments;
  readonly tail: TailCache;
  readonly clock: Clock;
  /** Whether every write is followed by a datasync at once (SYNC_FLUSH). */
  readonly flushesAlways: boolean;
  readonly events: LogWriterEvents;
  readonly observer: StoreObserver;
}

const flushesAtOnceMax = 2;

/** The commit pipeline. Positions here are ends of atomic groups, always. */
export class LogWriter {
  readonly #parts: LogWriterParts;
  readonly #dirty = new Set<Segment>();
  #end: number;
  #written: number;
  #flushed: number;
  #flushWanted = 0;
  #wakeIsQueued = false;
  #isWriting = false;
  #flushCount = 0;
  /** Where the newest flush reaches, under way or done. */
  #flushStarted: number;
  #lastFlush: Promise<void> = Promise.resolve();
  #isTakingBack = false;
  #failure: MqError | undefined;
  #idleWaiters: (() => void)[] = [];

  /** `end`: where the log ends, all of it written and flushed. */
  constructor(parts: LogWriterParts, end: number) {
    this.#parts = parts;
    this.#end = end;
    this.#written = end;
    this.#flushed = end;
    this.#flushStarted = end;
  }

  /** Everything before it is in the files. */
  get written(): number {
    return this.#written;
  }

  /** Everything before it survives a power cut. */
  get flushed(): number {
    return this.#flushed;
  }

  /** The first failure, after which nothing is written any more. */
  get failure(): MqError | undefined {
    return this.#failure;
  }

  /** Moves the end of an empty log, before anything is written. */
  startAt(end: number): void {
    this.#end = end;
    this.#written = end;
    this.#flushed = end;
    this.#flushStarted = end;
  }

  /** The tail reaches up to `end` now, the end of a group. The write starts when the running code has yielded. */
  appended(end: number): void {
    this.#end = end;
    if (this.#isWriting || this.#wakeIsQueued) return;
    this.#wakeIsQueued = true;
    queueMicrotask(() => {
      this.#wakeIsQueued = false;
      this.#startWriting();
    });
  }

  /** Flushes up to `position` soon, also without SYNC_FLUSH. */
  wantFlush(position: number): void {
    if (position <= this.#flushWanted) return;
    this.#flushWanted = position;
    this.#startFlushing();
  }

  /** Resolves when nothing is in flight and nothing is left to do, or the store has failed. */
  async idle(): Promise<void> {
    while (!this.#isIdle()) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
  }

  #isIdle(): boolean {
    if (this.#isWriting || this.#flushCount > 0 || this.#wakeIsQueued) return false;
    if (this.#failure !== undefined) return true;
    return this.#written === this.#end && !this.#hasToFlush();
  }

  #startWriting(): void {
    if (!this.#isWriting && this.#failure === undefined) background(this.#write());
  }

  #startFlushing(): void {
    if (this.#flushCount === flushesAtOnceMax || !this.#hasToFlush()) return;
    this.#lastFlush = this.#flush(this.#lastFlush);
    background(this.#lastFlush);
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    while (this.#written < this.#end && this.#failure === undefined) {
      const target = this.#end;
      const startedMs = this.#parts.clock.monotonicMs();
      try {
        await this.#writeUpTo(target);
      } catch (error) {
        await this.#takeBack(error);
        continue;
      }
      const size = target - this.#written;
      this.#written = target;
      this.#parts.observer.wrote?.(size, this.#parts.clock.monotonicMs() - startedMs);
      this.#startFlushing();
      this.#parts.events.advanced();
    }
    this.#isWriting = false;
    this.#tellIdle();
  }

  async #writeUpTo(target: number): Promise<void> {
    const { segments, tail } = this.#parts;
    for (const { position, end, parts, segmentStart } of tail.runs(this.#written, target)) {
      let segment = segments.all.at(-1);
      if (segment === undefined || segment.start !== segmentStart) {
        segment = await segments.add(segmentStart);
      }
      await segments.use(segment, (file) => file.writeAll(parts, position - segmentStart));
      segment.end = end;
      // Only now: a flush that began during the write does not cover it.
      this.#dirty.add(segment);
    }
  }

  // Nothing of a failed batch may stay half visible: without space the files are cut back to the
  // last whole batch and appending can go on when there is space again. Other failures latch.
  async #takeBack(cause: unknown): Promise<void> {
    if (!isDiskFull(cause)) return this.#fail("writing the log failed", cause);
    const { segments, tail, events } = this.#parts;
    this.#isTakingBack = true;
    try {
      await this.#whenNotFlushing();
      await segments.truncate(this.#written);
    } catch (error) {
      return this.#fail("cutting the log after a full disk failed", error);
    } finally {
      this.#isTakingBack = false;
    }
    for (const segment of this.#dirty) {
      if (!segments.all.includes(segment)) this.#dirty.delete(segment);
    }
    tail.truncate(this.#written);
    this.#end = this.#written;
    events.rolledBack(cause);
    this.#startFlushing();
  }

  #hasToFlush(): boolean {
    if (this.#failure !== undefined || this.#isTakingBack) return false;
    if (this.#written <= this.#flushStarted) return false;
    return this.#parts.flushesAlways || this.#flushWanted > this.#flushStarted;
  }

  // A second flush may begin while the first is under way: what was written meanwhile does not wait
  // for two. They count in the order in which they began, since the system reports a lost page to
  // only one of them: when one fails, none behind it is believed.
  async #flush(before: Promise<void>): Promise<void> {
    const target = this.#written;
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    this.#flushStarted = target;
    this.#flushCount += 1;
    const startedMs = this.#parts.clock.monotonicMs();
    try {
      for (const segment of dirty) {
        await this.#parts.segments.use(segment, (file) => file.datasync());
      }
    } catch (error) {
      this.#fail("flushing the log failed", error);
    }
    await before;
    this.#flushCount -= 1;
    if (this.#failure === undefined) {
      this.#flushed = target;
      this.#parts.observer.flushed?.(this.#parts.clock.monotonicMs() - startedMs);
      this.#startFlushing();
      this.#parts.events.advanced();
    }
    this.#tellIdle();
  }

  async #whenNotFlushing(): Promise<void> {
    while (this.#flushCount > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
  }

  #fail(what: string, cause: unknown): void {
    if (this.#failure !== undefined) return;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#failure = new MqError("STORE_FAILED", `${what}: ${reason}`, { cause });
    this.#parts.events.failed(this.#failure);
  }

  #tellIdle(): void {
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }
}
