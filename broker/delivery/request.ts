// What a receive asks for and what it gets.
import type { GroupConfig, TopicConfig } from "../metadata/index.ts";
import type { RecordView } from "../store/index.ts";
import type { Filter } from "./filter.ts";

/** One ReceiveMessage, validated by the caller. */
export interface ReceiveRequest {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
  /** A hint only: messages of any queue of the topic on this broker may come. -1: any. */
  readonly queueId: number;
  /** `[1, limits.receiveBatchCountMax]`. */
  readonly countMax: number;
  /** How long nobody else gets the messages, milliseconds. */
  readonly invisibleMs: number;
  /** The server extends that time while the client is alive. */
  readonly autoRenew: boolean;
  readonly filter: Filter;
  /** Of an ordered group: the same id gets the same messages again, as long as nobody else has had them. */
  readonly attemptId?: string | undefined;
  readonly clientId: string;
  /** How long to wait when there is nothing, milliseconds; 0 answers at once. */
  readonly pollingMs: number;
  /** Ends the wait. Only looked at when the poll is held. */
  readonly signal: AbortSignal;
  /** Asked right before messages are handed over: a client that is closing gets none. */
  isClientGone(): boolean;
}

/** Names one delivery towards `Delivery.giveBack`. Opaque. */
export interface Lease {
  readonly offset: number;
}

/** One message as it is handed out. */
export interface Delivered {
  /** Its views stay valid as long as somebody holds them. */
  readonly record: RecordView;
  readonly queueId: number;
  readonly queueOffset: number;
  /** Which delivery to this group it is, from 1. */
  readonly attempt: number;
  readonly invisibleMs: number;
  readonly receiptHandle: string;
  readonly deliveryNumber: number;
  readonly lease: Lease;
}
