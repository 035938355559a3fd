// One HTTP/2 connection after its preface: what each frame means (RFC 9113), which calls are open, how it ends.
// Calls are stream.ts, sending is sender.ts, header blocks are header-blocks.ts.
import type { Socket } from "node:net";
import { AssertionError, type CancelTimer, type Clock } from "../base/index.ts";
import { ClosedStreams } from "./closed-streams.ts";
import { goaway, greet } from "./control-frames.ts";
import { FloodGuard, type FloodKind } from "./flood-guard.ts";
import { checkShape } from "./frame-shape.ts";
import { Frame, FrameSplitter } from "./frame-splitter.ts";
import {
  type HeaderBlock,
  HeaderBlocks,
  type HeaderContext,
  unpaddedEnd,
} from "./header-blocks.ts";
import { ConnectionError, ErrorCode, Flag, FrameType, windowSizeMax } from "./http2.ts";
import type { Peer } from "./peer.ts";
import { applySettings } from "./peer-settings.ts";
import { validTrailers } from "./request-head.ts";
import { type FlushQueue, Sender } from "./sender.ts";
import { GrpcStatus, RpcError } from "./status.ts";
import { GrpcStream } from "./stream.ts";
import type { CallContext, HostedStream, StreamHost } from "./stream-host.ts";
import type { CutReason } from "./types.ts";

/** What connections share in a server. */
export interface ConnectionContext extends CallContext, HeaderContext {
  readonly clock: Clock;
  readonly flushQueue: FlushQueue;
  /** Scratch of all connections: frames are handled one at a time. */
  readonly frame: Frame;
  readonly onClosed: (connection: Http2Connection) => void;
}

/** How far the end of a connection has come. */
type Phase =
  /** Calls are accepted. */
  | "open"
  /** GOAWAY without a bound is on its way; calls that the client began before it heard are accepted. */
  | "warned"
  /** GOAWAY has named the last call; open ones go on. */
  | "draining"
  /** All is said; what still comes is dropped until the socket closes. */
  | "ended";

/** How long a connection that has said all may take to close, and a client to answer the warning, milliseconds. */
const lingerMs = 1000;
const drainPing = Buffer.from("draining");

/** One client's connection. */
export class Http2Connection implements StreamHost {
  readonly peer: Peer;
  readonly sender: Sender;
  readonly context: ConnectionContext;
  readonly #socket: Socket;
  readonly #splitter: FrameSplitter;
  readonly #blocks: HeaderBlocks;
  readonly #guard: FloodGuard;
  readonly #streams = new Map<number, GrpcStream>();
  readonly #closedStreams = new ClosedStreams();
  #phase: Phase = "open";
  #settingsCame = false;
  #lastStreamId = 0;
  /** Bytes the peer may send, and bytes not yet granted again. */
  #receiveWindow: number;
  #receiveCredit = 0;
  #bookedSize = 0;
  #nowMs: number;
  #activeMs: number;
  #cancelTimer: CancelTimer | undefined;

  constructor(socket: Socket, peer: Peer, context: ConnectionContext) {
    this.#socket = socket;
    this.peer = peer;
    this.context = context;
    this.#splitter = new FrameSplitter(context.frame, (frame) => this.#onFrame(frame));
    this.#blocks = new HeaderBlocks(context);
    this.#guard = new FloodGuard(context.limits);
    this.#receiveWindow = context.limits.connectionWindowSize;
    this.#nowMs = context.monotonicMs();
    this.#activeMs = this.#nowMs;
    this.sender = new Sender({
      socket,
      queue: context.flushQueue,
      limits: context.limits,
      monotonicMs: context.monotonicMs,
      onOverflow: () => this.#cut("slowReader"),
    });
  }

  /** Open calls. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /** Begins: the preface has come, `rest` is what came after it. */
  start(rest: Buffer): void {
    greet(this.sender, this.context.limits);
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#onClose());
    if (rest.length > 0) this.#receive(rest);
  }

  forget(stream: HostedStream): void {
    this.#streams.delete(stream.id);
    this.#closedStreams.add(stream.id, "ended");
    if (this.#streams.size === 0) this.#rest();
  }

  reset(stream: HostedStream, code: ErrorCode): void {
    this.#streams.delete(stream.id);
    this.#resetId(stream.id, code);
    if (this.#streams.size === 0) this.#rest();
  }

  credit(size: number): void {
    this.#receiveCredit += size;
    const { connectionWindowSize } = this.context.limits;
    if (this.#receiveCredit * 2 < connectionWindowSize || this.#phase === "ended") return;
    this.sender.wordFrame(FrameType.windowUpdate, 0, this.#receiveCredit);
    this.#receiveWindow += this.#receiveCredit;
    this.#receiveCredit = 0;
  }

  book(size: number): boolean {
    if (size > 0 && this.#bookedSize + size > this.context.limits.requestBufferSizeMax)
      return false;
    this.#bookedSize += size;
    return true;
  }

  /** Housekeeping, about once a second. */
  tick(nowMs: number): void {
    this.#nowMs = nowMs;
    const { limits } = this.context;
    if (this.sender.stalled(nowMs, limits.writeStallMs)) {
      this.#cut("slowReader");
      return;
    }
    for (const stream of this.#streams.values()) {
      if (nowMs - (stream.waitingSinceMs ?? nowMs) > limits.windowStallMs) this.#unstick(stream);
    }
    const idle = limits.idleMs > 0 && nowMs - this.#activeMs > limits.idleMs;
    if (this.#phase === "open" && this.#streams.size === 0 && idle) {
      this.context.observer.connectionCut?.("idle");
      this.drain();
    }
  }

  /** Takes no new calls, lets the open ones end, then closes. */
  drain(): void {
    if (this.#phase !== "open") return;
    for (const stream of this.#streams.values()) stream.drain();
    this.#phase = "warned";
    goaway(this.sender, { lastStreamId: windowSizeMax, code: ErrorCode.noError });
    this.sender.frame({ type: FrameType.ping, flags: 0, streamId: 0 }, drainPing);
    this.#cancelTimer = this.context.clock.after(lingerMs, () => this.#warningHeard(), {
      unref: true,
    });
  }

  /** Ends every call with UNAVAILABLE and closes at once. */
  destroy(): void {
    this.#terminateStreams(new RpcError(GrpcStatus.unavailable, "the server has stopped"));
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#phase === "ended") return;
    this.#nowMs = this.context.monotonicMs();
    try {
      this.#splitter.push(chunk);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      this.#fail(error);
    }
  }

  /** Handles one frame; false when the connection has ended. */
  #onFrame(frame: Frame): boolean {
    if (this.#blocks.pending && frame.type !== FrameType.continuation) {
      throw new ConnectionError(ErrorCode.protocolError, "a frame inside a header block");
    }
    checkShape(frame);
    this.#settingsCame ||= frame.type === FrameType.settings && (frame.flags & Flag.ack) === 0;
    if (!this.#settingsCame) {
      throw new ConnectionError(ErrorCode.protocolError, "the first frame is not SETTINGS");
    }
    switch (frame.type) {
      case FrameType.data:
        this.#data(frame);
        break;
      case FrameType.headers:
        this.#block(this.#blocks.headers(frame));
        break;
      case FrameType.windowUpdate:
        this.#windowUpdate(frame);
        break;
      case FrameType.rstStream:
        this.#rstStream(frame);
        break;
      case FrameType.ping:
        this.#ping(frame);
        break;
      case FrameType.settings:
        this.#settings(frame);
        break;
      case FrameType.continuation:
        this.#block(this.#blocks.continuation(frame));
        break;
      case FrameType.priority:
        this.#priority(frame);
        break;
      case FrameType.goaway:
        break;
      default:
        this.#count("ignoredFrameCountMax");
    }
    return this.#phase !== "ended";
  }

  #data(frame: Frame): void {
    const id = frame.streamId;
    const end = unpaddedEnd(frame);
    const start = (frame.flags & Flag.padded) === 0 ? frame.start : frame.start + 1;
    const size = frame.end - frame.start;
    const endStream = (frame.flags & Flag.endStream) !== 0;
    if (start === end && !endStream) this.#count("emptyDataCountMax");
    this.#receiveWindow -= size;
    if (this.#receiveWindow < 0) {
      throw new ConnectionError(
        ErrorCode.flowControlError,
        "more DATA than the connection's window",
      );
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) {
      this.credit(size);
      this.#late(id);
      return;
    }
    stream.request.receiveWindow -= size;
    if (stream.remoteClosed || stream.request.receiveWindow < 0) {
      this.credit(size);
      this.#breakStream(
        stream,
        stream.remoteClosed ? ErrorCode.streamClosed : ErrorCode.flowControlError,
      );
      return;
    }
    stream.request.data(frame, start, end);
    if (endStream) stream.end();
  }

  /** A frame for a stream that is not open. */
  #late(id: number): void {
    if (id > this.#lastStreamId || id % 2 === 0) {
      throw new ConnectionError(ErrorCode.protocolError, "a frame for an idle stream");
    }
    this.#count("ignoredFrameCountMax");
    if (this.#closedStreams.how(id) !== "reset") this.#resetId(id, ErrorCode.streamClosed);
  }

  #block(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    const stream = this.#streams.get(block.streamId);
    if (stream !== undefined) this.#trailers(stream, block);
    else if (block.streamId > this.#lastStreamId) this.#request(block);
    else this.#lateBlock(block);
  }

  #request(block: HeaderBlock): void {
    const id = block.streamId;
    if (id % 2 === 0) throw new ConnectionError(ErrorCode.protocolError, "an even stream number");
    this.#lastStreamId = id;
    const head = this.#blocks.head(block);
    if (head === undefined || block.selfDependent) {
      this.#resetId(id, ErrorCode.protocolError);
      return;
    }
    const { limits } = this.context;
    if (
      this.#phase === "draining" ||
      this.#streams.size >= limits.concurrentStreamsMax ||
      this.sender.queuedSize > limits.responseBufferSizeMax
    ) {
      this.#resetId(id, ErrorCode.refusedStream);
      return;
    }
    const stream = new GrpcStream(this, id, head);
    this.#streams.set(id, stream);
    stream.remoteClosed = block.endStream;
    stream.begin(this.#nowMs);
    if (this.#phase === "warned") stream.drain();
    if (block.endStream) stream.end();
  }

  #trailers(stream: GrpcStream, block: HeaderBlock): void {
    if (stream.remoteClosed) {
      throw new ConnectionError(ErrorCode.streamClosed, "HEADERS after the end of the request");
    }
    const valid = validTrailers(this.#blocks.fields(block));
    if (block.endStream && valid && !block.selfDependent) stream.end();
    else this.#breakStream(stream, ErrorCode.protocolError);
  }

  #lateBlock(block: HeaderBlock): void {
    const how = this.#closedStreams.how(block.streamId);
    if (how === "ended") {
      throw new ConnectionError(ErrorCode.streamClosed, "HEADERS on a closed stream");
    }
    if (how === "unknown") {
      throw new ConnectionError(ErrorCode.protocolError, "a stream number that went back");
    }
    this.#count("ignoredFrameCountMax");
    this.#blocks.fields(block);
  }

  #windowUpdate(frame: Frame): void {
    this.#count("windowUpdateCountMax", 2 * this.sender.frameCount);
    const increment = frame.view.getUint32(frame.start) & 0x7fffffff;
    const id = frame.streamId;
    if (id === 0) this.#widenConnection(increment);
    else if (id > this.#lastStreamId) {
      throw new ConnectionError(ErrorCode.protocolError, "WINDOW_UPDATE for an idle stream");
    } else {
      const stream = this.#streams.get(id);
      if (stream === undefined) return;
      if (increment === 0) this.#breakStream(stream, ErrorCode.protocolError);
      else if (stream.sendWindow + increment > windowSizeMax) {
        this.#breakStream(stream, ErrorCode.flowControlError);
      } else stream.widen(increment);
    }
  }

  #widenConnection(increment: number): void {
    if (increment === 0) {
      throw new ConnectionError(ErrorCode.protocolError, "WINDOW_UPDATE of 0");
    }
    this.sender.window += increment;
    if (this.sender.window > windowSizeMax) {
      throw new ConnectionError(ErrorCode.flowControlError, "the connection's window is too large");
    }
    this.sender.pump();
  }

  #rstStream(frame: Frame): void {
    const id = frame.streamId;
    if (id > this.#lastStreamId) {
      throw new ConnectionError(ErrorCode.protocolError, "RST_STREAM for an idle stream");
    }
    this.#count("resetCountMax");
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.terminate(new RpcError(GrpcStatus.cancelled, "the client cancelled the call"));
    this.forget(stream);
  }

  #ping(frame: Frame): void {
    this.#activeMs = this.#nowMs;
    const payload = frame.bytes.subarray(frame.start, frame.end);
    if ((frame.flags & Flag.ack) === 0) {
      this.#count("pingCountMax", this.sender.frameCount);
      this.sender.frame({ type: FrameType.ping, flags: Flag.ack, streamId: 0 }, payload);
    } else if (this.#phase === "warned" && drainPing.equals(payload)) this.#warningHeard();
  }

  #settings(frame: Frame): void {
    this.#count("settingsCountMax");
    if ((frame.flags & Flag.ack) !== 0) return;
    const change = applySettings(frame, this.sender);
    this.sender.frame({ type: FrameType.settings, flags: Flag.ack, streamId: 0 }, nothing);
    if (change === 0) return;
    for (const stream of this.#streams.values()) {
      if (stream.sendWindow + change > windowSizeMax) {
        throw new ConnectionError(ErrorCode.flowControlError, "a stream's window is too large");
      }
      stream.widen(change);
    }
  }

  #priority(frame: Frame): void {
    const id = frame.streamId;
    this.#count("ignoredFrameCountMax");
    const wrong = frame.end - frame.start !== 5;
    if (!wrong && (frame.view.getUint32(frame.start) & 0x7fffffff) !== id) return;
    const code = wrong ? ErrorCode.frameSizeError : ErrorCode.protocolError;
    const stream = this.#streams.get(id);
    if (stream === undefined) this.#resetId(id, code);
    else this.#breakStream(stream, code);
  }

  #count(kind: FloodKind, allowance = 0): void {
    if (this.#guard.count(kind, this.#nowMs, allowance)) this.sender.frameCount = 0;
  }

  #breakStream(stream: GrpcStream, code: ErrorCode): void {
    this.reset(stream, code);
    stream.terminate(new RpcError(GrpcStatus.cancelled, "the client broke the protocol"));
  }

  #unstick(stream: GrpcStream): void {
    this.context.observer.connectionCut?.("slowReader");
    this.reset(stream, ErrorCode.enhanceYourCalm);
    stream.terminate(new RpcError(GrpcStatus.cancelled, "the client does not read the answer"));
  }

  #resetId(id: number, code: ErrorCode): void {
    this.#closedStreams.add(id, "reset");
    this.sender.wordFrame(FrameType.rstStream, id, code);
  }

  /** No call is open any more. */
  #rest(): void {
    this.#activeMs = this.#nowMs;
    if (this.#phase === "draining") this.#end();
  }

  #warningHeard(): void {
    if (this.#phase !== "warned") return;
    this.#cancelTimer?.();
    this.#phase = "draining";
    goaway(this.sender, { lastStreamId: this.#lastStreamId, code: ErrorCode.noError });
    if (this.#streams.size === 0) this.#end();
  }

  /** Ends the connection for a mistake of the peer, or a bug of ours. */
  #fail(error: unknown): void {
    const known = error instanceof ConnectionError;
    const code = known ? error.code : ErrorCode.internalError;
    const text = known ? error.message : "internal error";
    if (!known) {
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.context.logger.error("a connection failed unexpectedly", { error: stack });
    }
    this.context.observer.connectionCut?.(
      code === ErrorCode.enhanceYourCalm ? "flood" : "protocolError",
    );
    this.context.logger.debug("connection cut", { peer: this.peer.remoteAddress, reason: text });
    goaway(this.sender, { lastStreamId: this.#lastStreamId, code, text });
    this.#terminateStreams(new RpcError(GrpcStatus.cancelled, text));
    this.#end();
  }

  /** Everything is said: writes it and closes, at the latest a moment later. */
  #end(): void {
    if (this.#phase === "ended") return;
    this.#phase = "ended";
    this.sender.flush();
    this.#socket.end();
    this.#cancelTimer?.();
    this.#cancelTimer = this.context.clock.after(lingerMs, () => this.#socket.destroy(), {
      unref: true,
    });
  }

  #cut(reason: CutReason): void {
    this.context.observer.connectionCut?.(reason);
    this.context.logger.debug("connection cut", { peer: this.peer.remoteAddress, reason });
    this.#socket.destroy();
  }

  #terminateStreams(reason: RpcError): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.terminate(reason);
  }

  #onClose(): void {
    this.#phase = "ended";
    this.#cancelTimer?.();
    this.#terminateStreams(new RpcError(GrpcStatus.cancelled, "the connection was lost"));
    this.sender.close();
    this.peer.close();
    this.context.onClosed(this);
  }
}

const nothing = Buffer.alloc(0);
