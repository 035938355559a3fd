// A transaction as the application holds it: one message that consumers get when it is committed. Names as in the official
// Node.js client.
import { ClientError } from "./client-error.ts";
import type { MessageView } from "./message-view.ts";
import type { SendReceipt } from "./send-receipt.ts";

/** How a transaction ended. Values of `apache.rocketmq.v2.TransactionResolution`. */
export const TransactionResolution = {
  /** Not known yet: the server asks again. */
  TRANSACTION_RESOLUTION_UNSPECIFIED: 0,
  COMMIT: 1,
  ROLLBACK: 2,
} as const;
export type TransactionResolution =
  (typeof TransactionResolution)[keyof typeof TransactionResolution];

/** Tells how a transaction ended that nobody has settled: also one of another process, or of one that is gone. */
export interface TransactionChecker {
  /** Null or `TRANSACTION_RESOLUTION_UNSPECIFIED`: not known. What it throws is logged, and means the same. */
  check(message: MessageView): Promise<TransactionResolution | null> | TransactionResolution | null;
}

/** Tells a broker how the transaction of a message ended. */
export type EndTransaction = (
  receipt: SendReceipt,
  resolution: TransactionResolution,
) => Promise<void>;

/** One transaction of a producer, from `beginTransaction`. */
export class Transaction {
  readonly #end: EndTransaction;
  readonly #owner: object;
  #isTaken = false;
  #receipt: SendReceipt | undefined;

  /** For `Producer.beginTransaction`. */
  constructor(owner: object, end: EndTransaction) {
    this.#owner = owner;
    this.#end = end;
  }

  /** Takes the place of the one message for `owner`. Throws BAD_OPTION when it is taken, or when it is another producer's. */
  take(owner: object): void {
    if (owner !== this.#owner) {
      throw new ClientError("BAD_OPTION", "the transaction is of another producer");
    }
    if (this.#isTaken) {
      throw new ClientError("BAD_OPTION", "a transaction has one message, this one has it already");
    }
    this.#isTaken = true;
  }

  /** Notes what has become of the send: a failed one leaves the place free again. */
  sent(receipt: SendReceipt | undefined): void {
    this.#receipt = receipt;
    if (receipt === undefined) this.#isTaken = false;
  }

  /** Lets consumers have the message. May be said again; rejects with BAD_REQUEST after a rollback. */
  commit(): Promise<void> {
    return this.#settle(TransactionResolution.COMMIT);
  }

  /** The message never comes to consumers. May be said again; rejects with BAD_REQUEST after a commit. */
  rollback(): Promise<void> {
    return this.#settle(TransactionResolution.ROLLBACK);
  }

  async #settle(resolution: TransactionResolution): Promise<void> {
    if (this.#receipt === undefined) {
      throw new ClientError("BAD_OPTION", "the message of the transaction has not been sent yet");
    }
    await this.#end(this.#receipt, resolution);
  }
}
