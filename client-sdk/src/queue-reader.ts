// Reads one queue ahead of the application: a bounded number of messages, from a position that can be moved at any time.
import { JoinedSignal } from "./abort-listeners.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import type { FilterExpression } from "./filter-expression.ts";
import type { MessageView } from "./message-view.ts";
import type { OffsetCalls } from "./offset-calls.ts";
import type { PositionStore } from "./position-store.ts";
import type { Pulled, Puller } from "./puller.ts";
import { Bell, sleep } from "./timing.ts";
import { holdersOf, queueKey, type SeekTarget, type TopicQueue } from "./topic-queue.ts";

/** What readers of one consumer share. */
export interface ReaderParts {
  readonly core: ClientCore;
  readonly puller: Puller;
  readonly calls: OffsetCalls;
  readonly positions: PositionStore;
  /** Messages asked for at once. */
  readonly batchSize: number;
  readonly longPollingMs: number;
  /** Whether more may be read now: all readers together hold a bounded number of bytes. */
  hasRoom(): boolean;
  /** Messages have come or gone, or a failure that the application should see. */
  changed(reader: QueueReader): void;
}

/** What is read, and from where. */
export interface ReaderWish {
  readonly queue: TopicQueue;
  readonly filter: FilterExpression;
  /** Where to begin when no position is stored. */
  readonly initial: SeekTarget;
  /** False once the queue may be another one's: nothing of it is given any more. */
  mayGive(): boolean;
}

const lookAgainMs = 1_000;
const errorPauseMinMs = 50;
const errorPauseMaxMs = 1_000;
/** A server that answers an empty pull at once is not asked again at once. */
const emptyPauseMs = 200;
const heldPullMinMs = 50;
const untried: ReadonlySet<string> = new Set();

/** The reader of one queue. Runs from `start` to `stop`. */
export class QueueReader {
  readonly queue: TopicQueue;
  readonly key: string;
  readonly filter: FilterExpression;
  readonly #parts: ReaderParts;
  readonly #wish: ReaderWish;
  readonly #stopping = new AbortController();
  readonly #woken = new Bell();
  #buffer: MessageView[] = [];
  #bufferedBytes = 0;
  /** Where the next pull begins; undefined until it is known. */
  #fetchAt: number | undefined;
  /** Everything before has been given, and the application is done with it. */
  #doneAt: number | undefined;
  /** What was stored last. */
  #savedAt: number | undefined;
  /** Messages were given that the application is not done with. */
  #isOut = false;
  #isPaused = false;
  /** Cuts the pull under way off: its answer is of no use any more. */
  #fetching: AbortController | undefined;
  #failure: ClientError | undefined;
  #done: Promise<void> | undefined;

  constructor(parts: ReaderParts, wish: ReaderWish) {
    this.#parts = parts;
    this.#wish = wish;
    this.queue = wish.queue;
    this.key = queueKey(wish.queue);
    this.filter = wish.filter;
  }

  /** Offset of the next message that is given; undefined while that is not known. */
  get position(): number | undefined {
    return this.#buffer[0]?.offset ?? this.#fetchAt;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Whether the application has messages that it is not done with. */
  get isOut(): boolean {
    return this.#isOut;
  }

  /** Whether `take` would throw. */
  get hasFailed(): boolean {
    return this.#failure !== undefined && this.#buffer.length === 0;
  }

  /** The position to store; undefined when it is stored already, or not known. */
  get unsavedPosition(): number | undefined {
    return this.#doneAt === this.#savedAt ? undefined : this.#doneAt;
  }

  /** Begins to read. */
  start(): void {
    this.#done ??= this.#run();
  }

  /** Reads no more and gives nothing any more. Resolves when no pull is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#drop();
    await this.#done;
  }

  /** Holds back what is here and reads no more, until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#woken.ring();
    this.#parts.changed(this);
  }

  /** Goes on at `offset`, also back; what was given before counts as done with. */
  seek(offset: number): void {
    this.#drop();
    this.#fetchAt = offset;
    this.#doneAt = offset;
    this.#isOut = false;
    this.#woken.ring();
  }

  /** Messages for the application, at most `countMax`. Throws the failure that reading met last, once. */
  take(countMax: number): MessageView[] {
    if (this.#isPaused || this.#stopping.signal.aborted || !this.#wish.mayGive()) return [];
    const failure = this.#failure;
    this.#failure = undefined;
    if (this.#buffer.length === 0) {
      if (failure !== undefined) throw failure;
      return [];
    }
    const taken = this.#buffer.splice(0, countMax);
    for (const message of taken) this.#bufferedBytes -= message.bodySize;
    this.#isOut = true;
    this.#woken.ring();
    this.#parts.changed(this);
    return taken;
  }

  /** The application is done with all that it was given. */
  markDone(): void {
    this.#isOut = false;
    const { position } = this;
    // Nothing was read yet: what is stored stays so.
    if (position !== undefined) this.#doneAt = position;
  }

  /** `offset` was stored. */
  noteSaved(offset: number): void {
    this.#savedAt = offset;
  }

  #drop(): void {
    this.#fetching?.abort();
    this.#fetching = undefined;
    this.#buffer = [];
    this.#bufferedBytes = 0;
    this.#failure = undefined;
  }

  /** Reads until stopped; never rejects. */
  async #run(): Promise<void> {
    const stop = this.#stopping.signal;
    let pauseMs = errorPauseMinMs;
    while (!stop.aborted) {
      const fetching = new AbortController();
      this.#fetching = fetching;
      using joined = new JoinedSignal([fetching.signal, stop, this.#parts.core.closing]);
      try {
        await this.#room(joined.signal);
        await this.#readOnce(joined.signal);
        pauseMs = errorPauseMinMs;
      } catch (error) {
        if (stop.aborted || this.#parts.core.closing.aborted) return;
        if (fetching.signal.aborted) continue;
        this.#failed(toError(error));
        await sleep(pauseMs, stop).catch(toError);
        pauseMs = Math.min(errorPauseMaxMs, 2 * pauseMs);
      }
    }
  }

  /** Waits until more may be read. */
  async #room(signal: AbortSignal): Promise<void> {
    const isFull = (): boolean => this.#buffer.length * 2 > this.#parts.batchSize;
    while (this.#isPaused || isFull() || !this.#wish.mayGive() || !this.#parts.hasRoom()) {
      await this.#woken.wait(lookAgainMs, signal);
    }
  }

  async #readOnce(signal: AbortSignal): Promise<void> {
    const { core, puller, batchSize, longPollingMs } = this.#parts;
    const offset = await this.#begin(signal);
    const broker = await core.usableBroker({
      topic: this.queue.topic,
      choose: holdersOf(this.queue),
      turn: 0,
      tried: untried,
      waitMaxMs: lookAgainMs,
      signal,
    });
    if (broker === undefined) {
      const text = `broker ${this.queue.brokerName} cannot be reached`;
      throw new ClientError("UNREACHABLE", text, { topic: this.queue.topic });
    }
    const { queue, filter } = this;
    const startMs = Date.now();
    const call = { queue, broker, offset, filter, countMax: batchSize, longPollingMs, signal };
    const pulled = await puller.pull(call);
    // Moved or stopped while the answer was on its way.
    if (signal.aborted) return;
    this.#accept(pulled, offset);
    const isEmpty = pulled.nextOffset === offset && pulled.messages.length === 0;
    const wasHeld = Date.now() - startMs >= heldPullMinMs;
    if (isEmpty && !wasHeld && longPollingMs > 0) await sleep(emptyPauseMs, signal);
  }

  /** Where to read: the place where reading is, else the stored position, else where the application wants to begin. */
  async #begin(signal: AbortSignal): Promise<number> {
    if (this.#fetchAt !== undefined) return this.#fetchAt;
    const { calls, positions, core } = this.#parts;
    const options = { timeoutMs: core.options.requestTimeoutMs, signal };
    const stored = await positions.load(this.queue, options);
    const offset = stored ?? (await calls.find(this.queue, this.#wish.initial, options));
    if (signal.aborted) return offset;
    this.#fetchAt = offset;
    this.#savedAt = stored;
    // Where a group begins is stored too: it shall not begin elsewhere the next time.
    this.#doneAt ??= offset;
    return offset;
  }

  #accept({ messages, nextOffset, outside }: Pulled, offset: number): void {
    const { logger } = this.#parts.core.options;
    if (outside !== undefined) {
      logger.warn("a queue goes on elsewhere", this.key, `${offset} > ${nextOffset}`, outside);
    }
    this.#fetchAt = nextOffset;
    this.#failure = undefined;
    this.#buffer.push(...messages);
    for (const message of messages) this.#bufferedBytes += message.bodySize;
    if (messages.length > 0) this.#parts.changed(this);
  }

  #failed(error: Error): void {
    this.#parts.core.options.logger.warn("pull failed", this.key, error.message);
    // What passes by itself is nobody's business.
    if (!(error instanceof ClientError) || error.retryable) return;
    this.#failure = error;
    this.#parts.changed(this);
  }
}
