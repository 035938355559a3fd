// How many messages may be pending: of a group on one queue, and of all groups together. Who holds few is not kept
// waiting by who holds nearly everything: up to a small number a group gets messages at any time.
import { limits } from "../../base/index.ts";

/** What may be pending. */
export interface PendingMaxima {
  /** Of one group on one queue. */
  readonly perQueue: number;
  /** Of all groups. */
  readonly total: number;
}

/** Counts what is pending, and says who may have more. */
export class PendingBound {
  readonly maxima: PendingMaxima;
  /** Pending messages of all groups. */
  count = 0;
  readonly #ofGroup = new Map<string, number>();

  constructor(
    maxima: PendingMaxima = { perQueue: limits.pendingPerQueueMax, total: limits.pendingTotalMax },
  ) {
    this.maxima = maxima;
  }

  /** Whether the broker has no room for more of this group. */
  isFullFor(group: string): boolean {
    if (this.count < this.maxima.total) return false;
    return (this.#ofGroup.get(group) ?? 0) >= limits.pendingPerGroupMin;
  }

  added(group: string): void {
    this.count++;
    this.#ofGroup.set(group, (this.#ofGroup.get(group) ?? 0) + 1);
  }

  removed(group: string, count: number): void {
    this.count -= count;
    const left = (this.#ofGroup.get(group) ?? 0) - count;
    if (left > 0) this.#ofGroup.set(group, left);
    else this.#ofGroup.delete(group);
  }
}
