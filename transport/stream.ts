// One call: runs its handler when the request is there, sends its answer, and ends exactly once. Its request is
// call-request.ts, waiting for window is answer.ts, what the frames of a connection mean is connection.ts.
import { Answer, type AnswerOwner } from "./answer.ts";
import {
  failureTrailers,
  httpHeaders,
  messagePrefix,
  okHeaders,
  okTrailers,
  trailersOnly,
  writeUnary,
} from "./answer-frames.ts";
import { CallRequest, type RequestOwner } from "./call-request.ts";
import type { DeadlineEntry } from "./deadline-wheel.ts";
import { failureOf } from "./failure.ts";
import { ErrorCode, Flag, FrameType, frameSizeMax } from "./http2.ts";
import type { RequestHead } from "./request-head.ts";
import { messagePrefixSize } from "./request-reader.ts";
import { GrpcStatus, RpcError } from "./status.ts";
import type { StreamHost } from "./stream-host.ts";
import type { BidiStream, Connection, MethodHandler } from "./types.ts";

/** A call, from its headers to its end. */
export class GrpcStream implements BidiStream, DeadlineEntry, RequestOwner, AnswerOwner {
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
  readonly request: CallRequest;

  // Place in the deadline wheel.
  dueMs: number = Infinity;
  slot = -1;
  previous: DeadlineEntry | undefined = undefined;
  next: DeadlineEntry | undefined = undefined;

  private headersSent = false;
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
    this.request = new CallRequest(this);
  }

  get connection(): Connection {
    return this.host.peer;
  }

  get path(): string {
    return this.head.path;
  }

  get authority(): string {
    return this.head.authority;
  }

  get messages(): AsyncIterable<Uint8Array> {
    return this.request.inbox;
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
    if (target.kind === "refuse") {
      const frame = trailersOnly(target.status, target.message, target.extra);
      this.endWith({ frame, status: target.status });
    }
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

  /** END_STREAM has come. */
  end(): void {
    if (this.closed) return;
    this.remoteClosed = true;
    const { target } = this.head;
    if (!this.request.fitsLength) {
      this.break(ErrorCode.protocolError, "less data than content-length says");
    } else if (target.kind === "http") this.answerHttp(target.httpStatus, target.text);
    else if (target.kind === "call" && !this.ended) this.requestComplete(target.method);
  }

  /** The server closes: a handler that waits for messages hears that none come. */
  drain(): void {
    const { target } = this.head;
    if (target.kind === "call" && target.method.kind === "bidi") this.request.inbox.end();
  }

  /** The peer changed the stream's window by `size` bytes. */
  widen(size: number): void {
    this.sendWindow += size;
    if (this.sendWindow > 0 && this.answer !== undefined && this.answer.size > 0)
      this.answer.pump();
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

  refuse(reason: RpcError): void {
    this.abort(reason);
    this.fail(reason);
  }

  break(code: ErrorCode, message: string): void {
    this.host.reset(this, code);
    this.terminate(new RpcError(GrpcStatus.internal, message));
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

  private requestComplete(method: MethodHandler): void {
    if (this.request.incomplete) {
      this.refuse(new RpcError(GrpcStatus.internal, "the request ended inside a message"));
      return;
    }
    if (method.kind === "bidi") {
      this.request.inbox.end();
      return;
    }
    const message = this.request.take();
    if (message === undefined) {
      this.refuse(new RpcError(GrpcStatus.internal, "the request has no message"));
    } else if (message.compressed) {
      this.request.inflate(message.bytes).then(
        (bytes) => this.dispatch(method, bytes),
        (error: unknown) => this.fail(error),
      );
    } else this.dispatch(method, message.bytes);
  }

  private dispatch(method: MethodHandler, request: Uint8Array): void {
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
    this.request.close();
    this.answer?.clear();
  }

  private abort(reason: RpcError): void {
    this.abortReason ??= reason;
    this.controller?.abort(this.abortReason);
    this.request.endInbox();
  }

  private report(status: number): void {
    const { kind } = this.head.target;
    if (kind === "http") return;
    this.host.context.observer.callFinished?.(kind === "call" ? this.path : "unknown", status);
  }

  private openAnswer(): Answer {
    const { sender, context } = this.host;
    this.answer ??= new Answer(this, { sender, ...context });
    return this.answer;
  }
}

/** What ends an answer: trailers, or an empty DATA frame when it is not gRPC. */
interface Ending {
  readonly frame: Uint8Array | undefined;
  readonly status: GrpcStatus;
}

const noBytes = new Uint8Array(0);
