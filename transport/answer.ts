// The answer of one call while it cannot be sent at once: bytes wait here for window or socket, and its end waits
// behind them. Calls whose whole answer fits at once never have one.
import type { TransportLimits } from "../base/index.ts";
import { frameSizeMax } from "./http2.ts";
import { SendQueue } from "./send-queue.ts";
import type { Sender, SendingStream } from "./sender.ts";

/** The call that an answer belongs to. */
export interface AnswerOwner {
  readonly id: number;
  /** Bytes the peer lets us send on the stream. */
  sendWindow: number;
  /** All bytes are in the output; what ends the answer comes next. */
  emptied(): void;
}

/** What an answer needs of its surroundings. */
export interface AnswerOptions {
  readonly sender: Sender;
  readonly limits: TransportLimits;
  readonly monotonicMs: () => number;
}

/** DATA frames of one stream before the next has its turn. */
const turnFrameCount = 4;

/** Bytes of a call that wait. */
export class Answer implements SendingStream {
  readonly #owner: AnswerOwner;
  readonly #options: AnswerOptions;
  readonly #queue = new SendQueue();
  #drainWaiters: (() => void)[] = [];
  #ending = false;
  /** When it began to wait for the stream's window, on the monotonic clock; undefined when it does not. */
  waitingSinceMs: number | undefined;

  constructor(owner: AnswerOwner, options: AnswerOptions) {
    this.#owner = owner;
    this.#options = options;
  }

  /** Bytes that wait. */
  get size(): number {
    return this.#queue.size;
  }

  /** True when a writer should wait. */
  get full(): boolean {
    return this.#queue.size >= this.#options.limits.streamBufferSizeMax;
  }

  /** Queues bytes, by reference. `pump` sends them. */
  push(piece: Uint8Array): void {
    this.#queue.push(piece);
    this.#options.sender.queuedSize += piece.length;
  }

  /** No more bytes come: `emptied` is called once all are sent, now if nothing waits. */
  end(): void {
    this.#ending = true;
    if (this.#queue.size === 0) this.#owner.emptied();
  }

  /** Resolves when little waits, or the answer was dropped. */
  drained(): Promise<void> {
    if (!this.full) return Promise.resolve();
    return new Promise((resolve) => this.#drainWaiters.push(resolve));
  }

  /** Forgets what waits. */
  clear(): void {
    this.#options.sender.queuedSize -= this.#queue.size;
    this.#options.sender.forget(this);
    this.#queue.clear();
    this.#ending = false;
    this.waitingSinceMs = undefined;
    this.#wake();
  }

  /** Sends as much as the windows and the socket allow, in turns with the other streams. */
  pump(): void {
    const { sender } = this.#options;
    for (let turn = 0; this.#queue.size > 0 && this.#owner.sendWindow > 0; turn += 1) {
      if (turn === turnFrameCount || sender.room <= 0) {
        sender.wait(this);
        break;
      }
      this.#sendFrame(sender);
    }
    if (this.#queue.size > 0 && this.#owner.sendWindow <= 0) {
      this.waitingSinceMs ??= this.#options.monotonicMs();
    }
    sender.schedule();
    if (!this.full) this.#wake();
    if (this.#ending && this.#queue.size === 0) {
      this.#ending = false;
      this.#owner.emptied();
    }
  }

  #sendFrame(sender: Sender): void {
    const size = Math.min(this.#queue.size, this.#owner.sendWindow, sender.room, frameSizeMax);
    const at = sender.dataFrame(this.#owner.id, size);
    this.#queue.take(sender.output.bytes, at, size);
    this.#owner.sendWindow -= size;
    sender.queuedSize -= size;
    this.waitingSinceMs = undefined;
  }

  #wake(): void {
    if (this.#drainWaiters.length === 0) return;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const waiter of waiters) waiter();
  }
}
