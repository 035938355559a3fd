// A queue in front of calls that carry many items: with linger 0, what is queued while calls are in
// flight goes together in the next one. Used for sends and for acknowledgements.

/** How a lane forms and starts calls. */
export interface LaneOptions<T> {
  /** Items in one call at most. */
  readonly countMax: number;
  /** Bytes in one call at most; a larger item goes alone. */
  readonly sizeMaxBytes: number;
  readonly callsInFlightMax: number;
  readonly sizeOf: (item: T) => number;
  /** False drops the item when its turn comes. */
  readonly wanted: (item: T) => boolean;
  /** Hears of items that were dropped. */
  readonly dropped: (item: T) => void;
  /** Makes one call; settles every item itself and never rejects. */
  readonly run: (items: readonly T[]) => Promise<void>;
  /** Called when nothing waits and nothing is in flight any more. */
  readonly idle: () => void;
}

/** Items wait here in order. Its owner bounds how many wait. */
export class BatchLane<T> {
  readonly #options: LaneOptions<T>;
  #queue: T[] = [];
  #head = 0;
  #inFlight = 0;
  #scheduled = false;

  constructor(options: LaneOptions<T>) {
    this.#options = options;
  }

  /** Queues an item. It leaves at the end of this turn of the event loop, when a call is free. */
  push(item: T): void {
    this.#queue.push(item);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#options.callsInFlightMax) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  #start(): void {
    while (this.#inFlight < this.#options.callsInFlightMax) {
      const items = this.#take();
      if (items.length === 0) break;
      this.#inFlight++;
      void this.#options.run(items).finally(() => {
        this.#inFlight--;
        if (this.#head < this.#queue.length) this.#schedule();
        else this.#checkIdle();
      });
    }
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#inFlight === 0 && this.#head === this.#queue.length && !this.#scheduled) {
      this.#options.idle();
    }
  }

  #take(): T[] {
    const { countMax, sizeMaxBytes, sizeOf, wanted, dropped } = this.#options;
    const items: T[] = [];
    let size = 0;
    while (this.#head < this.#queue.length && items.length < countMax) {
      const item = this.#queue[this.#head];
      if (item === undefined) break;
      size += sizeOf(item);
      if (items.length > 0 && size > sizeMaxBytes) break;
      this.#head++;
      if (wanted(item)) items.push(item);
      else dropped(item);
    }
    this.#compact();
    return items;
  }

  /** Lets go of taken items once they are more than half of the array. */
  #compact(): void {
    if (this.#head === this.#queue.length) this.#queue = [];
    else if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
    } else return;
    this.#head = 0;
  }
}
