// One call: reads its request messages, runs its handler, sends its answer, and ends exactly once.
// Knows gRPC; what the frames of a connection mean is connection.ts, waiting for window is answer.ts.
import type { Logger, TransportLimits } from "../base/index.ts";
import { Answer, type AnswerOwner } from "./answer.ts";
import {
  failureTrailers,
  httpHeaders,
  messagePrefix,
  okHeaders,
  okTrailers,
  writeUnary,
} from "./answer-frames.ts";
import type { DeadlineEntry, DeadlineWheel } from "./deadline-wheel.ts";
import { failureOf } from "./failure.ts";
import type { Frame } from "./frame-splitter.ts";
import { ErrorCode, Flag, FrameType, frameSizeMax } from "./http2.ts";
import { Inbox } from "./inbox.ts";
import { inflate } from "./inflate.ts";
import { type RequestHead, trailersOnly } from "./request-head.ts";
import { type MessageSink, messagePrefixSize, RequestReader, readWhole } from "./request-reader.ts";
import type { Sender } from "./sender.ts";
import { GrpcStatus, RpcError } from "./status.ts";
import type { BidiStream, Connection, MethodHandler, TransportObserver } from "./types.ts";

/** What calls share in a server. */
export interface CallContext {
  readonly limits: TransportLimits;
  readonly wheel: DeadlineWheel;
  readonly logger: Logger;
  readonly observer: TransportObserver;
  readonly monotonicMs: () => number;
}

/** What a call needs of its connection. */
export interface StreamHost {
  readonly info: Connection;
  readonly sender: Sender;
  readonly context: CallContext;
  /** Both sides are done: the number is closed. */
  forget(stream: GrpcStream): void;
  /** Sends RST_STREAM and closes the number; the call itself must have ended or ends by `terminate`. */
  reset(stream: GrpcStream, code: ErrorCode): void;
  /** Gives `size` bytes back to the window we grant the connection. */
  credit(size: number): void;
  /** Books memory for a message that comes in parts, or frees it (negative); false when there is too much already. */
  book(size: number): boolean;
}

/** A call, from its headers to its end. */
export class GrpcStream implements BidiStream, DeadlineEntry, MessageSink, AnswerOwner {
  readonly id: number;
  readonly head: RequestHead;
  readonly host: StreamHost;
  /** The client has sent all. */
  remoteClosed = false;
  /** The answer is decided (it may still wait for window). */
  ended = false;
  /** Nothing is sent or received any more. */
  closed = false;
  sendWindow: number;
  /** Bytes the peer may send. */
  receiveWindow: number;

  // Place in the deadline wheel.
  dueMs: number = Infinity;
  slot = -1;
  previous: DeadlineEntry | undefined = undefined;
  next: DeadlineEntry | undefined = undefined;

  private headersSent = false;
  private receiveCredit = 0;
  private withheldCredit = 0;
  private receivedSize = 0;
  private bookedSize = 0;
  private request: Uint8Array | undefined = undefined;
  private requestCompressed = false;
  private reader: RequestReader | undefined = undefined;
  private inbox: Inbox | undefined = undefined;
  private answer: Answer | undefined = undefined;
  private ending: Ending | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private abortReason: RpcError | undefined = undefined;
  private outcome: Promise<"written" | "reset"> | undefined = undefined;
  private settleOutcome: ((outcome: "written" | "reset") => void) | undefined = undefined;

  constructor(host: StreamHost, id: number, head: RequestHead) {
    this.host = host;
    this.id = id;
    this.head = head;
    this.sendWindow = host.sender.streamWindow;
    this.receiveWindow = host.context.limits.streamWindowSize;
  }

  get connection(): Connection {
    return this.host.info;
  }

  get path(): string {
    return this.head.path;
  }

  get authority(): string {
    return this.head.authority;
  }

  get messages(): AsyncIterable<Uint8Array> {
    return this.openInbox();
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.abortReason !== undefined) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  /** When the answer began to wait for the stream's window, on the monotonic clock. */
  get waitingSinceMs(): number | undefined {
    return this.answer?.waitingSinceMs;
  }

  header(name: string): string | undefined {
    for (const field of this.head.fields) if (field.name === name) return field.value;
    return undefined;
  }

  remainingMs(): number {
    if (this.dueMs === Infinity) return Infinity;
    return Math.max(0, this.dueMs - this.host.context.monotonicMs());
  }

  /** The headers have come; `nowMs` is the monotonic clock. */
  begin(nowMs: number): void {
    const { target, timeoutMs } = this.head;
    if (target.kind === "refuse") this.endWith({ frame: target.frame, status: target.status });
    if (target.kind !== "call") return;
    if (timeoutMs !== Infinity && target.method.ignoreDeadline !== true) {
      this.dueMs = nowMs + timeoutMs;
      this.host.context.wheel.add(this);
    }
    if (target.method.kind === "bidi") {
      const { handle } = target.method;
      this.sendHeaders();
      this.follow(() => handle(this));
    }
  }

  /** A DATA frame with the payload `[start, end)`; all of it, padding included, took window. */
  data(frame: Frame, start: number, end: number): void {
    this.receivedSize += end - start;
    if (this.head.contentLength >= 0 && this.receivedSize > this.head.contentLength) {
      this.break(ErrorCode.protocolError, "more data than content-length says");
    } else if (!this.ended && this.head.target.kind === "call") this.read(frame.view, start, end);
    this.refill(frame.end - frame.start);
  }

  /** END_STREAM has come. */
  end(): void {
    if (this.closed) return;
    this.remoteClosed = true;
    const { contentLength, target } = this.head;
    if (contentLength >= 0 && contentLength !== this.receivedSize) {
      this.break(ErrorCode.protocolError, "less data than content-length says");
    } else if (target.kind === "http") this.answerHttp(target.httpStatus, target.text);
    else if (target.kind === "call" && !this.ended) this.requestComplete(target.method);
  }

  /** The server closes: a handler that waits for messages hears that none come. */
  drain(): void {
    const { target } = this.head;
    if (target.kind === "call" && target.method.kind === "bidi") this.openInbox().end();
  }

  /** The peer changed the stream's window by `size` bytes. */
  widen(size: number): void {
    this.sendWindow += size;
    if (this.sendWindow > 0 && this.answer !== undefined && this.answer.size > 0)
      this.answer.pump();
  }

  accepts(flags: number, size: number): boolean {
    const failure = this.refusal(flags, size);
    if (failure === undefined) return true;
    this.refuse(failure);
    return false;
  }

  message(bytes: Uint8Array, compressed: boolean): boolean {
    this.book(-this.bookedSize);
    if (this.head.target.kind === "call" && this.head.target.method.kind === "bidi") {
      this.openInbox().push({ bytes: Uint8Array.from(bytes), compressed });
      return true;
    }
    if (this.request !== undefined) {
      this.fail(new RpcError(GrpcStatus.internal, "the request has more than one message"));
      return false;
    }
    this.request = bytes;
    this.requestCompressed = compressed;
    return true;
  }

  write(message: Uint8Array): boolean {
    if (this.ended) return false;
    this.sendHeaders();
    this.openAnswer().push(messagePrefix(message.length));
    return this.writeFramed(message);
  }

  writeFramed(framed: Uint8Array): boolean {
    if (this.ended) return false;
    this.sendHeaders();
    const answer = this.openAnswer();
    answer.push(framed);
    answer.pump();
    return !answer.full;
  }

  drained(): Promise<void> {
    return this.closed || this.answer === undefined ? Promise.resolve() : this.answer.drained();
  }

  finish(): Promise<"written" | "reset"> {
    if (this.outcome !== undefined) return this.outcome;
    if (this.ended) return Promise.resolve("reset");
    this.outcome = new Promise((resolve) => {
      this.settleOutcome = resolve;
    });
    this.endOk();
    return this.outcome;
  }

  /** The deadline has passed. */
  expire(): void {
    const reason = new RpcError(GrpcStatus.deadlineExceeded, "the deadline of the call has passed");
    if (this.closed) return;
    if (this.answer !== undefined && this.answer.size > 0) {
      this.host.reset(this, ErrorCode.cancel);
      this.terminate(reason);
      return;
    }
    this.refuse(reason);
  }

  /** The call is over without an answer: reset by the client, connection lost, or cut by us. */
  terminate(reason: RpcError): void {
    if (this.closed) return;
    this.ended = true;
    this.close();
    this.abort(reason);
    this.report(reason.status);
    this.settleOutcome?.("reset");
  }

  /** All of the answer is in the output: what ends it follows. */
  emptied(): void {
    const { ending } = this;
    if (ending === undefined || this.closed) return;
    const { sender } = this.host;
    if (ending.frame === undefined) {
      sender.frame({ type: FrameType.data, flags: Flag.endStream, streamId: this.id }, noBytes);
    } else sender.headers(this.id, ending.frame);
    this.closeLocal(ending.status);
  }

  private read(view: DataView, start: number, end: number): void {
    const at = this.reader === undefined ? readWhole(this, view, start, end) : start;
    if (at < 0 || at === end) return;
    this.reader ??= new RequestReader();
    this.reader.push(this, view, { start: at, end });
  }

  private requestComplete(method: MethodHandler): void {
    if (this.reader?.incomplete === true) {
      this.refuse(new RpcError(GrpcStatus.internal, "the request ended inside a message"));
    } else if (method.kind === "bidi") this.openInbox().end();
    else if (this.request === undefined) {
      this.fail(new RpcError(GrpcStatus.internal, "the request has no message"));
    } else if (this.requestCompressed) {
      inflate(this.request, this.requestSizeMax()).then(
        (bytes) => this.dispatch(method, bytes),
        (error: unknown) => this.fail(error),
      );
    } else this.dispatch(method, this.request);
  }

  private dispatch(method: MethodHandler, request: Uint8Array): void {
    this.request = undefined;
    if (this.ended) return;
    if (method.kind === "serverStream") this.follow(() => method.handle(request, this));
    if (method.kind !== "unary") return;
    try {
      const message = method.handle(request, this);
      if (message instanceof Uint8Array) this.answerUnary(message);
      else {
        message.then(
          (bytes) => this.answerUnary(bytes),
          (error: unknown) => this.fail(error),
        );
      }
    } catch (error) {
      this.fail(error);
    }
  }

  /** Runs a streaming handler; its end is the call's. */
  private follow(run: () => Promise<void>): void {
    try {
      run().then(
        () => this.endOk(),
        (error: unknown) => this.fail(error),
      );
    } catch (error) {
      this.fail(error);
    }
  }

  private answerUnary(message: Uint8Array): void {
    if (this.ended) return;
    const { sender } = this.host;
    const size = message.length + messagePrefixSize;
    if (
      size > frameSizeMax ||
      size > this.sendWindow ||
      size > sender.room ||
      sender.announceEmptyTable
    ) {
      this.write(message);
      this.endOk();
      return;
    }
    this.ended = true;
    writeUnary(sender, this.id, message);
    this.closeLocal(GrpcStatus.ok);
  }

  private answerHttp(httpStatus: number, text: string): void {
    this.host.sender.headers(this.id, httpHeaders(httpStatus, text));
    const answer = this.openAnswer();
    answer.push(Buffer.from(text));
    answer.pump();
    this.endWith({ frame: undefined, status: GrpcStatus.unknown });
  }

  private endOk(): void {
    if (this.ended) return;
    this.sendHeaders();
    this.endWith({ frame: okTrailers, status: GrpcStatus.ok });
  }

  /** Ends the call with the status of `error`, unless it has ended. */
  private fail(error: unknown): void {
    if (this.ended) return;
    const failure = failureOf(error, this.path, this.host.context.logger);
    const frame = this.headersSent
      ? failureTrailers(failure.status, failure.message)
      : trailersOnly(failure.status, failure.message);
    this.endWith({ frame, status: failure.status });
  }

  /** Ends a call whose handler may be running and has to hear of it. */
  private refuse(reason: RpcError): void {
    this.abort(reason);
    this.fail(reason);
  }

  private sendHeaders(): void {
    if (this.headersSent) return;
    this.headersSent = true;
    this.host.sender.headers(this.id, okHeaders);
  }

  private endWith(ending: Ending): void {
    this.ended = true;
    this.ending = ending;
    if (this.answer === undefined) this.emptied();
    else this.answer.end();
  }

  /** The last frame of the answer is in the output. */
  private closeLocal(status: number): void {
    if (this.settleOutcome !== undefined) {
      const settle = this.settleOutcome;
      this.host.sender.onWritten((sent) => settle(sent ? "written" : "reset"));
    }
    this.close();
    this.report(status);
    if (this.remoteClosed) this.host.forget(this);
    else this.host.reset(this, ErrorCode.noError);
  }

  /** Stops everything that goes on for the call. */
  private close(): void {
    this.closed = true;
    if (this.slot >= 0) this.host.context.wheel.remove(this);
    if (this.bookedSize > 0) this.book(-this.bookedSize);
    this.reader = undefined;
    this.request = undefined;
    this.answer?.clear();
    this.inbox?.clear();
    if (this.withheldCredit > 0) this.refill(0);
  }

  /** Breaks the stream for a mistake of the peer. */
  private break(code: ErrorCode, message: string): void {
    this.host.reset(this, code);
    this.terminate(new RpcError(GrpcStatus.internal, message));
  }

  private abort(reason: RpcError): void {
    this.abortReason ??= reason;
    this.controller?.abort(this.abortReason);
    this.inbox?.end();
  }

  private report(status: number): void {
    const { kind } = this.head.target;
    if (kind === "http") return;
    this.host.context.observer.callFinished?.(kind === "call" ? this.path : "unknown", status);
  }

  private refusal(flags: number, size: number): RpcError | undefined {
    const { limits } = this.host.context;
    const sizeMax = this.requestSizeMax();
    if (flags > 1 || (flags === 1 && !this.head.gzip)) {
      return new RpcError(
        GrpcStatus.internal,
        "the message's compressed flag does not fit grpc-encoding",
      );
    }
    if (size > sizeMax) {
      return new RpcError(
        GrpcStatus.resourceExhausted,
        `the message has ${size} bytes, the method takes ${sizeMax}`,
      );
    }
    if (!this.book(size)) {
      return new RpcError(
        GrpcStatus.resourceExhausted,
        `the messages in flight on this connection have more than ${limits.requestBufferSizeMax} bytes`,
      );
    }
    return undefined;
  }

  private requestSizeMax(): number {
    const { target } = this.head;
    const sizeMax = target.kind === "call" ? target.method.requestSizeMax : undefined;
    return sizeMax ?? this.host.context.limits.requestSizeMax;
  }

  /** Books memory for a request message, or frees it. */
  private book(size: number): boolean {
    if (!this.host.book(size)) return false;
    this.bookedSize += size;
    return true;
  }

  private openAnswer(): Answer {
    const { sender, context } = this.host;
    this.answer ??= new Answer(this, { sender, ...context });
    return this.answer;
  }

  private openInbox(): Inbox {
    this.inbox ??= new Inbox({
      inflate: (message) => inflate(message.bytes, this.requestSizeMax()),
      onRead: () => this.refill(0),
    });
    return this.inbox;
  }

  /** Grants window again for `size` bytes that came; withholds it while the handler of a bidi call is behind. */
  private refill(size: number): void {
    const { limits } = this.host.context;
    this.withheldCredit += size;
    if (this.inbox !== undefined && this.inbox.size > limits.inboxSizeMax && !this.closed) return;
    const credit = this.withheldCredit;
    this.withheldCredit = 0;
    this.host.credit(credit);
    if (this.remoteClosed || this.closed) return;
    this.receiveCredit += credit;
    if (this.receiveCredit * 2 < limits.streamWindowSize) return;
    this.host.sender.wordFrame(FrameType.windowUpdate, this.id, this.receiveCredit);
    this.receiveWindow += this.receiveCredit;
    this.receiveCredit = 0;
  }
}

/** What ends an answer: trailers, or an empty DATA frame when it is not gRPC. */
interface Ending {
  readonly frame: Uint8Array | undefined;
  readonly status: GrpcStatus;
}

const noBytes = new Uint8Array(0);
