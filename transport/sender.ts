// The sending half of a connection: one write per turn of the event loop, the connection's flow-control
// window, and bounded memory when the peer does not read. It knows frames, not calls.
import type { Duplex } from "node:stream";
import type { TransportLimits } from "../base/index.ts";
import { Flag, FrameType, frameHeaderSize, frameSizeMax, windowSizeDefault } from "./http2.ts";
import { Output, type OutputPart, returnChunk } from "./output.ts";

/** A stream with bytes to send and window of its own, waiting for the connection. */
export interface SendingStream {
  /** Sends what it may; asks to wait again when it could not send all. */
  pump(): void;
}

/** Writes all connections that have something to say, once per turn of the event loop. */
export class FlushQueue {
  #dirty: Sender[] = [];

  add(sender: Sender): void {
    if (this.#dirty.length === 0) setImmediate(() => this.#run());
    this.#dirty.push(sender);
  }

  #run(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const sender of dirty) sender.flush();
  }
}

/** What a sender needs to know. */
export interface SenderOptions {
  readonly socket: Duplex;
  readonly queue: FlushQueue;
  readonly limits: TransportLimits;
  readonly monotonicMs: () => number;
  /** The peer takes nothing although control frames pile up. */
  readonly onOverflow: () => void;
}

interface WrittenListener {
  readonly target: number;
  readonly listener: (sent: boolean) => void;
}

/** Output up to this size is copied out of its chunk when the socket is behind, bytes. */
const parkedSizeMax = 16_384;

/** The sending half of one connection. */
export class Sender {
  readonly output: Output = new Output();
  /** Flow-control window of the connection, bytes; may be negative never. */
  window: number = windowSizeDefault;
  /** Window a new stream starts with: the peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  streamWindow: number = windowSizeDefault;
  /** The next header block must say that our encoder's dynamic table is empty, because the peer made its own smaller. */
  announceEmptyTable = false;
  /** Bytes that wait in streams, kept by the streams. */
  queuedSize = 0;
  /** HEADERS and DATA frames sent in the current flood window. */
  frameCount = 0;
  readonly #options: SenderOptions;
  readonly #waiting = new Set<SendingStream>();
  #scheduled = false;
  #unsentSize = 0;
  #progressMs = 0;
  #flushedSize = 0;
  /** Who waits until so many bytes of this connection were taken by the socket, in order. */
  #written: WrittenListener[] = [];

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Bytes of stream data that may be sent now; 0 or less: wait. */
  get room(): number {
    const buffered = this.#unsentSize + this.output.size;
    return Math.min(this.window, this.#options.limits.writeBufferSizeMax - buffered);
  }

  /** True when nothing at all waits to be taken by the socket. */
  get idle(): boolean {
    return this.#unsentSize === 0 && this.output.size === 0;
  }

  /** Sees to it that what is in `output` is written in this turn of the event loop. */
  schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#options.queue.add(this);
  }

  /** Calls `listener` when all that has been put into `output` was taken by the socket, or cannot be any more. */
  onWritten(listener: (sent: boolean) => void): void {
    this.#written.push({ target: this.#flushedSize + this.output.size, listener });
    this.schedule();
  }

  /** Lets `stream` go on when there is room again. */
  wait(stream: SendingStream): void {
    this.#waiting.add(stream);
  }

  forget(stream: SendingStream): void {
    this.#waiting.delete(stream);
  }

  /** Lets waiting streams send while there is room. */
  pump(): void {
    if (this.#waiting.size === 0) return;
    for (const stream of this.#waiting) {
      if (this.room <= 0) break;
      this.#waiting.delete(stream);
      stream.pump();
    }
    this.schedule();
  }

  /** True when the socket has not taken a byte since `stallMs`. */
  stalled(nowMs: number, stallMs: number): boolean {
    return this.#unsentSize > 0 && nowMs - this.#progressMs > stallMs;
  }

  /** Writes a frame without stream data. Its payload is copied. */
  frame(
    header: { readonly type: number; readonly flags: number; readonly streamId: number },
    payload: Uint8Array,
  ): void {
    const at = this.output.reserve(frameHeaderSize + payload.length);
    const { view, bytes } = this.output;
    view.setUint32(at, (payload.length << 8) | header.type);
    view.setUint8(at + 4, header.flags);
    view.setUint32(at + 5, header.streamId);
    bytes.set(payload, at + frameHeaderSize);
    this.schedule();
  }

  /** Writes a frame whose payload is one 32-bit number: RST_STREAM or WINDOW_UPDATE. */
  wordFrame(type: number, streamId: number, word: number): void {
    const at = this.output.reserve(frameHeaderSize + 4);
    const { view } = this.output;
    view.setUint32(at, (4 << 8) | type);
    view.setUint8(at + 4, 0);
    view.setUint32(at + 5, streamId);
    view.setUint32(at + 9, word);
    this.schedule();
  }

  /** Writes the header of a DATA frame, takes its size from the connection's window, and gives the payload's place. */
  dataFrame(streamId: number, size: number): number {
    const at = this.output.reserve(frameHeaderSize + size);
    const { view } = this.output;
    view.setUint32(at, size << 8);
    view.setUint8(at + 4, 0);
    view.setUint32(at + 5, streamId);
    this.window -= size;
    this.frameCount += 1;
    return at + frameHeaderSize;
  }

  /** Writes a whole HEADERS frame made by `headersFrame`, for `streamId`. */
  headers(streamId: number, frame: Uint8Array): void {
    this.frameCount += 1;
    if (this.announceEmptyTable) {
      this.announceEmptyTable = false;
      this.#announcing(streamId, frame);
      return;
    }
    const at = this.output.reserve(frame.length);
    this.output.bytes.set(frame, at);
    this.output.view.setUint32(at + 5, streamId);
    this.schedule();
  }

  /** Says once that the dynamic table is empty: a size update to 0 before the block's fields. */
  #announcing(streamId: number, frame: Uint8Array): void {
    const block = Buffer.alloc(frame.length - frameHeaderSize + 1, 0x20);
    block.set(frame.subarray(frameHeaderSize), 1);
    this.frame({ type: FrameType.headers, flags: frame[4] ?? Flag.endHeaders, streamId }, block);
  }

  /** Hands everything to the socket. */
  flush(): void {
    this.#scheduled = false;
    const parts = this.output.take();
    const { socket } = this.#options;
    if (socket.destroyed || socket.writableEnded) {
      for (const part of parts) returnChunk(part.chunk);
      return;
    }
    if (parts.length > 1) socket.cork();
    for (const part of parts) this.#write(part);
    if (parts.length > 1) socket.uncork();
    if (this.#unsentSize > this.#options.limits.controlBufferSizeMax) this.#options.onOverflow();
  }

  /** The socket is gone: whoever waits hears it. */
  close(): void {
    for (const part of this.output.take()) returnChunk(part.chunk);
    const written = this.#written;
    this.#written = [];
    for (const { listener } of written) listener(false);
  }

  #write(part: OutputPart): void {
    const { socket, monotonicMs } = this.#options;
    const { chunk, size } = part;
    if (this.#unsentSize === 0) this.#progressMs = monotonicMs();
    this.#unsentSize += size;
    this.#flushedSize += size;
    let bytes = chunk.bytes.subarray(0, size);
    const parked = socket.writableLength > 0 && size <= parkedSizeMax;
    if (parked) {
      // The socket is behind: do not let a small answer hold a large chunk.
      bytes = Buffer.from(bytes);
      returnChunk(chunk);
    }
    socket.write(bytes, (error) => {
      if (!parked) returnChunk(chunk);
      if (error === null || error === undefined) this.#taken(size);
    });
  }

  #taken(size: number): void {
    this.#unsentSize -= size;
    if (this.#unsentSize > 0) this.#progressMs = this.#options.monotonicMs();
    if (this.#written.length > 0) this.#tellWritten();
    this.pump();
  }

  #tellWritten(): void {
    const takenSize = this.#flushedSize - this.#unsentSize;
    let first = this.#written[0];
    while (first !== undefined && first.target <= takenSize) {
      this.#written.shift();
      first.listener(true);
      first = this.#written[0];
    }
  }
}

/** Builds a HEADERS frame around a block, for `Sender.headers`. Blocks are small: one frame always suffices. */
export function headersFrame(block: Uint8Array, options: { readonly endStream: boolean }): Buffer {
  if (block.length > frameSizeMax) throw new RangeError("header block larger than a frame");
  const frame = Buffer.alloc(frameHeaderSize + block.length);
  frame.writeUInt32BE((block.length << 8) | FrameType.headers, 0);
  frame[4] = Flag.endHeaders | (options.endStream ? Flag.endStream : 0);
  frame.set(block, frameHeaderSize);
  return frame;
}
