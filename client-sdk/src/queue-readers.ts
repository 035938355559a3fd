// All queues that a consumer reads: gives messages of them in turn, knows what the application is done with, and stores
// that. Memory is bounded by bytes over all queues, and by one and a half batches each.
import { JoinedSignal } from "./abort-listeners.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import type { MessageView } from "./message-view.ts";
import type { OffsetCalls } from "./offset-calls.ts";
import type { PositionStore } from "./position-store.ts";
import type { Puller } from "./puller.ts";
import { QueueReader, type ReaderParts, type ReaderWish } from "./queue-reader.ts";
import { Bell, every } from "./timing.ts";
import { type QueuePosition, queueKey, type SeekTarget, type TopicQueue } from "./topic-queue.ts";

/** What the readers of a consumer stand on. */
export interface QueueReadersOptions {
  readonly core: ClientCore;
  readonly puller: Puller;
  readonly calls: OffsetCalls;
  readonly positions: PositionStore;
  readonly batchSize: number;
  readonly longPollingMs: number;
  readonly cacheSizeMaxBytes: number;
  /** Positions are stored each so many milliseconds; undefined: only when the application says so. */
  readonly autoCommitMs: number | undefined;
}

/** How much is wanted, and for how long. */
export interface TakeWish {
  readonly countMax: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** A queue that is given up waits no longer for its position to be stored: another reads it soon. */
const farewellMaxMs = 2_000;

/** Readers by queue. */
export class QueueReaders {
  readonly #options: QueueReadersOptions;
  readonly #readers = new Map<string, QueueReader>();
  readonly #news = new Bell();
  readonly #parts: ReaderParts;
  /** Whoever stores waits for who stores already: the last word is stored last. */
  #saving: Promise<void> = Promise.resolve();
  #stopAutoCommit: (() => void) | undefined;
  #turn = 0;

  constructor(options: QueueReadersOptions) {
    this.#options = options;
    const { cacheSizeMaxBytes } = options;
    this.#parts = {
      ...options,
      hasRoom: () => this.#bufferedBytes < cacheSizeMaxBytes,
      changed: () => this.#news.ring(),
    };
  }

  get #bufferedBytes(): number {
    let total = 0;
    for (const reader of this.#readers.values()) total += reader.bufferedBytes;
    return total;
  }

  /** The queues that are read. */
  get queues(): readonly TopicQueue[] {
    return [...this.#readers.values()].map(({ queue }) => queue);
  }

  /** Starts to store positions by itself, when it is to. */
  start(): void {
    const { autoCommitMs, core } = this.#options;
    if (autoCommitMs === undefined) return;
    this.#stopAutoCommit ??= every(autoCommitMs, () => {
      void this.save(this.#unsaved()).catch((error: unknown) =>
        core.options.logger.warn("positions were not stored", toError(error).message),
      );
    });
  }

  /** Reads one more queue. */
  add(wish: ReaderWish): void {
    const reader = new QueueReader(this.#parts, wish);
    this.#readers.set(reader.key, reader);
    reader.start();
  }

  /** Whether the queue is read. */
  has(queue: TopicQueue): boolean {
    return this.#readers.has(queueKey(queue));
  }

  /** Reads these queues no more. With `save`, what the application is done with is stored; failures are logged. */
  async remove(queues: readonly TopicQueue[], { save }: { readonly save: boolean }): Promise<void> {
    const readers = queues.flatMap((queue) => this.#readers.get(queueKey(queue)) ?? []);
    const unsaved = save ? positionsOf(readers) : [];
    for (const { key } of readers) this.#readers.delete(key);
    await Promise.all(readers.map((reader) => reader.stop()));
    await this.save(unsaved, farewellMaxMs).catch((error: unknown) =>
      this.#options.core.options.logger.warn("positions were not stored", toError(error).message),
    );
  }

  /** Resolves when the application is done with what it has of these queues, or after `timeoutMs`. */
  async untilDone(
    queues: readonly TopicQueue[],
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<void> {
    const endMs = Date.now() + timeoutMs;
    const isOut = (): boolean =>
      queues.some((queue) => this.#readers.get(queueKey(queue))?.isOut === true);
    while (isOut() && Date.now() < endMs) await this.#news.wait(endMs - Date.now(), signal);
  }

  /**
   * Messages of the queues in turn, at most `countMax`; none when none came in time. What was given before counts as done
   * with. Rejects with a failure that does not pass by itself.
   */
  async take({ countMax, timeoutMs, signal }: TakeWish): Promise<MessageView[]> {
    this.markDone();
    const endMs = Date.now() + timeoutMs;
    using joined = new JoinedSignal([signal, this.#options.core.closing]);
    for (;;) {
      const messages = this.#takeNow(countMax);
      const leftMs = endMs - Date.now();
      if (messages.length > 0 || leftMs <= 0) return messages;
      await this.#news.wait(leftMs, joined.signal);
    }
  }

  #takeNow(countMax: number): MessageView[] {
    const readers = [...this.#readers.values()];
    const first = this.#turn++;
    const messages: MessageView[] = [];
    for (let index = 0; index < readers.length && messages.length < countMax; index++) {
      const reader = readers[(first + index) % readers.length];
      if (reader === undefined) continue;
      // What others have given must not be lost by the failure of one.
      if (messages.length > 0 && reader.hasFailed) continue;
      messages.push(...reader.take(countMax - messages.length));
    }
    return messages;
  }

  /** The application is done with all that it was given. */
  markDone(): void {
    for (const reader of this.#readers.values()) reader.markDone();
    this.#news.ring();
  }

  /** Stores what the application is done with. */
  saveDone(): Promise<void> {
    return this.save(this.#unsaved());
  }

  /** Stores positions, one call at a time. */
  save(
    positions: readonly QueuePosition[],
    timeoutMaxMs: number = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    if (positions.length === 0) return Promise.resolve();
    const saved = this.#saving.then(() => this.#save(positions, timeoutMaxMs));
    this.#saving = saved.catch(() => {});
    return saved;
  }

  async #save(positions: readonly QueuePosition[], timeoutMaxMs: number): Promise<void> {
    const { core } = this.#options;
    const timeoutMs = Math.min(core.options.requestTimeoutMs, timeoutMaxMs);
    await this.#options.positions.save(positions, { timeoutMs });
    for (const { queue, offset } of positions)
      this.#readers.get(queueKey(queue))?.noteSaved(offset);
  }

  #unsaved(): QueuePosition[] {
    return positionsOf([...this.#readers.values()]);
  }

  /** Moves a queue to a place; what was given of it counts as done with. Throws BAD_OPTION when it is not read here. */
  async seek(queue: TopicQueue, target: SeekTarget, signal?: AbortSignal): Promise<void> {
    this.#reader(queue);
    const { core, calls } = this.#options;
    using joined = new JoinedSignal([signal, core.closing]);
    const options = { timeoutMs: core.options.requestTimeoutMs, signal: joined.signal };
    const offset = await calls.find(queue, target, options);
    this.#reader(queue).seek(offset);
  }

  /** Offset of the next message that is given of a queue; undefined while it is not known. Throws BAD_OPTION as `seek`. */
  position(queue: TopicQueue): number | undefined {
    return this.#reader(queue).position;
  }

  /** Gives nothing of these queues until `resume`. Throws BAD_OPTION as `seek`. */
  pause(queues: readonly TopicQueue[]): void {
    for (const reader of queues.map((queue) => this.#reader(queue))) reader.pause();
  }

  resume(queues: readonly TopicQueue[]): void {
    for (const reader of queues.map((queue) => this.#reader(queue))) reader.resume();
  }

  get paused(): readonly TopicQueue[] {
    return [...this.#readers.values()].filter(({ isPaused }) => isPaused).map(({ queue }) => queue);
  }

  #reader(queue: TopicQueue): QueueReader {
    const reader = this.#readers.get(queueKey(queue));
    if (reader !== undefined) return reader;
    throw new ClientError(
      "BAD_OPTION",
      `queue ${queue.queueId} of broker ${queue.brokerName} is not read by this consumer`,
      { topic: queue.topic },
    );
  }

  /** Stops all; with `save`, what the application is done with is stored. */
  async close(options: { readonly save: boolean }): Promise<void> {
    this.#stopAutoCommit?.();
    await this.remove(this.queues, options);
    await this.#saving;
  }
}

function positionsOf(readers: readonly QueueReader[]): QueuePosition[] {
  return readers.flatMap(({ queue, unsavedPosition: offset }) =>
    offset === undefined ? [] : [{ queue, offset }],
  );
}
