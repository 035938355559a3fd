// Buffers for requests, used again: large buffers that live for one call each keep the garbage collector busy.

const bufferSizeBytes = 1024 * 1024;
const keptCountMax = 8;
/** Smaller requests come from Node's own pool. */
const pooledSizeMinBytes = 16 * 1024;

/** Lends buffers. */
export class BufferPool {
  readonly #kept: ArrayBuffer[] = [];

  /** A buffer of `size` bytes with unknown content, the caller's until it is given back, if ever. */
  take(size: number): Buffer {
    if (size < pooledSizeMinBytes || size > bufferSizeBytes) return Buffer.allocUnsafe(size);
    const memory = this.#kept.pop() ?? new ArrayBuffer(bufferSizeBytes);
    return Buffer.from(memory, 0, size);
  }

  /** Takes a buffer back. Nobody may read or write it any more; never give one twice. */
  give(buffer: Buffer): void {
    const memory = buffer.buffer;
    const ours = memory instanceof ArrayBuffer && memory.byteLength === bufferSizeBytes;
    if (ours && this.#kept.length < keptCountMax) this.#kept.push(memory);
  }
}
