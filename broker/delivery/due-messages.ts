// Pending messages by when they are due: all in one order, or apart by queue where one queue goes before another. Pure: no
// time, no I/O.
import { DueHeap } from "./due-heap.ts";
import type { PendingMessage } from "./lane.ts";

/** The pending messages of a subscription whose state is "due" and that hold back no others. */
export class DueMessages {
  /** One heap for all, or by queue id. */
  readonly #heaps: (DueHeap<PendingMessage> | undefined)[] = [new DueHeap()];
  #isSeparate = false;

  /** Keeps them apart by queue, or together. What is in stays in. */
  separate(byQueue: boolean): void {
    if (byQueue === this.#isSeparate) return;
    const old = this.#heaps.splice(0);
    this.#heaps.push(new DueHeap());
    this.#isSeparate = byQueue;
    for (const heap of old) {
      for (let entry = heap?.peek(); entry !== undefined; entry = heap?.peek()) {
        heap?.remove(entry);
        this.push(entry);
      }
    }
  }

  /** The one that is due first; with `queueId` of that queue, while they are kept apart. It stays. */
  peek(queueId?: number): PendingMessage | undefined {
    if (!this.#isSeparate) return this.#heaps[0]?.peek();
    if (queueId !== undefined) return this.#heaps[queueId]?.peek();
    let first: PendingMessage | undefined;
    for (const heap of this.#heaps) {
      const entry = heap?.peek();
      if (entry !== undefined && (first === undefined || entry.dueAtMs < first.dueAtMs)) {
        first = entry;
      }
    }
    return first;
  }

  push(entry: PendingMessage): void {
    this.#heapOf(entry).push(entry);
  }

  /** Takes `entry` out; nothing happens when it is not in. */
  remove(entry: PendingMessage): void {
    this.#heapOf(entry).remove(entry);
  }

  /** Restores the order after `entry.dueAtMs` has changed. */
  moved(entry: PendingMessage): void {
    this.#heapOf(entry).moved(entry);
  }

  #heapOf(entry: PendingMessage): DueHeap<PendingMessage> {
    const index = this.#isSeparate ? entry.lane.queueId : 0;
    const heap = this.#heaps[index] ?? new DueHeap<PendingMessage>();
    this.#heaps[index] = heap;
    return heap;
  }
}
