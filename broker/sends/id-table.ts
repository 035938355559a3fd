// Places of messages by the hash of their ids: a ring of the newest, and an open-addressing table over it. Typed arrays,
// nothing allocated a message. Knows hashes only: whether a message is the one, its record tells.

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

/** The newest messages, at most as many as it is made for. */
export class IdTable {
  readonly #countMax: number;
  // Signed: such numbers are passed without being boxed.
  #lows = new Int32Array(0);
  #highs = new Int32Array(0);
  #positions = new Float64Array(0);
  #sizes = new Uint32Array(0);
  #times = new Float64Array(0);
  /** Two numbers a slot, so that looking at one touches one line of memory: index in the ring + 1, 0 being free, and low. At most half are taken. */
  #slots = new Int32Array(0);
  #mask = 0;
  /** Index of the oldest. */
  #head = 0;
  #count = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** Messages held. */
  get count(): number {
    return this.#count;
  }

  /** Position of the oldest message; infinite without one. */
  get oldestPosition(): number {
    return this.#count === 0 ? Infinity : (this.#positions[this.#head] ?? 0);
  }

  /** Bytes of the arrays. */
  get sizeBytes(): number {
    return this.#lows.length * 28 + this.#slots.length * 4;
  }

  /** Adds a message behind all others; the oldest goes when it is one too many. */
  add(low: number, high: number, place: SentPlace): void {
    if (this.#count === this.#countMax) this.#removeOldest();
    if (this.#count === this.#lows.length) this.#grow();
    const index = this.#at(this.#count);
    this.#lows[index] = low;
    this.#highs[index] = high;
    this.#positions[index] = place.position;
    this.#sizes[index] = place.size;
    this.#times[index] = place.storeTimeMs;
    this.#count += 1;
    this.#enter(index);
  }

  /** The slot of a message with this hash, the next one after `after` (-1: the first); -1 when there is none. */
  find(low: number, high: number, after = -1): number {
    if (this.#count === 0) return -1;
    const slots = this.#slots;
    const mask = this.#mask;
    for (let slot = (after < 0 ? low : after + 1) & mask; ; slot = (slot + 1) & mask) {
      const index = (slots[slot * 2] ?? 0) - 1;
      if (index < 0) return -1;
      if (slots[slot * 2 + 1] === low && this.#highs[index] === high) return slot;
    }
  }

  /** What is in a slot that `find` has given. */
  placeAt(slot: number): SentPlace {
    const index = (this.#slots[slot * 2] ?? 0) - 1;
    return {
      position: this.#positions[index] ?? 0,
      size: this.#sizes[index] ?? 0,
      storeTimeMs: this.#times[index] ?? 0,
    };
  }

  /** Forgets messages stored before `timeMs`. */
  expire(timeMs: number): void {
    while (this.#count > 0 && (this.#times[this.#head] ?? 0) < timeMs) this.#removeOldest();
  }

  /** Forgets messages at or behind `end`. */
  takeBack(end: number): void {
    while (this.#count > 0) {
      const index = this.#at(this.#count - 1);
      if ((this.#positions[index] ?? 0) < end) return;
      this.#leave(index);
      this.#count -= 1;
    }
  }

  #at(offset: number): number {
    const index = this.#head + offset;
    return index < this.#lows.length ? index : index - this.#lows.length;
  }

  #removeOldest(): void {
    this.#leave(this.#head);
    this.#head = this.#at(1);
    this.#count -= 1;
  }

  #enter(index: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    const low = this.#lows[index] ?? 0;
    let slot = low & mask;
    while (slots[slot * 2] !== 0) slot = (slot + 1) & mask;
    slots[slot * 2] = index + 1;
    slots[slot * 2 + 1] = low;
  }

  /** Frees the slot, and moves those behind it that would not be found over a gap. */
  #leave(index: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let gap = (this.#lows[index] ?? 0) & mask;
    while (slots[gap * 2] !== index + 1) gap = (gap + 1) & mask;
    for (let slot = (gap + 1) & mask; slots[slot * 2] !== 0; slot = (slot + 1) & mask) {
      const low = slots[slot * 2 + 1] ?? 0;
      const home = low & mask;
      // It may stand in the gap when the gap is on its way from home to where it is.
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      slots[gap * 2] = slots[slot * 2] ?? 0;
      slots[gap * 2 + 1] = low;
      gap = slot;
    }
    slots[gap * 2] = 0;
  }

  #grow(): void {
    const size = Math.min(this.#countMax, Math.max(firstSize, this.#count * 2));
    const move = <T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T => {
      for (let offset = 0; offset < this.#count; offset += 1)
        to[offset] = from[this.#at(offset)] ?? 0;
      return to;
    };
    const lows = move(this.#lows, new Int32Array(size));
    this.#highs = move(this.#highs, new Int32Array(size));
    this.#positions = move(this.#positions, new Float64Array(size));
    this.#sizes = move(this.#sizes, new Uint32Array(size));
    this.#times = move(this.#times, new Float64Array(size));
    this.#lows = lows;
    this.#head = 0;
    const slotCount = 2 ** Math.ceil(Math.log2(size * 2));
    this.#slots = new Int32Array(slotCount * 2);
    this.#mask = slotCount - 1;
    for (let index = 0; index < this.#count; index += 1) this.#enter(index);
  }
}
