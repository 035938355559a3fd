// The store of one broker: the commit log and what follows it, behind one door. Knows no network
// and no meaning of a record beyond its queue.
import {
  assert,
  background,
  type CancelTimer,
  type Epoch,
  limits,
  MqError,
  type Position,
  epoch as toEpoch,
  position as toPosition,
} from "../../base/index.ts";
import { AckLine, type Appended } from "./ack-line.ts";
import type { EpochStart } from "./checkpoint.ts";
import type { ColdReader, RecordPlace } from "./cold-reader.ts";
import { CommitLog } from "./commit-log.ts";
import type { ConsumeQueue } from "./consume-queue.ts";
import type { ConsumeQueues, QueueBounds } from "./consume-queues.ts";
import type { FolderLock } from "./disk.ts";
import { DiskGuard } from "./disk-guard.ts";
import { Dispatcher, type StoreFollower } from "./dispatcher.ts";
import { FlushLine } from "./flush-line.ts";
import type { FlushMarkFile } from "./flush-mark.ts";
import { scanLog } from "./log-scanner.ts";
import { LogWriter } from "./log-writer.ts";
import type { QueueFiles } from "./queue-files.ts";
import { type RecordDraft, RecordType, type RecordView } from "./record.ts";
import { type RetentionOptions, usedPercent } from "./retention.ts";
import type { Segments } from "./segments.ts";
import { type StoreOptions, withDefaults } from "./store-options.ts";
import { openParts, type StoreParts } from "./store-parts.ts";
import { TailCache } from "./tail-cache.ts";
import { type ExpireHook, Upkeep } from "./upkeep.ts";

/** What a store tells about itself. */
export interface StoreStats {
  readonly segmentCount: number;
  /** Bytes of the log kept. */
  readonly sizeBytes: number;
  readonly queueCount: number;
  readonly queueFilesOpen: number;
  /** Appended and not yet confirmed, bytes. */
  readonly behindBytes: number;
  /** Appends waiting for their answer. */
  readonly waitingCount: number;
  readonly tailCacheBytes: number;
  readonly queueCacheBytes: number;
  /** Share of the disk in use, percent, as measured last. */
  readonly diskUsedPercent: number;
  /** Whether messages are refused for want of space. */
  readonly isDiskFull: boolean;
}

type State = "open" | "begun" | "closing" | "closed";

const timeoutCheckMs = 250;
const idleCheckMs = 10_000;
/** Appended between two looks by a broker that counts as idle, bytes. */
const idleSizeMax = 1_048_576;
/** Time for saving the queues when closing; what is not saved is rebuilt from the log. */
const closeSaveMs = 2_000;

/** A data folder in use. */
export class Store {
  /** Set it to have the state snapshotted before the log loses its head; see `ExpireHook`. */
  get onExpire(): ExpireHook | undefined {
    return this.#upkeep.hook;
  }

  set onExpire(hook: ExpireHook | undefined) {
    this.#upkeep.hook = hook;
  }

  readonly #options: Required<StoreOptions>;
  readonly #lock: FolderLock;
  readonly #segments: Segments;
  readonly #files: QueueFiles;
  readonly #queues: ConsumeQueues;
  readonly #mark: FlushMarkFile;
  readonly #tail: TailCache;
  readonly #cold: ColdReader;
  readonly #writer: LogWriter;
  readonly #dispatcher: Dispatcher;
  readonly #log: CommitLog;
  readonly #guard: DiskGuard;
  readonly #upkeep: Upkeep;
  readonly #acks = new AckLine();
  readonly #timers: CancelTimer[] = [];
  readonly #epochs: EpochStart[];
  readonly #flushes = new FlushLine();
  #state: State = "open";
  #failure: MqError | undefined;
  /** Where the log ended at the last look for idleness. */
  #idleEnd = 0;
  /** Deadline of an append made now, monotonic time. */
  #deadlineMs = 0;
  #closing: Promise<void> | undefined;

  private constructor(parts: StoreParts) {
    const { options, segments, recovered, queues } = parts;
    this.#options = options;
    this.#lock = parts.lock;
    this.#segments = segments;
    this.#files = parts.files;
    this.#queues = queues;
    this.#mark = parts.mark;
    this.#cold = parts.cold;
    this.#epochs = [...recovered.epochs];
    this.#tail = new TailCache(options.tailCacheSizeBytes);
    this.#dispatcher = new Dispatcher(queues, (place) => this.#tail.recordAt(place), recovered.end);
    this.#log = new CommitLog(
      {
        tail: this.#tail,
        queues,
        dispatcher: this.#dispatcher,
        clock: options.clock,
        segmentSizeBytes: options.mappedFileSizeCommitLog,
      },
      {
        end: recovered.end,
        segmentStart: segments.all.at(-1)?.start ?? recovered.end,
        storeTimeMs: recovered.storeTimeMs,
      },
    );
    this.#writer = new LogWriter(this.#writerParts(), recovered.end);
    this.#guard = new DiskGuard(options.disk, options.commitLogFolder, options);
    this.#upkeep = new Upkeep({
      options,
      segments,
      queues,
      cold: parts.cold,
      mark: parts.mark,
      guard: this.#guard,
      state: () => ({
        flushed: this.#writer.flushed,
        dispatched: this.#dispatcher.dispatched,
        epochs: this.#epochs,
      }),
      flushTo: (place) => this.flushTo(toPosition(place)),
      failed: (error) => this.#fail(error),
    });
  }

  /**
   * Takes the folder, recovers, and opens for reading; `begin` opens for appending. Throws
   * FOLDER_IN_USE, CORRUPT (the log is damaged; nothing was changed), and what the disk throws.
   */
  static async open(given: StoreOptions): Promise<Store> {
    return new Store(await openParts(withDefaults(given)));
  }

  /** First byte of the log that is kept. */
  get start(): Position {
    return toPosition(this.#segments.start);
  }

  /** Behind the last record appended, written or not. */
  get end(): Position {
    return toPosition(this.#log.end);
  }

  /** Everything before it is in the files: survives a killed process. */
  get written(): Position {
    return toPosition(this.#writer.written);
  }

  /** Everything before it survives a power cut. */
  get flushed(): Position {
    return toPosition(this.#writer.flushed);
  }

  /** Everything before it may be seen. */
  get confirmed(): Position {
    const isSync = this.#options.flushDiskType === "SYNC_FLUSH";
    return toPosition(isSync ? this.#writer.flushed : this.#writer.written);
  }

  /** Everything before it is in the queues and told to the followers. */
  get dispatched(): Position {
    return toPosition(this.#dispatcher.dispatched);
  }

  /** The newest epoch; 0 before the first `begin`. */
  get epoch(): Epoch {
    return this.#epochs.at(-1)?.epoch ?? toEpoch(0);
  }

  /** Every epoch known and where it starts, ascending. */
  get epochs(): readonly EpochStart[] {
    return this.#epochs;
  }

  /** The first failure that stopped the writing: STORE_FAILED. Undefined while all is well. */
  get failure(): MqError | undefined {
    return this.#failure;
  }

  /** How the store is doing. */
  get stats(): StoreStats {
    return {
      segmentCount: this.#segments.all.length,
      sizeBytes: this.#segments.end - this.#segments.start,
      queueCount: this.#queues.count,
      queueFilesOpen: this.#files.openCount,
      behindBytes: this.#log.end - this.#dispatcher.dispatched,
      waitingCount: this.#acks.count,
      tailCacheBytes: this.#tail.sizeBytes,
      queueCacheBytes: this.#queues.memorySizeBytes,
      diskUsedPercent: usedPercent(this.#guard.space),
      isDiskFull: this.#guard.isFull,
    };
  }

  /** Opens a new epoch and starts taking records. Throws DISK_FULL or STORE_FAILED when that cannot be written. */
  async begin(): Promise<void> {
    assert(this.#state === "open", "a store begins once");
    await this.#mark.save(this.#writer.flushed);
    await this.#guard.measure();
    this.#state = "begun";
    const { clock, flushIntervalCommitLogMs } = this.#options;
    this.#timers.push(
      clock.every(timeoutCheckMs, () => this.#expireAcks()),
      clock.every(flushIntervalCommitLogMs, () => this.#writer.wantFlush(this.#writer.written)),
      clock.every(idleCheckMs, () => this.#releaseWhenIdle()),
    );
    this.#upkeep.start();
    this.#expireAcks();
    const start = { epoch: toEpoch(this.epoch + 1), position: this.end };
    this.#epochs.push(start);
    await this.append([{ ...noContent, type: RecordType.epochStart, topic: "", queueId: -1 }]);
  }

  /**
   * Appends an atomic group: after a crash all of it is there or nothing. The bytes are copied
   * before this returns. Resolves when the configured durability holds and the records may be seen;
   * followers have been told then. Rejects with DISK_FULL, TOO_MANY_REQUESTS, MESSAGE_BODY_TOO_LARGE
   * and SHUTTING_DOWN (nothing is stored), MASTER_PERSISTENCE_TIMEOUT and STORE_FAILED (it may be).
   */
  append(group: readonly RecordDraft[]): Promise<readonly Appended[]> {
    const refusal = this.#refusal(group);
    if (refusal !== undefined) return Promise.reject(refusal);
    const before = this.#log.end;
    const appended = this.#log.append(group, this.epoch);
    const { end } = this.#log;
    this.#guard.appended(end - before);
    if (this.#guard.isStale) this.#upkeep.measureSoon();
    this.#writer.appended(end);
    return this.#acks.wait(end, this.#deadlineMs, appended);
  }

  /** The consume queue of a topic, when it exists. */
  queue(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#queues.get(topic, queueId);
  }

  /** The consume queue of a topic, made when missing. */
  ensureQueue(topic: string, queueId: number): ConsumeQueue {
    return this.#queues.ensure(topic, queueId);
  }

  /** Every consume queue. */
  queues(): Iterable<ConsumeQueue> {
    return this.#queues.all();
  }

  /** Drops a topic's consume queues. Made again, they continue their offsets. */
  deleteTopic(topic: string): void {
    background(this.#queues.deleteTopic(topic));
  }

  /**
   * The record at `position`, which must be a queue entry's, when it is in memory. Its bytes are
   * views that stay valid as long as they are held. Throws CORRUPT.
   */
  read(position: number, size: number): RecordView | undefined {
    return this.#tail.read(position, size) ?? this.#cold.cached({ position, size });
  }

  /**
   * Records from memory or files, in the order asked; undefined for those that have expired. Reads
   * as much as is asked for: bound the sum of the sizes. Throws CORRUPT and what the disk throws.
   */
  async readCold(places: readonly RecordPlace[]): Promise<readonly (RecordView | undefined)[]> {
    const records: (RecordView | undefined)[] = [];
    for (const place of places) {
      const held = this.#tail.read(place.position, place.size);
      if (held === undefined) records.push(...(await this.#cold.read([place])));
      else records.push(held);
    }
    return records;
  }

  /**
   * Gives the records of `[from, to)` in batches; `from` and `to` are ends or starts of records, `to`
   * is the confirmed position by default. Verifies every record: throws CORRUPT at a bad one, also
   * when `from` has expired. The next batch is read when it is asked for.
   */
  scan(from: number, to?: number): AsyncIterable<RecordView[]> {
    return scanLog(this.#segments, from, to ?? this.confirmed);
  }

  /** Lets a follower hear of records confirmed from now on. */
  subscribe(follower: StoreFollower): void {
    this.#dispatcher.subscribe(follower);
  }

  /** Resolves when everything before `position` survives a power cut. Rejects with STORE_FAILED. */
  flushTo(position: Position): Promise<void> {
    assert(position <= this.#log.end, "a flush beyond the log's end");
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (position <= this.#writer.flushed) return Promise.resolve();
    this.#writer.wantFlush(position);
    return this.#flushes.wait(position);
  }

  /** Lets queues continue where they were when all their messages have expired. To be called before `begin`. */
  restoreQueues(bounds: Iterable<QueueBounds>): void {
    assert(this.#state === "open", "queues are restored before the store begins");
    for (const bound of bounds) this.#queues.restore(bound);
  }

  /** Keeps and refuses by these settings from now on. */
  setRetention(options: Partial<RetentionOptions>): void {
    Object.assign(this.#options, options);
  }

  /** Runs retention now; by itself it runs every `cleanResourceInterval`. */
  clean(): Promise<void> {
    return this.#upkeep.clean();
  }

  /** Makes the queue files durable and notes it, so that the next start rebuilds less. */
  checkpoint(): Promise<void> {
    return this.#upkeep.checkpoint();
  }

  /** Answers what is in flight, flushes, writes a checkpoint, and gives the folder free. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#state = "closing";
    this.#writer.wantFlush(this.#log.end);
    await this.#writer.idle();
    for (const cancel of this.#timers) cancel();
    await this.#upkeep.stop();
    try {
      if (this.#failure === undefined) await this.#upkeep.checkpoint(closeSaveMs);
    } catch (error) {
      this.#options.logger.warn("the last checkpoint failed: the next start rebuilds more", {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
    this.#state = "closed";
    this.#acks.refuse(0, new MqError("SHUTTING_DOWN", "the store is closed"));
    this.#cold.close();
    await this.#mark.close();
    await this.#files.close();
    await this.#segments.close();
    await this.#lock.release();
  }

  #refusal(group: readonly RecordDraft[]): MqError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (this.#state !== "begun") {
      return new MqError("SHUTTING_DOWN", "the store takes no records now");
    }
    if (this.#log.end - this.#dispatcher.dispatched > limits.appendBacklogSizeMax) {
      return new MqError("TOO_MANY_REQUESTS", "the disk is behind: too much waits to be written");
    }
    try {
      this.#log.check(group);
    } catch (error) {
      if (error instanceof MqError) return error;
      throw error;
    }
    return this.#guard.refusal(group.some(isClients));
  }

  #writerParts(): ConstructorParameters<typeof LogWriter>[0] {
    const { clock, observer, flushDiskType } = this.#options;
    return {
      segments: this.#segments,
      tail: this.#tail,
      clock,
      observer,
      flushesAlways: flushDiskType === "SYNC_FLUSH",
      events: {
        advanced: () => this.#advance(),
        rolledBack: (cause) => this.#rollBack(cause),
        failed: (error) => this.#fail(error),
      },
    };
  }

  // Deadlines are as coarse as this check: no clock is read for each append.
  #expireAcks(): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#deadlineMs = nowMs + timeoutCheckMs + this.#options.syncFlushTimeoutMs;
    this.#acks.expire(nowMs);
  }

  #releaseWhenIdle(): void {
    const { end } = this.#log;
    if (end - this.#idleEnd < idleSizeMax) this.#tail.releaseSpares();
    this.#idleEnd = end;
  }

  #advance(): void {
    const { confirmed, flushed } = this;
    this.#dispatcher.advance(confirmed);
    this.#acks.confirm(confirmed);
    this.#tail.evict(Math.min(confirmed, this.#writer.written));
    this.#flushes.flushed(flushed);
  }

  #rollBack(cause: unknown): void {
    const { written } = this.#writer;
    const error = new MqError("DISK_FULL", "no space left on the disk: nothing was stored", {
      cause,
      facts: { folder: this.#options.folder },
    });
    this.#dispatcher.takeBack(written);
    this.#log.takeBack(written, this.#segments.all.at(-1)?.start ?? written);
    this.#acks.refuse(written, error);
    this.#flushes.refuse(written, error);
    this.#upkeep.diskFull();
  }

  #fail(error: MqError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#options.logger.error("the store takes no writes until restart", {
      reason: error.message,
    });
    this.#acks.refuse(this.confirmed, error);
    this.#flushes.refuse(0, error);
  }
}

const noBytes = new Uint8Array(0);
const noContent = { systemProperties: noBytes, userProperties: noBytes, body: noBytes };

// At the watermark what clients send is refused; what the broker notes itself still fits.
function isClients(draft: RecordDraft): boolean {
  return draft.type === RecordType.message || draft.type === RecordType.halfMessage;
}
