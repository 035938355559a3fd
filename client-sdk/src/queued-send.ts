// A message in the producer's buffer, and the promise that its sender holds.
import { abortReason, onAbort } from "./abort-listeners.ts";
import type { SendReceipt } from "./send-receipt.ts";
import type { OutgoingMessage } from "./wire/send-request.ts";

/** Settled once, by `succeed`, `fail` or its signal; leaves the buffer with `succeed` or `fail`. */
export class QueuedSend {
  readonly message: OutgoingMessage;
  /** Bytes it takes in the buffer. */
  readonly size: number;
  readonly deadlineMs: number;
  readonly #resolve: (receipt: SendReceipt) => void;
  readonly #reject: (error: Error) => void;
  readonly #left: (size: number) => void;
  #leaveSignal: (() => void) | undefined;
  #givenUp = false;

  constructor(
    facts: {
      readonly message: OutgoingMessage;
      readonly size: number;
      readonly deadlineMs: number;
    },
    promise: {
      readonly resolve: (receipt: SendReceipt) => void;
      readonly reject: (error: Error) => void;
    },
    left: (size: number) => void,
  ) {
    this.message = facts.message;
    this.size = facts.size;
    this.deadlineMs = facts.deadlineMs;
    this.#resolve = promise.resolve;
    this.#reject = promise.reject;
    this.#left = left;
  }

  /** Whether its sender gave it up; it need not be sent any more. */
  get givenUp(): boolean {
    return this.#givenUp;
  }

  /** Rejects at once when the signal is aborted. */
  giveUpWhen(signal: AbortSignal): void {
    this.#leaveSignal = onAbort(signal, () => {
      this.#givenUp = true;
      this.#reject(abortReason(signal));
    });
  }

  succeed(receipt: SendReceipt): void {
    this.#leave();
    this.#resolve(receipt);
  }

  fail(error: Error): void {
    this.#leave();
    this.#reject(error);
  }

  #leave(): void {
    this.#leaveSignal?.();
    this.#left(this.size);
  }
}
