// What can be said of a frame without knowing the connection: whether it names a stream, and its size.
import type { Frame } from "./frame-splitter.ts";
import { ConnectionError, ErrorCode, Flag, FrameType } from "./http2.ts";

/** Throws ConnectionError when `frame` breaks a rule of its type that ends the connection. */
export function checkShape(frame: Frame): void {
  switch (frame.type) {
    case FrameType.data:
    case FrameType.headers:
    case FrameType.priority:
      onStream(frame);
      break;
    case FrameType.rstStream:
      onStream(frame);
      ofSize(frame, 4);
      break;
    case FrameType.windowUpdate:
      ofSize(frame, 4);
      break;
    case FrameType.ping:
      onConnection(frame);
      ofSize(frame, 8);
      break;
    case FrameType.settings:
      onConnection(frame);
      if ((frame.flags & Flag.ack) !== 0) ofSize(frame, 0);
      break;
    case FrameType.goaway:
      onConnection(frame);
      break;
    case FrameType.pushPromise:
      throw new ConnectionError(ErrorCode.protocolError, "PUSH_PROMISE is not taken");
    default:
  }
}

function onStream(frame: Frame): void {
  if (frame.streamId === 0) {
    throw new ConnectionError(ErrorCode.protocolError, `frame ${frame.type} names no stream`);
  }
}

function onConnection(frame: Frame): void {
  if (frame.streamId !== 0) {
    throw new ConnectionError(ErrorCode.protocolError, `frame ${frame.type} names a stream`);
  }
}

function ofSize(frame: Frame, size: number): void {
  if (frame.end - frame.start !== size) {
    throw new ConnectionError(ErrorCode.frameSizeError, `frame ${frame.type} of a wrong size`);
  }
}
