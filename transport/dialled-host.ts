// What a call of ours needs of its connection, and of what connections share.
import type { TransportLimits } from "../base/index.ts";
import type { DeadlineWheel } from "./deadline-wheel.ts";
import type { ErrorCode } from "./http2.ts";
import type { Sender } from "./sender.ts";

/** What calls of one client share. */
export interface DiallingContext {
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  readonly monotonicMs: () => number;
}

/** What a call needs of its connection. */
export interface DialledHost<Call = { readonly id: number }> {
  readonly sender: Sender;
  readonly context: DiallingContext;
  /** `host:port` of the server. */
  readonly authority: string;
  readonly isTls: boolean;
  /** The call is over on both sides. */
  forget(call: Call): void;
  /** Sends RST_STREAM and forgets the call. */
  reset(call: Call, code: ErrorCode): void;
  /** Gives `size` bytes back to the window we grant the connection. */
  credit(size: number): void;
}
