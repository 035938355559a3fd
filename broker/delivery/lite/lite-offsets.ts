// The queue offsets of one lite topic in one queue, ascending: where its messages are. Pure.

const spareMax = 64;

/** Ascending queue offsets that come at the end and go at the start. */
export class LiteOffsets {
  #items: number[] = [];
  #head = 0;

  get count(): number {
    return this.#items.length - this.#head;
  }

  get first(): number | undefined {
    return this.#items[this.#head];
  }

  get last(): number | undefined {
    return this.count === 0 ? undefined : this.#items[this.#items.length - 1];
  }

  /** Adds an offset behind all others. */
  push(offset: number): void {
    this.#items.push(offset);
  }

  /** The first one at or behind `offset`; undefined when there is none. */
  firstFrom(offset: number): number | undefined {
    return this.#items[this.#indexFrom(offset)];
  }

  /** How many are at or behind `offset`. */
  countFrom(offset: number): number {
    return this.#items.length - this.#indexFrom(offset);
  }

  /** The one that `count` others at most follow up to the end, itself included; undefined when there is none. */
  fromEnd(count: number): number | undefined {
    return this.#items[Math.max(this.#head, this.#items.length - count)];
  }

  /** Forgets those below `offset`; gives how many. */
  dropBelow(offset: number): number {
    const head = this.#indexFrom(offset);
    const dropped = head - this.#head;
    this.#head = head;
    if (this.#head >= spareMax || this.count === 0) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return dropped;
  }

  #indexFrom(offset: number): number {
    const items = this.#items;
    // Mostly what is asked for is at one of the ends.
    if ((items[this.#head] ?? offset) >= offset) return this.#head;
    let low = this.#head;
    let high = items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((items[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
