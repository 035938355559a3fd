// One call that we make: its request goes out as windows allow, the messages of its answer come in, and it ends
// exactly once.
import { Answer, type AnswerOwner } from "./answer.ts";
import { messagePrefix } from "./answer-frames.ts";
import type { DeadlineEntry } from "./deadline-wheel.ts";
import type { DialledHost } from "./dialled-host.ts";
import type { Frame } from "./frame-splitter.ts";
import type { HeaderList } from "./hpack-decoder.ts";
import { ErrorCode, Flag, FrameType, frameHeaderSize, frameSizeMax } from "./http2.ts";
import { requestBlock, writeBlock } from "./request-frames.ts";
import { type MessageSink, messagePrefixSize, RequestReader, readWhole } from "./request-reader.ts";
import { decodeGrpcMessage, GrpcStatus } from "./status.ts";

/** A call to make. */
export interface OutgoingCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Names are lower case; values are Latin-1 without control characters. */
  readonly headers: Readonly<Record<string, string>>;
  /** The one message of the request; not changed until the call is over. */
  readonly request: Uint8Array;
  /** The request's side stays open behind that message, as a call with streams both ways needs it. */
  readonly isOpenEnded: boolean;
  /** Milliseconds until the call ends with DEADLINE_EXCEEDED; the server is told. */
  readonly timeoutMs: number;
  /** A message of the answer. The bytes are the listener's. */
  readonly onMessage: (bytes: Uint8Array) => void;
  /** The call is over: nothing comes any more. Called once. */
  readonly onEnd: (status: number, message: string) => void;
}

/** A call under way. */
export class DialledCall implements AnswerOwner, DeadlineEntry, MessageSink {
  readonly id: number;
  sendWindow: number;

  // Place in the deadline wheel.
  dueMs: number = Infinity;
  slot = -1;
  previous: DeadlineEntry | undefined = undefined;
  next: DeadlineEntry | undefined = undefined;

  private readonly host: DialledHost;
  private readonly outgoing: OutgoingCall;
  private request: Answer | undefined = undefined;
  private reader: RequestReader | undefined = undefined;
  private localEnded = false;
  private closed = false;
  private receiveCredit = 0;
  private unreadSize = 0;
  private withheldCredit = 0;

  constructor(host: DialledHost, id: number, outgoing: OutgoingCall) {
    this.host = host;
    this.id = id;
    this.outgoing = outgoing;
    this.sendWindow = host.sender.streamWindow;
  }

  /** Sends the request, or as much of it as may go. */
  begin(): void {
    const { outgoing, host } = this;
    const { sender, context } = host;
    this.dueMs = context.monotonicMs() + outgoing.timeoutMs;
    context.wheel.add(this);
    writeBlock(sender, this.id, requestBlock(outgoing, host));
    const size = outgoing.request.length + messagePrefixSize;
    if (size <= frameSizeMax && size <= this.sendWindow && size <= sender.room) {
      this.sendWhole(outgoing.request);
      return;
    }
    this.request = new Answer(this, { sender, ...context });
    this.request.push(messagePrefix(outgoing.request.length));
    this.request.push(outgoing.request);
    this.request.pump();
    if (!outgoing.isOpenEnded) this.request.end();
  }

  /** Ends the call here and at the server. */
  cancel(): void {
    this.break(GrpcStatus.cancelled, "the call was cancelled");
  }

  /** The listener has so many bytes of messages that it has not worked off: above a bound no more are asked for. */
  unread(size: number): void {
    this.unreadSize = size;
    if (this.withheldCredit > 0) this.grant(0);
  }

  // What the connection tells.

  /** A DATA frame with the payload `[start, end)`; all of it, padding included, took window. */
  data(frame: Frame, start: number, end: number): void {
    const at = this.reader === undefined ? readWhole(this, frame.view, start, end) : start;
    if (at >= 0 && at < end && !this.closed) {
      this.reader ??= new RequestReader();
      this.reader.push(this, frame.view, { start: at, end });
    }
    this.grant(frame.end - frame.start);
    // An answer without trailers is none.
    if ((frame.flags & Flag.endStream) !== 0) this.break(GrpcStatus.internal, "no status came");
  }

  /** HEADERS: the beginning of the answer, or its end. */
  headers(list: HeaderList, endStream: boolean): void {
    if (!endStream) {
      const httpStatus = valueOf(list, ":status");
      if (httpStatus !== "200") this.break(GrpcStatus.unknown, `HTTP status ${httpStatus}`);
      return;
    }
    const code = Number(valueOf(list, "grpc-status") ?? Number.NaN);
    const message = decodeGrpcMessage(valueOf(list, "grpc-message") ?? "");
    const isStatus = Number.isInteger(code) && code >= 0;
    if (!this.localEnded) this.host.reset(this, ErrorCode.noError);
    else this.host.forget(this);
    if (!isStatus) this.end(GrpcStatus.unknown, "an answer without a status");
    else if (code === GrpcStatus.ok && this.reader?.incomplete === true) {
      this.end(GrpcStatus.internal, "the answer ended inside a message");
    } else this.end(code, message);
  }

  /** RST_STREAM of the server. */
  wasReset(code: number): void {
    this.host.forget(this);
    this.end(resetStatus(code), `the server reset the call (HTTP/2 error ${code})`);
  }

  /** The server changed the stream's window by `size` bytes. */
  widen(size: number): void {
    this.sendWindow += size;
    if (this.sendWindow > 0 && this.request !== undefined && this.request.size > 0)
      this.request.pump();
  }

  expire(): void {
    this.break(GrpcStatus.deadlineExceeded, "the deadline of the call has passed");
  }

  /** The call is over; the connection has forgotten it or is gone. */
  end(status: number, message: string): void {
    if (this.closed) return;
    this.closed = true;
    if (this.slot >= 0) this.host.context.wheel.remove(this);
    this.request?.clear();
    this.reader = undefined;
    if (this.withheldCredit > 0) this.grant(0);
    this.host.forget(this);
    this.outgoing.onEnd(status, message);
  }

  emptied(): void {
    const streamId = this.id;
    this.host.sender.frame({ type: FrameType.data, flags: Flag.endStream, streamId }, noBytes);
    this.localEnded = true;
  }

  accepts(flags: number, size: number): boolean {
    const { requestSizeMax } = this.host.context.limits;
    if (flags !== 0) this.break(GrpcStatus.internal, "a compressed answer, which nobody asked for");
    else if (size > requestSizeMax) {
      const message = `the answer has ${size} bytes, at most ${requestSizeMax} are taken`;
      this.break(GrpcStatus.resourceExhausted, message);
    }
    return !this.closed;
  }

  message(bytes: Uint8Array): boolean {
    this.outgoing.onMessage(new Uint8Array(bytes));
    return !this.closed;
  }

  private break(status: number, message: string): void {
    if (this.closed) return;
    this.host.reset(this, ErrorCode.cancel);
    this.end(status, message);
  }

  /** Writes the request as one frame, which ends its side too. */
  private sendWhole(message: Uint8Array): void {
    const { sender } = this.host;
    const size = message.length + messagePrefixSize;
    const at = sender.dataFrame(this.id, size);
    const { bytes, view } = sender.output;
    view.setUint8(at, 0);
    view.setUint32(at + 1, message.length);
    bytes.set(message, at + messagePrefixSize);
    this.sendWindow -= size;
    if (!this.outgoing.isOpenEnded) {
      view.setUint8(at - frameHeaderSize + 4, Flag.endStream);
      this.localEnded = true;
    }
    sender.schedule();
  }

  /** Grants window again for `size` bytes that came; withholds it while the listener is behind. */
  private grant(size: number): void {
    const { host, closed } = this;
    const { inboxSizeMax, streamWindowSize } = host.context.limits;
    this.withheldCredit += size;
    if (!closed && this.unreadSize > inboxSizeMax) return;
    const credit = this.withheldCredit;
    this.withheldCredit = 0;
    host.credit(credit);
    if (closed) return;
    this.receiveCredit += credit;
    if (this.receiveCredit * 2 < streamWindowSize) return;
    host.sender.wordFrame(FrameType.windowUpdate, this.id, this.receiveCredit);
    this.receiveCredit = 0;
  }
}

const noBytes = new Uint8Array(0);

function valueOf(list: HeaderList, name: string): string | undefined {
  for (const field of list.fields) if (field.name === name) return field.value;
  return undefined;
}

/** The gRPC status of a reset, as gRPC's HTTP/2 mapping has it. */
function resetStatus(code: number): GrpcStatus {
  switch (code) {
    case ErrorCode.refusedStream:
      return GrpcStatus.unavailable;
    case ErrorCode.cancel:
      return GrpcStatus.cancelled;
    case ErrorCode.enhanceYourCalm:
      return GrpcStatus.resourceExhausted;
    case ErrorCode.inadequateSecurity:
      return GrpcStatus.permissionDenied;
    default:
      return GrpcStatus.internal;
  }
}
