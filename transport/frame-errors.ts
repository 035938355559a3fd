// Mistakes that every type of frame can have.
import { ConnectionError, ErrorCode } from "./http2.ts";

/** A frame that must name a stream does not. */
export function withoutStream(name: string): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, `${name} without a stream`);
}

/** A frame that is about the connection names a stream. */
export function onStream(name: string): ConnectionError {
  return new ConnectionError(ErrorCode.protocolError, `${name} on a stream`);
}

/** A frame of fixed size has another. */
export function wrongSize(name: string): ConnectionError {
  return new ConnectionError(ErrorCode.frameSizeError, `${name} of a wrong size`);
}
