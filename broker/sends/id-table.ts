// Places of messages by the hash of their ids: a ring of the newest, chained by the low bits of the hash, newest first.
// A chain ends where it comes to a message that the ring has let go, so that letting one go touches nothing but a count.
// Typed arrays, nothing allocated a message. Knows hashes only: whether a message is the one, its record tells.

/** Where a message is. */
export interface SentPlace {
  /** Byte place of its record in the log; ascending from one to the next. */
  readonly position: number;
  /** Bytes of its record. */
  readonly size: number;
  /** Milliseconds since 1970; never less than that of the one before. */
  readonly storeTimeMs: number;
}

const firstSize = 1_024;
/** Chains for each message of a full ring: most chains have one message then, or none. */
const chainsPerMessage = 2;

/** The newest messages, at most as many as it is made for. */
export class IdTable {
  readonly #countMax: number;
  // Signed: such numbers are passed without being boxed.
  #lows = new Int32Array(0);
  #highs = new Int32Array(0);
  #positions = new Float64Array(0);
  #sizes = new Uint32Array(0);
  #times = new Float64Array(0);
  /** The number of the message before in the same chain. */
  #previous = new Int32Array(0);
  /** The number of the newest message of each chain. */
  #newest = new Int32Array(0);
  /**
   * The number of the next message. Numbers go round at 2^32: a chain that ended so long ago, or that has no message yet,
   * may then lead into another one, where nothing has its hash.
   */
  #next: number;
  #count = 0;

  /** `first`, for tests: the number of the first message, a signed one of 32 bits; in chains, 0 stands for none. */
  constructor(countMax: number, first = 1) {
    this.#countMax = countMax;
    this.#next = first;
  }

  /** Messages held. */
  get count(): number {
    return this.#count;
  }

  /** Position of the oldest message; infinite without one. */
  get oldestPosition(): number {
    return this.#count === 0 ? Infinity : (this.#positions[this.#oldest()] ?? 0);
  }

  /** Bytes of the arrays. */
  get sizeBytes(): number {
    return this.#lows.length * 32 + this.#newest.length * 4;
  }

  /** Adds a message behind all others; the oldest goes when it is one too many. */
  add(low: number, high: number, place: SentPlace): void {
    if (this.#count === this.#countMax) this.#count -= 1;
    if (this.#count === this.#lows.length) this.#grow();
    const index = this.#next & (this.#lows.length - 1);
    this.#lows[index] = low;
    this.#highs[index] = high;
    this.#positions[index] = place.position;
    this.#sizes[index] = place.size;
    this.#times[index] = place.storeTimeMs;
    this.#enter(index);
  }

  /** The index of a message with this hash, of the next older one after `after` (-1: the newest); -1 when there is none. */
  find(low: number, high: number, after = -1): number {
    if (this.#count === 0) return -1;
    const mask = this.#lows.length - 1;
    let number = (after < 0 ? this.#newest[low & this.#chainMask()] : this.#previous[after]) ?? 0;
    // How far back the message is. It grows along a chain; where it does not, the chain has ended.
    for (let back = after < 0 ? 0 : this.#distanceOf(after); ; ) {
      const distance = (this.#next - number) >>> 0;
      if (distance <= back || distance > this.#count) return -1;
      const index = number & mask;
      if (this.#highs[index] === high && this.#lows[index] === low) return index;
      back = distance;
      number = this.#previous[index] ?? 0;
    }
  }

  /** What is at an index that `find` has given. */
  placeAt(index: number): SentPlace {
    return {
      position: this.#positions[index] ?? 0,
      size: this.#sizes[index] ?? 0,
      storeTimeMs: this.#times[index] ?? 0,
    };
  }

  /** Forgets messages stored before `timeMs`. */
  expire(timeMs: number): void {
    while (this.#count > 0 && (this.#times[this.#oldest()] ?? 0) < timeMs) this.#count -= 1;
  }

  /** Forgets messages at or behind `end`. */
  takeBack(end: number): void {
    while (this.#count > 0) {
      const index = (this.#next - 1) & (this.#lows.length - 1);
      if ((this.#positions[index] ?? 0) < end) return;
      // The newest of all is the newest of its chain.
      this.#newest[(this.#lows[index] ?? 0) & this.#chainMask()] = this.#previous[index] ?? 0;
      this.#next = (this.#next - 1) | 0;
      this.#count -= 1;
    }
  }

  #oldest(): number {
    return (this.#next - this.#count) & (this.#lows.length - 1);
  }

  #chainMask(): number {
    return this.#newest.length - 1;
  }

  /** Messages from the one at `index` to the next one. */
  #distanceOf(index: number): number {
    const size = this.#lows.length;
    return (this.#next - index) & (size - 1) || size;
  }

  /** Counts the message at `index`, which has the next number. */
  #enter(index: number): void {
    const chain = (this.#lows[index] ?? 0) & this.#chainMask();
    this.#previous[index] = this.#newest[chain] ?? 0;
    this.#newest[chain] = this.#next;
    this.#next = (this.#next + 1) | 0;
    this.#count += 1;
  }

  #grow(): void {
    const [count, mask] = [this.#count, this.#lows.length - 1];
    const oldest = (this.#next - count) | 0;
    const size = Math.max(firstSize, count * 2);
    const move = <T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T => {
      for (let number = oldest; number !== this.#next; number = (number + 1) | 0)
        to[number & (size - 1)] = from[number & mask] ?? 0;
      return to;
    };
    this.#lows = move(this.#lows, new Int32Array(size));
    this.#highs = move(this.#highs, new Int32Array(size));
    this.#positions = move(this.#positions, new Float64Array(size));
    this.#sizes = move(this.#sizes, new Uint32Array(size));
    this.#times = move(this.#times, new Float64Array(size));
    this.#previous = new Int32Array(size);
    this.#newest = new Int32Array(size * chainsPerMessage);
    this.#next = oldest;
    this.#count = 0;
    while (this.#count < count) this.#enter(this.#next & (size - 1));
  }
}
