// The server's end of one Telemetry stream. It only knows how to say something to the client; a client may have
// several at once (Rust opens one per address it knows this broker by).
import type { ClientIdentity } from "./identity.ts";

/** One open Telemetry stream. */
export interface TelemetrySession {
  readonly identity: ClientIdentity;
  /** Ends the stream from this side; the client opens a new one when it lives. */
  readonly end: () => void;
  /** Says something to the client, in bytes of a TelemetryCommand; false when it is too slow to be told more now. */
  readonly tell: (command: Uint8Array) => boolean;
}
