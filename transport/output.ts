// Bytes that leave a connection in this turn of the event loop, collected in pooled chunks.

const chunkSize = 65_536;
/** Chunks kept for reuse in the process; more are left to the garbage collector. */
const pooledCountMax = 64;

/** A piece of memory with both views of it. */
export interface OutputChunk {
  readonly bytes: Buffer;
  readonly view: DataView;
}

const pool: OutputChunk[] = [];

function takeChunk(sizeMin: number): OutputChunk {
  const pooled = sizeMin <= chunkSize ? pool.pop() : undefined;
  if (pooled !== undefined) return pooled;
  const bytes = Buffer.allocUnsafeSlow(Math.max(chunkSize, sizeMin));
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** Gives a chunk back for reuse. Nobody may hold a view of it. */
export function returnChunk(chunk: OutputChunk): void {
  if (chunk.bytes.length === chunkSize && pool.length < pooledCountMax) pool.push(chunk);
}

const empty: OutputChunk = { bytes: Buffer.alloc(0), view: new DataView(new ArrayBuffer(0)) };

/** A filled part of a chunk. */
export interface OutputPart {
  readonly chunk: OutputChunk;
  readonly size: number;
}

/** Where frames are written. Holds no memory while it is empty. */
export class Output {
  #chunk: OutputChunk = empty;
  #end = 0;
  #full: OutputPart[] = [];
  #fullSize = 0;
  /** The chunk that `reserve` spoke of last. */
  bytes: Buffer = empty.bytes;
  view: DataView = empty.view;

  /** Bytes written and not taken. */
  get size(): number {
    return this.#fullSize + this.#end;
  }

  /** Makes room for `size` connected bytes and gives their place in `bytes` and `view`, which may have changed. */
  reserve(size: number): number {
    const at = this.#end;
    if (at + size > this.bytes.length) return this.#next(size);
    this.#end = at + size;
    return at;
  }

  /** Appends a copy of `source`. */
  append(source: Uint8Array): void {
    const at = this.reserve(source.length);
    this.bytes.set(source, at);
  }

  /** Gives what was written and starts empty; the taker returns the chunks. */
  take(): readonly OutputPart[] {
    const parts = this.#full;
    if (this.#end > 0) parts.push({ chunk: this.#chunk, size: this.#end });
    this.#full = [];
    this.#fullSize = 0;
    this.#use(empty);
    return parts;
  }

  #next(size: number): number {
    if (this.#end > 0) {
      this.#full.push({ chunk: this.#chunk, size: this.#end });
      this.#fullSize += this.#end;
    } else if (this.#chunk !== empty) returnChunk(this.#chunk);
    this.#use(takeChunk(size));
    this.#end = size;
    return 0;
  }

  #use(chunk: OutputChunk): void {
    this.#chunk = chunk;
    this.#end = 0;
    this.bytes = chunk.bytes;
    this.view = chunk.view;
  }
}
