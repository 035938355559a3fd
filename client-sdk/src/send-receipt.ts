// What a producer gets for a message that is stored.
import type { Endpoints } from "./endpoints.ts";

/** The queue a message was sent to. */
export interface MessageQueue {
  readonly topic: string;
  /** The queue that was asked for; the broker may have chosen another one. */
  readonly queueId: number;
  readonly broker: { readonly name: string; readonly id: number; readonly endpoints: Endpoints };
}

/** The acknowledgement of one message. */
export class SendReceipt {
  readonly messageId: string;
  readonly transactionId: string;
  /** Names a delayed message to `Producer.recall`; empty when it was not delayed, or is due already. */
  readonly recallHandle: string;
  /** Index of the message in its queue. */
  readonly offset: number;
  readonly messageQueue: MessageQueue;

  constructor(
    messageId: string,
    result: {
      readonly transactionId: string;
      readonly recallHandle: string;
      readonly offset: number;
    },
    messageQueue: MessageQueue,
  ) {
    this.messageId = messageId;
    this.transactionId = result.transactionId;
    this.recallHandle = result.recallHandle;
    this.offset = result.offset;
    this.messageQueue = messageQueue;
  }

  /** The broker that stored it. */
  get endpoints(): Endpoints {
    return this.messageQueue.broker.endpoints;
  }
}
