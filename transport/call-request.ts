// The request side of one call: its messages, the window it may use, the memory it may book.
import type { Frame } from "./frame-splitter.ts";
import { ErrorCode, FrameType } from "./http2.ts";
import { Inbox } from "./inbox.ts";
import { inflate } from "./inflate.ts";
import type { RequestHead } from "./request-head.ts";
import { type MessageSink, RequestReader, readWhole } from "./request-reader.ts";
import { GrpcStatus, RpcError } from "./status.ts";
import type { StreamHost } from "./stream-host.ts";

/** The call that a request belongs to. */
export interface RequestOwner {
  readonly id: number;
  readonly head: RequestHead;
  readonly host: StreamHost;
  readonly remoteClosed: boolean;
  readonly ended: boolean;
  readonly closed: boolean;
  /** Ends the call with a status. */
  refuse(reason: RpcError): void;
  /** Resets the stream for a mistake of the client. */
  break(code: ErrorCode, message: string): void;
}

/** The one message of a call that is not bidirectional. */
export interface WholeRequest {
  readonly bytes: Uint8Array;
  readonly compressed: boolean;
}

/** Reads a request. */
export class CallRequest implements MessageSink {
  /** Bytes the client may still send. */
  receiveWindow: number;
  private readonly owner: RequestOwner;
  private receivedSize = 0;
  private receiveCredit = 0;
  private withheldCredit = 0;
  private bookedSize = 0;
  private whole: Uint8Array | undefined = undefined;
  private compressed = false;
  private reader: RequestReader | undefined = undefined;
  private openedInbox: Inbox | undefined = undefined;

  constructor(owner: RequestOwner) {
    this.owner = owner;
    this.receiveWindow = owner.host.context.limits.streamWindowSize;
  }

  /** The messages of a bidirectional call. */
  get inbox(): Inbox {
    this.openedInbox ??= new Inbox({
      inflate: (message) => this.inflate(message.bytes),
      onRead: () => this.refill(0),
    });
    return this.openedInbox;
  }

  /** True when the data that came ends inside a message. */
  get incomplete(): boolean {
    return this.reader?.incomplete === true;
  }

  /** True when as much data came as content-length said, if it said anything. */
  get fitsLength(): boolean {
    const { contentLength } = this.owner.head;
    return contentLength < 0 || contentLength === this.receivedSize;
  }

  /** Gives the request of a call that is not bidirectional, once. */
  take(): WholeRequest | undefined {
    if (this.whole === undefined) return undefined;
    const request = { bytes: this.whole, compressed: this.compressed };
    this.whole = undefined;
    return request;
  }

  /** Inflates a message within the method's size. Rejects RpcError. */
  inflate(bytes: Uint8Array): Promise<Uint8Array> {
    return inflate(bytes, this.sizeMax());
  }

  /** A DATA frame with the payload `[start, end)`; all of it, padding included, took window. */
  data(frame: Frame, start: number, end: number): void {
    const { owner } = this;
    const { contentLength, target } = owner.head;
    this.receivedSize += end - start;
    if (contentLength >= 0 && this.receivedSize > contentLength) {
      owner.break(ErrorCode.protocolError, "more data than content-length says");
    } else if (!owner.ended && target.kind === "call") this.read(frame.view, start, end);
    this.refill(frame.end - frame.start);
  }

  accepts(flags: number, size: number): boolean {
    const failure = this.refusal(flags, size);
    if (failure === undefined) return true;
    this.owner.refuse(failure);
    return false;
  }

  message(bytes: Uint8Array, compressed: boolean): boolean {
    this.book(-this.bookedSize);
    const { target } = this.owner.head;
    if (target.kind === "call" && target.method.kind === "bidi") {
      this.inbox.push({ bytes: new Uint8Array(bytes), compressed });
      return true;
    }
    if (this.whole !== undefined) {
      this.owner.refuse(new RpcError(GrpcStatus.internal, "the request has several messages"));
      return false;
    }
    this.whole = bytes;
    this.compressed = compressed;
    return true;
  }

  /** No more messages reach the handler; it may read those that came. */
  endInbox(): void {
    this.openedInbox?.end();
  }

  /** The call is over: gives back what is held. */
  close(): void {
    if (this.bookedSize > 0) this.book(-this.bookedSize);
    this.reader = undefined;
    this.whole = undefined;
    this.openedInbox?.clear();
    if (this.withheldCredit > 0) this.refill(0);
  }

  private read(view: DataView, start: number, end: number): void {
    const at = this.reader === undefined ? readWhole(this, view, start, end) : start;
    if (at < 0 || at === end) return;
    this.reader ??= new RequestReader();
    this.reader.push(this, view, { start: at, end });
  }

  private refusal(flags: number, size: number): RpcError | undefined {
    const sizeMax = this.sizeMax();
    if (flags > 1 || (flags === 1 && !this.owner.head.gzip)) {
      const message = "the message's compressed flag does not fit grpc-encoding";
      return new RpcError(GrpcStatus.internal, message);
    }
    if (size > sizeMax) {
      const message = `the message has ${size} bytes, the method takes ${sizeMax}`;
      return new RpcError(GrpcStatus.resourceExhausted, message);
    }
    if (!this.book(size)) {
      const { requestBufferSizeMax } = this.owner.host.context.limits;
      const message = `the connection's unfinished messages have more than ${requestBufferSizeMax} bytes`;
      return new RpcError(GrpcStatus.resourceExhausted, message);
    }
    return undefined;
  }

  private sizeMax(): number {
    const { head, host } = this.owner;
    const sizeMax = head.target.kind === "call" ? head.target.method.requestSizeMax : undefined;
    return sizeMax ?? host.context.limits.requestSizeMax;
  }

  /** Books memory for a message, or frees it. */
  private book(size: number): boolean {
    if (!this.owner.host.book(size)) return false;
    this.bookedSize += size;
    return true;
  }

  /** Grants window again for `size` bytes that came; withholds it while the handler of a bidi call is behind. */
  private refill(size: number): void {
    const { id, host, closed, remoteClosed } = this.owner;
    const { inboxSizeMax, streamWindowSize } = host.context.limits;
    this.withheldCredit += size;
    if (!closed && (this.openedInbox?.size ?? 0) > inboxSizeMax) return;
    const credit = this.withheldCredit;
    this.withheldCredit = 0;
    host.credit(credit);
    if (remoteClosed || closed) return;
    this.receiveCredit += credit;
    if (this.receiveCredit * 2 < streamWindowSize) return;
    host.sender.wordFrame(FrameType.windowUpdate, id, this.receiveCredit);
    this.receiveWindow += this.receiveCredit;
    this.receiveCredit = 0;
  }
}
