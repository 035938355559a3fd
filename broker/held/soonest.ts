// Things in the order in which they are to be looked at: the soonest is found at once.

/** What can be waited for. */
export interface Waiting {
  /** When to look at it, milliseconds. Not to be changed while it is in a heap. */
  wakeAtMs: number;
  /** Decides between two of the same moment: the lower one comes first. */
  readonly id: number;
}

/** A binary heap. */
export class Soonest<T extends Waiting> {
  #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The soonest; it stays. */
  peek(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let index = items.length;
    items.push(item);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = items[parentIndex];
      if (parent === undefined || comesFirst(parent, item)) break;
      items[index] = parent;
      index = parentIndex;
    }
    items[index] = item;
  }

  /** Takes the soonest out. */
  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last !== undefined && last !== first) this.#sink(last);
    return first;
  }

  /** Takes everything out, in no order. */
  drain(): T[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  #sink(item: T): void {
    const items = this.#items;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = items[childIndex];
      if (child === undefined) break;
      const right = items[childIndex + 1];
      if (right !== undefined && comesFirst(right, child)) {
        child = right;
        childIndex += 1;
      }
      if (comesFirst(item, child)) break;
      items[index] = child;
      index = childIndex;
    }
    items[index] = item;
  }
}

function comesFirst(one: Waiting, other: Waiting): boolean {
  return one.wakeAtMs === other.wakeAtMs ? one.id < other.id : one.wakeAtMs < other.wakeAtMs;
}
