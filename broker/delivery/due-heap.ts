// Things ordered by when they are due: the earliest is found at once, any one leaves or moves in O(log n).

/** What can stand in a heap. `heapIndex` belongs to the heap; -1 says that it is in none. */
export interface Due {
  /** Milliseconds. Change it only outside a heap, or call `moved` after. */
  dueAtMs: number;
  heapIndex: number;
}

/** A binary heap whose items know their place. */
export class DueHeap<T extends Due> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item that is due first; it stays. */
  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  /** Takes `item` out; nothing happens when it is not in. */
  remove(item: T): void {
    const index = item.heapIndex;
    if (index < 0) return;
    item.heapIndex = -1;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#place(last, index);
    this.moved(last);
  }

  /** Restores the order after `item.dueAtMs` has changed. */
  moved(item: T): void {
    const index = item.heapIndex;
    if (index < 0) return;
    const parent = this.#items[(index - 1) >> 1];
    if (index > 0 && parent !== undefined && parent.dueAtMs > item.dueAtMs) this.#rise(item, index);
    else this.#sink(item, index);
  }

  #rise(item: T, from: number): void {
    let index = from;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#items[parentIndex];
      if (parent === undefined || parent.dueAtMs <= item.dueAtMs) break;
      this.#place(parent, index);
      index = parentIndex;
    }
    this.#place(item, index);
  }

  #sink(item: T, from: number): void {
    let index = from;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = this.#items[childIndex];
      if (child === undefined) break;
      const right = this.#items[childIndex + 1];
      if (right !== undefined && right.dueAtMs < child.dueAtMs) {
        child = right;
        childIndex++;
      }
      if (child.dueAtMs >= item.dueAtMs) break;
      this.#place(child, index);
      index = childIndex;
    }
    this.#place(item, index);
  }

  #place(item: T, index: number): void {
    this.#items[index] = item;
    item.heapIndex = index;
  }
}
