// Memory that parts of the log are read into and sent from, used again once the system has taken the bytes. Fresh memory
// for each read costs more than the reading: its pages are cleared first, and the collector runs for it.

interface Lent {
  readonly buffer: Buffer;
  /** It is free when so many bytes of the link were taken. */
  readonly until: number;
}

/** The buffers of one link. As many as are on the way at once; none when `clear` is called. */
export class SendBuffers {
  readonly #size: number;
  #lent: Lent[] = [];
  #free: Buffer[] = [];

  /** `size`: of each, bytes. */
  constructor(size: number) {
    this.#size = size;
  }

  /** A buffer that nobody reads any more; `takenBytes` of the link were taken by the system. */
  next(takenBytes: number): Buffer {
    const isTaken = ({ until }: Lent): boolean => until <= takenBytes;
    this.#free.push(...this.#lent.filter(isTaken).map(({ buffer }) => buffer));
    this.#lent = this.#lent.filter((lent) => !isTaken(lent));
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#size);
  }

  /** It was sent, and was the last of `sentBytes`. */
  sent(buffer: Buffer, sentBytes: number): void {
    this.#lent.push({ buffer, until: sentBytes });
  }

  /** Gives all memory back. */
  clear(): void {
    this.#lent = [];
    this.#free = [];
  }
}
