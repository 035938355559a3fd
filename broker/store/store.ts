// The store of one broker: the commit log and what follows it, behind one door. Knows no network
// and no meaning of a record beyond its queue.
import {
  assert,
  background,
  type CancelTimer,
  type Epoch,
  MqError,
  type Position,
  position as toPosition,
} from "../../base/index.ts";
import type { Appended, SendPlaces } from "./ack-line.ts";
import { Answers, timeoutCheckMs } from "./answers.ts";
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
import { LogReader, type LogReadWish } from "./log-reader.ts";
import { scanLog, scanTail } from "./log-scanner.ts";
import { LogWriter } from "./log-writer.ts";
import type { QueueFiles } from "./queue-files.ts";
import type { Quorum } from "./quorum.ts";
import { epochStartDraft, type RecordDraft, type RecordView } from "./record.ts";
import type { RetentionOptions } from "./retention.ts";
import type { Segments } from "./segments.ts";
import { type StoreOptions, withDefaults } from "./store-options.ts";
import { logStart, openParts, type StoreParts, writerParts } from "./store-parts.ts";
import { diskFull, isClients, type StoreState, stateRefusal } from "./store-refusals.ts";
import { type StoreStats, statsOf } from "./store-stats.ts";
import { TailCache } from "./tail-cache.ts";
import { type ExpireHook, Upkeep } from "./upkeep.ts";

const idleCheckMs = 10_000;
/** Time for saving the queues when closing; what is not saved is rebuilt from the log. */
const closeSaveMs = 2_000;

/** A data folder in use. */
export class Store {
  /** Has the state snapshotted before the log loses its head; see `ExpireHook`. */
  set onExpire(hook: ExpireHook) {
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
  readonly #reader: LogReader;
  readonly #writer: LogWriter;
  readonly #dispatcher: Dispatcher;
  readonly #log: CommitLog;
  readonly #guard: DiskGuard;
  readonly #upkeep: Upkeep;
  readonly #answers: Answers;
  readonly #progressListeners = new Set<() => void>();
  readonly #timers: CancelTimer[] = [];
  readonly #flushes = new FlushLine();
  #state: StoreState = "open";
  #failure: MqError | undefined;
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
    this.#tail = new TailCache(options.tailCacheSizeBytes);
    this.#reader = new LogReader(this.#tail, parts.cold, segments);
    this.#answers = new Answers(options.clock, options.syncFlushTimeoutMs, recovered.end);
    this.#dispatcher = new Dispatcher(queues, (place) => this.#tail.recordAt(place), recovered.end);
    this.#log = new CommitLog(
      {
        tail: this.#tail,
        queues,
        dispatcher: this.#dispatcher,
        clock: options.clock,
        segmentSizeBytes: options.mappedFileSizeCommitLog,
      },
      logStart(parts),
    );
    const failed = (error: MqError): void => this.#fail(error);
    const rolledBack = (cause: unknown): void => this.#rollBack(cause);
    const events = { advanced: () => this.#advance(), rolledBack, failed };
    this.#writer = new LogWriter(writerParts(parts, this.#tail, events), recovered.end);
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
        epochs: this.#log.epochs,
      }),
      flushTo: (place) => this.flushTo(toPosition(place)),
      failed,
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

  /** Everything before it has on this broker the durability that flushDiskType promises. */
  get durable(): Position {
    const isSync = this.#options.flushDiskType === "SYNC_FLUSH";
    return toPosition(isSync ? this.#writer.flushed : this.#writer.written);
  }

  /** Everything before it may be seen. Never goes back. */
  get confirmed(): Position {
    return toPosition(this.#answers.confirmed);
  }

  /** Everything before it is in the queues and told to the followers. */
  get dispatched(): Position {
    return toPosition(this.#dispatcher.dispatched);
  }

  /** The newest epoch; 0 before the first `begin`. */
  get epoch(): Epoch {
    return this.#log.epoch;
  }

  /** Every epoch and where it starts, ascending. */
  get epochs(): readonly EpochStart[] {
    return this.#log.epochs;
  }

  /** The first failure that stopped the writing: STORE_FAILED. Undefined while all is well. */
  get failure(): MqError | undefined {
    return this.#failure;
  }

  /** Messages that ever entered the queues that there are. */
  get messageCount(): number {
    return this.#queues.messageCount;
  }

  /** Store time of the newest record, milliseconds since 1970; 0 without one. */
  get newestMs(): number {
    return this.#log.storeTimeMs;
  }

  /** How the store is doing. */
  get stats(): StoreStats {
    return statsOf({
      segments: this.#segments,
      queues: this.#queues,
      files: this.#files,
      tail: this.#tail,
      guard: this.#guard,
      behindBytes: this.#log.end - this.#dispatcher.dispatched,
      waitingCount: this.#answers.count,
    });
  }

  /**
   * Opens a new epoch, the next one or the one given, which must be newer, and starts taking records; also after
   * `follow`. Resolves when that is confirmed. Throws DISK_FULL or STORE_FAILED when it cannot be written.
   */
  async begin(epoch: number = this.epoch + 1): Promise<void> {
    assert(this.#state === "open" || this.#state === "following", "a store begins once");
    if (this.#state === "open") await this.#start();
    this.#log.openEpoch(epoch);
    this.#upkeep.followedStart = undefined;
    this.#state = "begun";
    await this.append([epochStartDraft]);
  }

  /**
   * Starts copying another broker's log with `ingest`; appends are refused with NOT_MASTER. When this log is empty
   * it may begin at `emptyStart`.
   */
  async follow(emptyStart?: number): Promise<void> {
    assert(this.#state === "open", "a store that has begun follows nobody");
    if (emptyStart !== undefined && this.#segments.all.length === 0) {
      this.#log.startAt(emptyStart);
      this.#writer.startAt(emptyStart);
      this.#dispatcher.startAt(emptyStart);
      this.#answers.startAt(emptyStart);
    }
    this.#upkeep.followedStart = this.start;
    await this.#start();
    this.#state = "following";
  }

  /**
   * Takes the next bytes of the copied log, cut anywhere, and copies them. Throws CORRUPT when they do not continue it,
   * DISK_FULL, STORE_FAILED, SHUTTING_DOWN.
   */
  ingest(bytes: Buffer): void {
    assert(this.#state !== "open" && this.#state !== "begun", "only a follower takes a log over");
    const refusal = this.#failure ?? this.#guard.refusal(false);
    if (refusal !== undefined) throw refusal;
    if (this.#state !== "following") throw new MqError("SHUTTING_DOWN", "the store is closing");
    const before = this.#log.end;
    try {
      this.#log.ingest(bytes);
    } finally {
      this.#appended(before);
    }
  }

  /** Behind the last byte that `ingest` has taken. */
  get taken(): number {
    return this.#log.taken;
  }

  /**
   * Bytes of the log from `from` on as far as they are in the files: none at `written`. They are good as long as they
   * are held and, where they lie in the wish's memory, that is not used again. Undefined when they have expired.
   */
  readLog(from: number, wish: LogReadWish): Promise<Buffer | undefined> {
    return this.#reader.bytes(from, this.#writer.written, wish);
  }

  /** Calls `listener` whenever `written`, `flushed` or `confirmed` has moved. Returns what ends it. */
  onProgress(listener: () => void): () => void {
    this.#progressListeners.add(listener);
    return () => this.#progressListeners.delete(listener);
  }

  /** Lets `quorum` say, beside the disk, what may be seen and answered; again whenever its word has changed. */
  heed(quorum: Quorum): void {
    this.#answers.quorum = quorum;
    this.#advance();
  }

  /**
   * Appends an atomic group: after a crash all of it is there or nothing. The bytes are copied
   * before this returns. Resolves when the records may be seen; followers have been told then. Rejects with
   * DISK_FULL, TOO_MANY_REQUESTS, MESSAGE_BODY_TOO_LARGE, NOT_MASTER and SHUTTING_DOWN (nothing is stored),
   * MASTER_PERSISTENCE_TIMEOUT, SLAVE_PERSISTENCE_TIMEOUT and STORE_FAILED (it may be).
   */
  append(group: readonly RecordDraft[]): Promise<readonly Appended[]> {
    const refusal = this.#refusal(group);
    if (refusal !== undefined) return Promise.reject(refusal);
    const appended = this.#append(group);
    return this.#answers.untilSeen(this.#log.end, appended);
  }

  /**
   * As `append`, for what clients send: resolves when the quorum lets it be answered. Rejects with HA_NOT_AVAILABLE too,
   * before anything is stored (facts without `position`) or when it is stored here alone (with it). Tells `places` at once.
   */
  send(group: readonly RecordDraft[], places?: SendPlaces): Promise<readonly Appended[]> {
    const refusal = this.#refusal(group) ?? this.#answers.quorum.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const appended = this.#append(group);
    places?.placed(appended);
    return this.#answers.untilAnswered(this.#log.end, appended);
  }

  /** Answers for a send again whose last record ends at `end`, as the quorum has it then. Rejects as `send` does. */
  sendAgain(end: number): Promise<void> {
    const stopped = this.#failure ?? stateRefusal(this.#state);
    return this.#answers.untilAnsweredAgain(end, this.durable, stopped);
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

  /**
   * Drops a topic's consume queues, which ended at `ends` when it was deleted. Made again, they continue their
   * offsets. A follower may have more of them already: of a topic that was made again.
   */
  deleteTopic(topic: string, ends: Iterable<Omit<QueueBounds, "minOffset" | "topic">>): void {
    if (this.#state !== "following") return background(this.#queues.deleteTopic(topic));
    for (const { queueId, nextOffset } of ends) {
      this.#queues.get(topic, queueId)?.expire(nextOffset);
    }
  }

  /**
   * The record at `position`, which must be a queue entry's, when it is in memory. Its bytes are
   * views that stay valid as long as they are held. Throws CORRUPT.
   */
  read(position: number, size: number): RecordView | undefined {
    return this.#tail.read(position, size) ?? this.#cold.cached({ position, size });
  }

  /**
   * Records from memory or files, in the order asked; undefined for those that have expired. Bound the sum of the
   * sizes. Throws CORRUPT and what the disk throws.
   */
  readCold(places: readonly RecordPlace[]): Promise<readonly (RecordView | undefined)[]> {
    return this.#reader.records(places);
  }

  /**
   * Gives the records of `[from, to)` in batches; `from` and `to` are ends or starts of records, `to`
   * is the confirmed position by default. Verifies every record: throws CORRUPT at a bad one, also
   * when `from` has expired. The next batch is read when it is asked for.
   */
  scan(from: number, to?: number): AsyncIterable<RecordView[]> {
    return scanLog(this.#segments, from, to ?? this.confirmed);
  }

  /** As `scan`, beginning with the first record in the last `sizeBytes` of what is confirmed. */
  scanTail(sizeBytes: number): AsyncIterable<RecordView[]> {
    return scanTail(this.#segments, this.confirmed - sizeBytes, this.confirmed);
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

  /** Lets a follower's log lose what lies before its master's; by itself it loses nothing. */
  setFollowedStart(start: number): void {
    this.#upkeep.followedStart = start;
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
    this.#answers.refuse(0, new MqError("SHUTTING_DOWN", "the store is closed"));
    this.#cold.close();
    await this.#mark.close();
    await this.#files.close();
    await this.#segments.close();
    await this.#lock.release();
  }

  #refusal(group: readonly RecordDraft[]): MqError | undefined {
    const isSend = group.some(isClients);
    return (
      this.#failure ??
      stateRefusal(this.#state) ??
      this.#guard.backlogRefusal(this.#log.end - this.#dispatcher.dispatched, isSend) ??
      this.#log.refusal(group) ??
      this.#guard.refusal(isSend)
    );
  }

  async #start(): Promise<void> {
    await this.#upkeep.mark();
    await this.#guard.measure();
    const { clock, flushIntervalCommitLogMs } = this.#options;
    this.#timers.push(
      clock.every(timeoutCheckMs, () => this.#answers.expire(this.durable)),
      clock.every(flushIntervalCommitLogMs, () => this.#writer.wantFlush(this.#writer.written)),
      clock.every(idleCheckMs, () => this.#tail.releaseWhenIdle()),
    );
    this.#upkeep.start();
    this.#answers.expire(this.durable);
  }

  #append(group: readonly RecordDraft[]): readonly Appended[] {
    const before = this.#log.end;
    const appended = this.#log.append(group);
    this.#appended(before);
    return appended;
  }

  #appended(before: number): void {
    const { end } = this.#log;
    this.#guard.appended(end - before);
    if (this.#guard.isStale) this.#upkeep.measureSoon();
    this.#writer.appended(end);
  }

  #advance(): void {
    const { durable, flushed } = this;
    const confirmed = this.#answers.confirm(durable);
    this.#dispatcher.advance(confirmed);
    this.#answers.answer(durable);
    this.#tail.evict(Math.min(confirmed, this.#writer.written));
    this.#flushes.flushed(flushed);
    for (const listener of this.#progressListeners) listener();
  }

  #rollBack(cause: unknown): void {
    const { written } = this.#writer;
    const error = diskFull(this.#options.folder, cause);
    this.#dispatcher.takeBack(written);
    this.#log.takeBack(written, this.#segments.all.at(-1)?.start ?? written);
    this.#answers.refuse(written, error);
    this.#flushes.refuse(written, error);
    this.#upkeep.diskFull();
  }

  #fail(error: MqError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    const { logger } = this.#options;
    logger.error("the store takes no writes until restart", { reason: error.message });
    this.#answers.refuse(this.confirmed, error);
    this.#flushes.refuse(0, error);
  }
}
