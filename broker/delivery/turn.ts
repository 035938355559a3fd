// What one receive is looking for, and what it has got so far.
import type { RecordView } from "../store/index.ts";
import type { PendingMessage } from "./lane.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";
import type { Subscription } from "./subscription.ts";

/** One turn of a receive: synchronous and bounded. */
export interface Turn {
  /** From 1; each turn has its own. */
  readonly number: number;
  readonly subscription: Subscription;
  readonly request: ReceiveRequest;
  readonly nowMs: number;
  readonly messages: Delivered[];
  /** Entries it may still look at. */
  scanLeft: number;
}

/** A message to be handed out, and its record. */
export interface Found {
  readonly entry: PendingMessage;
  readonly record: RecordView;
}

/** Whether the turn has room for messages, and may look for them. */
export function wantsMore(turn: Turn): boolean {
  return turn.messages.length < turn.request.countMax && turn.scanLeft > 0;
}
