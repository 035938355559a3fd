// What calls need of the connection and the server around them.
import type { Logger, TransportLimits } from "../base/index.ts";
import type { DeadlineWheel } from "./deadline-wheel.ts";
import type { ErrorCode } from "./http2.ts";
import type { Sender } from "./sender.ts";
import type { Connection, TransportObserver } from "./types.ts";

/** What calls share in a server. */
export interface CallContext {
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  readonly logger: Logger;
  readonly observer: TransportObserver;
  readonly monotonicMs: () => number;
}

/** A call as its connection knows it. */
export interface HostedStream {
  readonly id: number;
}

/** What a call needs of its connection. */
export interface StreamHost {
  readonly peer: Connection;
  readonly sender: Sender;
  readonly context: CallContext;
  /** Both sides are done: the number is closed. */
  forget(stream: HostedStream): void;
  /** Sends RST_STREAM and closes the number; the call itself must have ended or ends by `terminate`. */
  reset(stream: HostedStream, code: ErrorCode): void;
  /** Gives `size` bytes back to the window we grant the connection. */
  credit(size: number): void;
  /** Books memory for a message that comes in parts, or frees it (negative); false when there is too much already. */
  book(size: number): boolean;
}
