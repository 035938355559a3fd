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

/** Reads the messages of one call. */
export class RequestReader {
  readonly #sink: MessageSink;
  #partial: PartialMessage | undefined;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** True in the middle of a message. */
  get incomplete(): boolean {
    return this.#partial !== undefined;
  }

  /** Takes the payload `[start, end)` of `view`. */
  push(view: DataView, start: number, end: number): void {
    let at = start;
    while (at < end) {
      const next =
        this.#partial === undefined ? this.#whole(view, at, end) : this.#rest(view, at, end);
      if (next < 0) return;
      at = next;
    }
  }

  /** Gives a message that lies wholly in the payload, or begins to collect one. The next place, or -1 to stop. */
  #whole(view: DataView, at: number, end: number): number {
    if (end - at < messagePrefixSize) {
      this.#partial = new PartialMessage();
      return this.#rest(view, at, end);
    }
    const flags = view.getUint8(at);
    const size = view.getUint32(at + 1);
    const bodyEnd = at + messagePrefixSize + size;
    if (bodyEnd > end) {
      this.#partial = new PartialMessage();
      return this.#rest(view, at, end);
    }
    if (!this.#sink.accepts(flags, size)) return -1;
    const body = bytesOf(view, at + messagePrefixSize, bodyEnd);
    return this.#sink.message(body, flags === 1) ? bodyEnd : -1;
  }

  #rest(view: DataView, at: number, end: number): number {
    const partial = this.#partial ?? new PartialMessage();
    let next = at;
    if (!partial.hasPrefix) {
      next += partial.addPrefix(bytesOf(view, next, end));
      if (!partial.hasPrefix) return next;
      if (!this.#sink.accepts(partial.flags, partial.size)) return -1;
    }
    next += partial.addBody(bytesOf(view, next, end));
    if (!partial.complete) return next;
    this.#partial = undefined;
    return this.#sink.message(partial.bytes, partial.flags === 1) ? next : -1;
  }
}

function bytesOf(view: DataView, start: number, end: number): Buffer {
  return Buffer.from(view.buffer, view.byteOffset + start, end - start);
}
