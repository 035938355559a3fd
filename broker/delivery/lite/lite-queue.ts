// Which lite topics one queue of a LITE topic holds, and where their messages are. Derived from the consume queue: nothing
// of it is stored. Pure: no time, no I/O.

import type { DeliveryEntries, DeliveryQueue } from "../ports.ts";
import { LiteOffsets } from "./lite-offsets.ts";

/** How much all queues of the broker hold, for the bounds. */
export interface LiteTally {
  /** Lite topics. */
  topics: number;
  /** Messages of them. */
  offsets: number;
}

/** The lite topics of one queue by the hash of their names, as in the consume queue. */
export class LiteQueue {
  readonly queue: DeliveryQueue;
  /** Everything before this queue offset has been taken in. */
  end: number;
  isLoading = false;
  readonly #tally: LiteTally;
  /** In the order of their newest message: those that are idle longest come first. */
  readonly #topics = new Map<number, LiteOffsets>();

  constructor(queue: DeliveryQueue, from: number, tally: LiteTally) {
    this.queue = queue;
    this.end = from;
    this.#tally = tally;
  }

  /** Lite topics that it holds. */
  get topicCount(): number {
    return this.#topics.size;
  }

  has(hash: number): boolean {
    return this.#topics.has(hash);
  }

  /** Where the messages of a lite topic are; undefined when it has none. */
  offsets(hash: number): LiteOffsets | undefined {
    return this.#topics.get(hash);
  }

  topics(): Iterable<[hash: number, offsets: LiteOffsets]> {
    return this.#topics;
  }

  /** Takes in what comes next of the consume queue; `arrived` hears of each message. */
  take(entries: DeliveryEntries, arrived: (hash: number) => void): void {
    for (let i = Math.max(0, this.end - entries.from); i < entries.count; i++) {
      const hash = entries.messageGroupHash(i);
      this.end = entries.from + i + 1;
      this.#add(hash, entries.from + i);
      arrived(hash);
    }
  }

  /** Forgets what is below `offset`, and lite topics of which nothing is left. */
  dropBelow(offset: number): void {
    for (const [hash, offsets] of this.#topics) {
      // The others are newer still.
      if ((offsets.first ?? 0) >= offset) continue;
      this.#tally.offsets -= offsets.dropBelow(offset);
      if (offsets.count === 0) this.#drop(hash);
    }
  }

  /** Forgets the messages of one lite topic below `offset`, but for its newest. */
  trim(offsets: LiteOffsets, offset: number): void {
    this.#tally.offsets -= offsets.dropBelow(Math.min(offset, offsets.last ?? offset));
  }

  /** Forgets the lite topics whose newest message is below `offset`; `gone` hears of each, and up to where it went. */
  expire(offset: number, gone: (hash: number, end: number) => void = () => {}): void {
    for (const [hash, offsets] of this.#topics) {
      const last = offsets.last ?? 0;
      if (last >= offset) break;
      this.#tally.offsets -= offsets.count;
      this.#drop(hash);
      gone(hash, last + 1);
    }
  }

  /** Takes all of it out of the tally; it is not used any more. */
  close(): void {
    this.expire(Number.POSITIVE_INFINITY);
  }

  #add(hash: number, offset: number): void {
    const known = this.#topics.get(hash);
    const offsets = known ?? new LiteOffsets();
    if (known === undefined) this.#tally.topics++;
    else this.#topics.delete(hash);
    this.#topics.set(hash, offsets);
    offsets.push(offset);
    this.#tally.offsets++;
  }

  #drop(hash: number): void {
    this.#topics.delete(hash);
    this.#tally.topics--;
  }
}
