// Bytes of one answer that wait for window or for the socket, and what ends them.

/** A queue of byte pieces, taken from the front in any cut. Pieces are kept by reference. */
export class SendQueue {
  #pieces: Uint8Array[] = [];
  #first = 0;
  #offset = 0;
  /** Bytes waiting. */
  size = 0;

  push(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.size += piece.length;
  }

  /** Copies the next `size` bytes to `target` at `at`; there must be that many. */
  take(target: Uint8Array, at: number, size: number): void {
    let to = at;
    const end = at + size;
    this.size -= size;
    while (to < end) {
      const piece = this.#pieces[this.#first] ?? nothing;
      const count = Math.min(end - to, piece.length - this.#offset);
      target.set(piece.subarray(this.#offset, this.#offset + count), to);
      to += count;
      this.#offset += count;
      if (this.#offset === piece.length) this.#shift();
    }
  }

  clear(): void {
    this.#pieces = [];
    this.#first = 0;
    this.#offset = 0;
    this.size = 0;
  }

  #shift(): void {
    this.#pieces[this.#first] = nothing;
    this.#first += 1;
    this.#offset = 0;
    if (this.#first < this.#pieces.length) return;
    this.#pieces.length = 0;
    this.#first = 0;
  }
}

const nothing = new Uint8Array(0);
