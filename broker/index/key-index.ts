// The message index of a broker: follows the log at a distance, takes its time when there is much to
// do, and finds messages by key and by id. docs/format/key-index.md.
import {
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  limits,
  MqError,
} from "../../base/index.ts";
import type { Store } from "../store/index.ts";
import type { FoundMessage, IndexPort, IndexQuery, IndexStart } from "./index-port.ts";

/** The store as the index follows it. */
export type IndexedStore = Pick<Store, "confirmed" | "epochs" | "queues" | "start" | "subscribe">;

/** What an index stands on. */
export interface KeyIndexOptions {
  readonly store: IndexedStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Opens whoever builds the index: a worker thread, or an `Indexer` in this one. */
  readonly openPort: (start: IndexStart) => Promise<IndexPort>;
}

interface Waiter {
  readonly position: number;
  readonly resolve: () => void;
}

/** Finds messages of a topic. It may be behind the log, and says how far. */
export class KeyIndex {
  readonly #options: KeyIndexOptions;
  #port: Promise<IndexPort> | undefined;
  #indexed = 0;
  #confirmed = 0;
  #confirmedBefore = 0;
  #hasMessages = false;
  #isPumping = false;
  #saidFailure = false;
  #waiters: Waiter[] = [];
  #cancelTimer: CancelTimer | undefined;
  #closing: Promise<void> | undefined;

  /** Follows the store from now on. Nothing is opened before there is something to index, or to find. */
  constructor(options: KeyIndexOptions) {
    this.#options = options;
    const { store } = options;
    for (const { minOffset, endOffset } of store.queues()) {
      if (endOffset > minOffset) this.#hasMessages = true;
    }
    store.subscribe({
      arrived: () => {
        this.#hasMessages = true;
      },
      confirmed: (position) => this.#grow(position),
    });
    this.#grow(store.confirmed);
  }

  /** Everything confirmed before it can be found; 0 until the index has been opened. */
  get indexedPosition(): number {
    return this.#indexed;
  }

  /** Bytes of the log that cannot be found yet. */
  get lagBytes(): number {
    return this.#hasMessages ? Math.max(0, this.#confirmed - this.#indexed) : 0;
  }

  /**
   * Where messages of a topic with a key lie, newest first, stored in `[beginMs, endMs]`. Waits for
   * what was confirmed before the call to be indexed, for a short while only. Throws
   * INTERNAL_SERVER_ERROR when the index cannot be read now.
   */
  byKey(query: {
    readonly topic: string;
    readonly key: string;
    readonly beginMs: number;
    readonly endMs: number;
    readonly countMax: number;
  }): Promise<readonly FoundMessage[]> {
    const { topic, key, beginMs, endMs, countMax } = query;
    return this.#query({ topic, by: { key }, beginMs, endMs, countMax });
  }

  /** Where the messages of a topic with an id lie, newest first: more than one when it was sent again. See `byKey`. */
  byId(topic: string, messageId: string): Promise<readonly FoundMessage[]> {
    const countMax = limits.queryMessageCountMax;
    const time = { beginMs: 0, endMs: Number.MAX_SAFE_INTEGER };
    return this.#query({ topic, by: { id: messageId }, ...time, countMax });
  }

  /** Ends the building and closes what is open. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#cancelTimer?.();
    this.#release(Number.POSITIVE_INFINITY);
    const port = this.#port;
    this.#port = undefined;
    try {
      await (await port)?.close();
    } catch {
      // It failed before, and was said then.
    }
  }

  async #query(query: IndexQuery): Promise<readonly FoundMessage[]> {
    if (this.#closing !== undefined) throw new MqError("SHUTTING_DOWN", "the broker is stopping");
    await this.#reached(this.#confirmed);
    try {
      const found = await (await this.#opened()).query(query);
      const { start } = this.#options.store;
      return found.filter(({ position }) => position >= start);
    } catch (cause) {
      await this.#dropPort();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MqError("INTERNAL_SERVER_ERROR", `the message index cannot be read: ${reason}`, {
        cause,
      });
    }
  }

  /** Resolves when everything before `position` is indexed, or has not been for too long. */
  #reached(position: number): Promise<void> {
    if (position <= this.#indexed) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(limits.indexQueryWaitMs, () => done());
      const waiter = { position, resolve: () => done() };
      const done = (): void => {
        cancel();
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        resolve();
      };
      this.#waiters.push(waiter);
      this.#schedule(0);
    });
  }

  #grow(confirmed: number): void {
    this.#confirmed = confirmed;
    if (this.#hasMessages && this.#cancelTimer === undefined && !this.#isPumping) {
      this.#schedule(this.#port === undefined ? limits.indexStartDelayMs : limits.indexDelayMs);
    }
  }

  /** Lets the next step come after `delayMs`, instead of when it was to come. */
  #schedule(delayMs: number): void {
    if (this.#closing !== undefined || this.#isPumping) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#options.clock.after(
      delayMs,
      () => {
        this.#cancelTimer = undefined;
        background(this.#step());
      },
      { unref: true },
    );
  }

  async #step(): Promise<void> {
    if (this.#closing !== undefined || this.#indexed >= this.#confirmed) return;
    this.#isPumping = true;
    const delayMs = await this.#advance();
    this.#isPumping = false;
    this.#release(this.#indexed);
    if (this.#indexed < this.#confirmed) this.#schedule(this.#waiters.length > 0 ? 0 : delayMs);
  }

  /** Indexes a part. Gives how long to wait before the next one, milliseconds. */
  async #advance(): Promise<number> {
    const { store, logger } = this.#options;
    const end = this.#confirmed;
    try {
      const port = await this.#opened();
      const { position, busyMs } = await port.advance({ start: store.start, end });
      this.#indexed = position;
      this.#saidFailure = false;
      // While the log grows fast, the processors belong to those who send.
      const isBusy = end - this.#confirmedBefore > limits.indexStepSize;
      this.#confirmedBefore = end;
      if (position >= end) return limits.indexDelayMs;
      return busyMs * (isBusy ? limits.indexRestBusy : limits.indexRestQuiet);
    } catch (error) {
      await this.#dropPort();
      this.#release(Number.POSITIVE_INFINITY);
      const reason = error instanceof Error ? error.message : String(error);
      if (!this.#saidFailure && this.#closing === undefined) {
        logger.warn("message index stands still, will be opened again", { reason });
      }
      this.#saidFailure = true;
      return limits.indexRetryMs;
    }
  }

  #opened(): Promise<IndexPort> {
    const { store, openPort } = this.#options;
    const { start, epochs } = store;
    this.#port ??= openPort({
      start,
      end: this.#confirmed,
      epochs: epochs.map(({ epoch, position }) => ({ epoch, position })),
    });
    return this.#port;
  }

  /** Closes what has failed; the next use opens it again, and learns anew how far it is. */
  async #dropPort(): Promise<void> {
    const port = this.#port;
    this.#port = undefined;
    this.#indexed = 0;
    try {
      await (await port)?.close();
    } catch {
      // It has failed already.
    }
  }

  #release(position: number): void {
    const due = this.#waiters.filter((waiter) => waiter.position <= position);
    for (const waiter of due) waiter.resolve();
  }
}
