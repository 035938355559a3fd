// Length-prefixed gRPC messages out of DATA payloads. A message that lies in one payload is given as a view;
// one that is split is put together in memory that grows as it comes, never ahead of it.

/** Who gets the messages. */
export interface MessageSink {
  /** A message of `size` bytes begins; false ends reading (the sink has ended the call). */
  accepts(flags: number, size: number): boolean;
  /** False ends reading. The bytes are a view of the payload, or the sink's own when the message was split. */
  message(bytes: Uint8Array, compressed: boolean): boolean;
}

/** gRPC's prefix: one byte of flags, four of size. */
export const messagePrefixSize = 5;
const firstCapacityMax = 262_144;

/** A message of which a part has come. */
class PartialMessage {
  readonly #prefix = new Uint8Array(messagePrefixSize);
  #prefixSize = 0;
  #bytes: Buffer | undefined;
  #filled = 0;
  size = 0;

  get flags(): number {
    return this.#prefix[0] ?? 0;
  }

  get hasPrefix(): boolean {
    return this.#bytes !== undefined;
  }

  get complete(): boolean {
    return this.#bytes !== undefined && this.#filled === this.size;
  }

  get bytes(): Uint8Array {
    return (this.#bytes ?? Buffer.alloc(0)).subarray(0, this.size);
  }

  /** Takes bytes of the prefix; gives how many. */
  addPrefix(bytes: Uint8Array): number {
    const taken = Math.min(messagePrefixSize - this.#prefixSize, bytes.length);
    this.#prefix.set(bytes.subarray(0, taken), this.#prefixSize);
    this.#prefixSize += taken;
    if (this.#prefixSize === messagePrefixSize) {
      this.size = new DataView(this.#prefix.buffer).getUint32(1);
      this.#bytes = Buffer.allocUnsafeSlow(Math.min(this.size, firstCapacityMax));
    }
    return taken;
  }

  /** Takes bytes of the body; gives how many. */
  addBody(bytes: Uint8Array): number {
    const taken = Math.min(this.size - this.#filled, bytes.length);
    const target = this.#room(this.#filled + taken);
    target.set(taken === bytes.length ? bytes : bytes.subarray(0, taken), this.#filled);
    this.#filled += taken;
    return taken;
  }

  #room(sizeMin: number): Buffer {
    const old = this.#bytes ?? Buffer.alloc(0);
    if (old.length >= sizeMin) return old;
    const grown = Buffer.allocUnsafeSlow(Math.min(this.size, Math.max(sizeMin, old.length * 2)));
    old.copy(grown, 0, 0, this.#filled);
    this.#bytes = grown;
    return grown;
  }
}

/** Reads the messages of one call. Nothing is allocated while they lie in one payload each. */
export class RequestReader {
  #partial: PartialMessage | undefined;

  /** True in the middle of a message. */
  get incomplete(): boolean {
    return this.#partial !== undefined;
  }

  /** Takes a payload `[start, end)` of `view`. */
  push(
    sink: MessageSink,
    view: DataView,
    payload: { readonly start: number; readonly end: number },
  ): void {
    const { end } = payload;
    let at = payload.start;
    if (this.#partial !== undefined) at = this.#rest(this.#partial, sink, { view, at, end });
    if (at >= 0) at = readWhole(sink, view, at, end);
    if (at < 0 || at === end) return;
    this.#partial = new PartialMessage();
    this.#rest(this.#partial, sink, { view, at, end });
  }

  /** Goes on with a split message; the place after it, or -1 when the sink ended reading. */
  #rest(
    partial: PartialMessage,
    sink: MessageSink,
    from: { readonly view: DataView; readonly at: number; readonly end: number },
  ): number {
    const { view, end } = from;
    let next = from.at;
    if (!partial.hasPrefix) {
      next += partial.addPrefix(bytesOf(view, next, end));
      if (!partial.hasPrefix) return next;
      if (!sink.accepts(partial.flags, partial.size)) return -1;
    }
    next += partial.addBody(bytesOf(view, next, end));
    if (!partial.complete) return next;
    this.#partial = undefined;
    return sink.message(partial.bytes, partial.flags === 1) ? next : -1;
  }
}

/**
 * Gives the messages that lie wholly in `[at, end)` of `view` to `sink`.
 * The place of the first that does not, `end` when there is none, -1 when the sink ended reading.
 */
export function readWhole(sink: MessageSink, view: DataView, at: number, end: number): number {
  let next = at;
  while (end - next >= messagePrefixSize) {
    const flags = view.getUint8(next);
    const size = view.getUint32(next + 1);
    const start = next + messagePrefixSize;
    if (start + size > end) return next;
    if (!sink.accepts(flags, size)) return -1;
    if (!sink.message(bytesOf(view, start, start + size), flags === 1)) return -1;
    next = start + size;
  }
  return next;
}

function bytesOf(view: DataView, start: number, end: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, end - start);
}
