// One HTTP/2 connection that we dialled: frames in and out, which calls are open, how it ends. Calls are
// dialled-call.ts. The other end is a server like ours; whatever it does wrong costs this connection, nothing else.
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { AssertionError, type CancelTimer, type Clock } from "../base/index.ts";
import { goaway, greet } from "./control-frames.ts";
import { DialledCall, type OutgoingCall } from "./dialled-call.ts";
import type { DialledHost, DiallingContext } from "./dialled-host.ts";
import { checkShape } from "./frame-shape.ts";
import { Frame, FrameSplitter } from "./frame-splitter.ts";
import {
  type HeaderBlock,
  HeaderBlocks,
  type HeaderContext,
  unpaddedEnd,
} from "./header-blocks.ts";
import { ConnectionError, ErrorCode, Flag, FrameType, preface, windowSizeMax } from "./http2.ts";
import { applySettings } from "./peer-settings.ts";
import { type FlushQueue, Sender } from "./sender.ts";
import { GrpcStatus } from "./status.ts";

/** Where a connection leads. */
export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** The server's certificate is not checked: it may be self-signed. */
  readonly isTls: boolean;
}

/** What connections of one client share. */
export interface DialledContext extends DiallingContext, HeaderContext {
  readonly clock: Clock;
  readonly flushQueue: FlushQueue;
  /** Scratch of all connections: frames are handled one at a time. */
  readonly frame: Frame;
  /** No new call may begin on the connection: it is closed, or the server is about to leave. */
  readonly onUnusable: (connection: DialledConnection) => void;
  readonly onClosed: (connection: DialledConnection) => void;
}

/** A server that is not reached in so long is not there, milliseconds. */
const connectMs = 5_000;
/** A server that says nothing for so long, although calls are open, is asked; and is gone when it does not answer for as long. */
const silenceMs = 5_000;

const nothing = Buffer.alloc(0);

/** Our end of a connection to a server. Calls may begin at once, before it is there. */
export class DialledConnection implements DialledHost {
  readonly sender: Sender;
  readonly context: DialledContext;
  readonly authority: string;
  readonly isTls: boolean;
  readonly #socket: Socket;
  readonly #splitter: FrameSplitter;
  readonly #blocks: HeaderBlocks;
  readonly #calls = new Map<number, DialledCall>();
  #nextId = 1;
  #receiveCredit = 0;
  #isUsable = true;
  #isClosed = false;
  #failure = "the connection was lost";
  #heardMs: number;
  #askedMs: number | undefined;
  readonly #cancelConnecting: CancelTimer;

  constructor(target: DialTarget, context: DialledContext) {
    this.context = context;
    this.isTls = target.isTls;
    this.authority = `${target.host}:${target.port}`;
    this.#splitter = new FrameSplitter(context.frame, (frame) => this.#onFrame(frame));
    this.#blocks = new HeaderBlocks(context);
    this.#heardMs = context.monotonicMs();
    this.#socket = dial(target);
    this.#socket.setNoDelay(true);
    this.sender = new Sender({
      socket: this.#socket,
      queue: context.flushQueue,
      limits: context.limits,
      monotonicMs: context.monotonicMs,
      onOverflow: () => this.#cut("the server does not read"),
    });
    this.#cancelConnecting = context.clock.after(
      connectMs,
      () => this.#cut(`no connection in ${connectMs} ms`),
      { unref: true },
    );
    this.#socket.on(target.isTls ? "secureConnect" : "connect", () => this.#cancelConnecting());
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("error", (error) => {
      this.#failure = error.message;
      this.#socket.destroy();
    });
    this.#socket.on("end", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#onClose());
    this.sender.output.append(preface);
    greet(this.sender, context.limits);
  }

  /** Open calls. */
  get callCount(): number {
    return this.#calls.size;
  }

  /** Begins a call. It ends with UNAVAILABLE at once when the connection takes none any more. */
  call(outgoing: OutgoingCall): DialledCall {
    const id = this.#nextId;
    this.#nextId += 2;
    const call = new DialledCall(this, id, outgoing);
    if (!this.#isUsable) {
      call.end(GrpcStatus.unavailable, this.#failure);
      return call;
    }
    if (this.#calls.size === 0) this.#heardMs = this.context.monotonicMs();
    this.#calls.set(id, call);
    call.begin();
    if (this.#nextId > windowSizeMax) this.#retire("all stream numbers are used");
    return call;
  }

  /** Housekeeping, about once a second: notices a server that has vanished without a word. */
  tick(nowMs: number): void {
    if (this.#calls.size === 0) {
      this.#askedMs = undefined;
      return;
    }
    if (this.#askedMs !== undefined && nowMs - this.#askedMs > silenceMs) {
      this.#cut(`no answer for ${silenceMs} ms`);
    } else if (this.#askedMs === undefined && nowMs - this.#heardMs > silenceMs) {
      this.#askedMs = nowMs;
      this.sender.frame({ type: FrameType.ping, flags: 0, streamId: 0 }, Buffer.alloc(8));
    }
  }

  /** Closes at once; open calls end with UNAVAILABLE. */
  close(): void {
    this.#cut("the connection was closed");
  }

  forget(call: DialledCall): void {
    this.#calls.delete(call.id);
    if (!this.#isUsable && this.#calls.size === 0) this.#socket.destroy();
  }

  reset(call: DialledCall, code: ErrorCode): void {
    this.sender.wordFrame(FrameType.rstStream, call.id, code);
    this.forget(call);
  }

  credit(size: number): void {
    this.#receiveCredit += size;
    if (this.#receiveCredit * 2 < this.context.limits.connectionWindowSize) return;
    this.sender.wordFrame(FrameType.windowUpdate, 0, this.#receiveCredit);
    this.#receiveCredit = 0;
  }

  #receive(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#heardMs = this.context.monotonicMs();
    this.#askedMs = undefined;
    try {
      this.#splitter.push(chunk);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      const code = error instanceof ConnectionError ? error.code : ErrorCode.internalError;
      const text = error instanceof Error ? error.message : String(error);
      goaway(this.sender, { lastStreamId: 0, code, text });
      this.sender.flush();
      this.#cut(`the server broke the protocol: ${text}`);
    }
  }

  /** Handles one frame; false when the connection has ended. */
  #onFrame(frame: Frame): boolean {
    if (this.#blocks.pending && frame.type !== FrameType.continuation) {
      throw new ConnectionError(ErrorCode.protocolError, "a frame inside a header block");
    }
    checkShape(frame);
    switch (frame.type) {
      case FrameType.data:
        this.#data(frame);
        break;
      case FrameType.headers:
        this.#block(this.#blocks.headers(frame));
        break;
      case FrameType.continuation:
        this.#block(this.#blocks.continuation(frame));
        break;
      case FrameType.windowUpdate:
        this.#windowUpdate(frame);
        break;
      case FrameType.rstStream:
        this.#calls.get(frame.streamId)?.wasReset(frame.view.getUint32(frame.start));
        break;
      case FrameType.ping:
        this.#ping(frame);
        break;
      case FrameType.settings:
        this.#settings(frame);
        break;
      case FrameType.goaway:
        this.#goaway(frame);
        break;
      default:
    }
    return !this.#isClosed;
  }

  #data(frame: Frame): void {
    const end = unpaddedEnd(frame);
    const start = (frame.flags & Flag.padded) === 0 ? frame.start : frame.start + 1;
    const call = this.#calls.get(frame.streamId);
    // What comes for a call that is over has still taken its part of the window.
    if (call === undefined) this.credit(frame.end - frame.start);
    else call.data(frame, start, end);
  }

  #block(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    // Decoded in any case: the table depends on every block.
    const fields = this.#blocks.fields(block);
    this.#calls.get(block.streamId)?.headers(fields, block.endStream);
  }

  #windowUpdate(frame: Frame): void {
    const increment = frame.view.getUint32(frame.start) & 0x7fffffff;
    if (frame.streamId !== 0) {
      this.#calls.get(frame.streamId)?.widen(increment);
      return;
    }
    this.sender.window += increment;
    if (this.sender.window > windowSizeMax) {
      throw new ConnectionError(ErrorCode.flowControlError, "the connection's window is too large");
    }
    this.sender.pump();
  }

  #ping(frame: Frame): void {
    if ((frame.flags & Flag.ack) !== 0) return;
    const payload = frame.bytes.subarray(frame.start, frame.end);
    this.sender.frame({ type: FrameType.ping, flags: Flag.ack, streamId: 0 }, payload);
  }

  #settings(frame: Frame): void {
    if ((frame.flags & Flag.ack) !== 0) return;
    const change = applySettings(frame, this.sender);
    this.sender.frame({ type: FrameType.settings, flags: Flag.ack, streamId: 0 }, nothing);
    if (change === 0) return;
    for (const call of this.#calls.values()) call.widen(change);
  }

  /** The server leaves: calls that it has not seen are over, the others may end. */
  #goaway(frame: Frame): void {
    if (frame.end - frame.start < 8) {
      throw new ConnectionError(ErrorCode.frameSizeError, "GOAWAY too short");
    }
    const lastStreamId = frame.view.getUint32(frame.start) & 0x7fffffff;
    this.#retire("the server takes no more calls");
    for (const call of this.#calls.values()) {
      if (call.id > lastStreamId) call.end(GrpcStatus.unavailable, this.#failure);
    }
  }

  /** Takes no more calls, and closes after the last one. */
  #retire(reason: string): void {
    if (!this.#isUsable) return;
    this.#isUsable = false;
    this.#failure = reason;
    this.context.onUnusable(this);
    if (this.#calls.size === 0) this.#socket.destroy();
  }

  #cut(reason: string): void {
    if (this.#isClosed) return;
    this.#failure = reason;
    this.#socket.destroy();
  }

  #onClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelConnecting();
    this.#retire(this.#failure);
    for (const call of this.#calls.values()) call.end(GrpcStatus.unavailable, this.#failure);
    this.sender.close();
    this.context.onClosed(this);
  }
}

function dial({ host, port, isTls }: DialTarget): Socket {
  if (!isTls) return connect({ host, port });
  return connectTls({ host, port, ALPNProtocols: ["h2"], rejectUnauthorized: false });
}
