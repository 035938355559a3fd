// The bound of what a producer holds: messages that were given and are not settled. Who finds it full
// waits in line, for a limited time.
import { abortReason, onAbort } from "./abort-listeners.ts";
import { ClientError } from "./client-error.ts";

/** How much a producer holds and what happens when it is full. */
export interface SendBufferOptions {
  readonly countMax: number;
  readonly sizeMaxBytes: number;
  /** "wait" for room, or "reject" at once with BUFFER_FULL. */
  readonly whenFull: "wait" | "reject";
  /** Milliseconds a send waits for room; then TIMEOUT. */
  readonly waitMaxMs: number;
}

interface Waiter {
  readonly size: number;
  readonly enter: () => void;
  readonly fail: (error: Error) => void;
}

/** Counts messages and bytes. */
export class SendBuffer {
  readonly #options: SendBufferOptions;
  readonly #waiting = new Set<Waiter>();
  #count = 0;
  #size = 0;

  constructor(options: SendBufferOptions) {
    this.#options = options;
  }

  /** Messages it holds. */
  get count(): number {
    return this.#count;
  }

  /** Takes room when there is some and nobody waits in front. */
  tryEnter(size: number): boolean {
    if (this.#waiting.size > 0 || !this.#fits(size)) return false;
    this.#count++;
    this.#size += size;
    return true;
  }

  #fits(size: number): boolean {
    // One message always fits an empty buffer, however large it is.
    if (this.#count === 0) return true;
    return this.#count < this.#options.countMax && this.#size + size <= this.#options.sizeMaxBytes;
  }

  /** Takes room as soon as there is some. Rejects with BUFFER_FULL, TIMEOUT, or the signal's reason. */
  enter(size: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#options.whenFull === "reject") {
      return Promise.reject(
        new ClientError(
          "BUFFER_FULL",
          `${this.#count} messages of ${this.#size} bytes wait to be sent. Send slower, wait for earlier sends, or raise maxBufferCount and maxBufferSizeInBytes`,
        ),
      );
    }
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortReason(signal));
      const leave = (): void => {
        clearTimeout(timer);
        leaveSignal();
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        size,
        enter: () => {
          leave();
          this.#count++;
          this.#size += size;
          resolve();
        },
        fail: (error) => {
          leave();
          reject(error);
          // Whoever stood behind may fit now.
          this.#admit();
        },
      };
      const leaveSignal = onAbort(signal, () => signal && waiter.fail(abortReason(signal)));
      const { waitMaxMs } = this.#options;
      const timer = setTimeout(() => {
        const text = `no room in the send buffer within ${waitMaxMs} ms: the broker takes less than is sent`;
        waiter.fail(new ClientError("TIMEOUT", text));
      }, waitMaxMs);
      this.#waiting.add(waiter);
    });
  }

  /** Gives room back. */
  leave(size: number): void {
    this.#count--;
    this.#size -= size;
    if (this.#waiting.size > 0) this.#admit();
  }

  #admit(): void {
    for (const waiter of this.#waiting) {
      if (!this.#fits(waiter.size)) return;
      waiter.enter();
    }
  }

  /** Fails all who wait. */
  close(error: Error): void {
    for (const waiter of this.#waiting) waiter.fail(error);
  }
}
