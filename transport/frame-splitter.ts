// Cuts the bytes of a connection into frames. Frames inside a chunk are views of it; only the one that spans
// chunks is put together.
import { ConnectionError, ErrorCode, frameHeaderSize, frameSizeMax } from "./http2.ts";

/** One frame; valid until the next. */
export class Frame {
  type = 0;
  flags = 0;
  streamId = 0;
  /** The bytes the frame lies in. */
  bytes: Buffer = Buffer.alloc(0);
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Payload `[start, end)` in `bytes` and `view`. */
  start = 0;
  end = 0;
}

/** Cuts chunks into frames; false from `onFrame` stops. */
export class FrameSplitter {
  readonly #frame: Frame;
  readonly #onFrame: (frame: Frame) => boolean;
  /** Room for the frame that has not come completely; for its header as long as its size is not known. */
  #partial: Buffer | undefined;
  #filled = 0;

  /** `frame` is filled for each call of `onFrame`; several splitters may share one. */
  constructor(frame: Frame, onFrame: (frame: Frame) => boolean) {
    this.#frame = frame;
    this.#onFrame = onFrame;
  }

  /** Takes a chunk, whose bytes stay unchanged. Throws ConnectionError FRAME_SIZE_ERROR. */
  push(chunk: Buffer): void {
    let at = 0;
    while (this.#partial !== undefined) {
      const taken = Math.min(this.#partial.length - this.#filled, chunk.length - at);
      this.#partial.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled < this.#partial.length) return;
      if (!this.#complete(this.#partial)) return;
    }
    at = this.#cut(chunk, at);
    if (at >= 0 && at < chunk.length) this.#begin(chunk.subarray(at));
  }

  /** `partial` is full: it is a frame, or a header that says how large the frame is. False when stopped. */
  #complete(partial: Buffer): boolean {
    const size = frameHeaderSize + checkedSize(partial.readUIntBE(0, 3));
    if (partial.length === size) {
      this.#partial = undefined;
      return this.#cut(partial, 0) >= 0;
    }
    this.#begin(partial);
    return true;
  }

  #begin(rest: Buffer): void {
    const payloadSize = rest.length < frameHeaderSize ? 0 : checkedSize(rest.readUIntBE(0, 3));
    const partial = Buffer.allocUnsafe(frameHeaderSize + payloadSize);
    partial.set(rest, 0);
    this.#partial = partial;
    this.#filled = rest.length;
  }

  /** Gives the frames that lie in `bytes` from `from`; the place of the first that does not, or -1 when stopped. */
  #cut(bytes: Buffer, from: number): number {
    const frame = this.#frame;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = from;
    while (bytes.length - at >= frameHeaderSize) {
      const word = view.getUint32(at);
      const size = checkedSize(word >>> 8);
      const start = at + frameHeaderSize;
      if (start + size > bytes.length) break;
      frame.type = word & 255;
      frame.flags = view.getUint8(at + 4);
      frame.streamId = view.getUint32(at + 5) & 0x7fffffff;
      frame.bytes = bytes;
      frame.view = view;
      frame.start = start;
      at = start + size;
      frame.end = at;
      if (!this.#onFrame(frame)) return -1;
    }
    return at;
  }
}

function checkedSize(size: number): number {
  if (size > frameSizeMax) {
    throw new ConnectionError(
      ErrorCode.frameSizeError,
      `a frame of ${size} bytes, at most ${frameSizeMax}`,
    );
  }
  return size;
}
