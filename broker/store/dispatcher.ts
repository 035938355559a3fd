// Follows the confirmed position: makes queue entries visible, tells followers, in log order, one
// round for all that was confirmed at once. Works on what `append` noted, never parses the log.
import type { ConsumeQueue } from "./consume-queue.ts";
import type { ConsumeQueues } from "./consume-queues.ts";
import { RecordType, type RecordView } from "./record.ts";

/** Hears of confirmed records, synchronously and in log order. What it throws ends the process. */
export interface StoreFollower {
  /** Every record whose type is not `message`, in log order. Its bytes are views, see `RecordView`. */
  apply?(record: RecordView): void;
  /** A queue has messages up to `endOffset` (exclusive): once per queue and round, after `apply`. */
  arrived?(queue: ConsumeQueue, endOffset: number): void;
  /** Everything before `position` is confirmed and told: once per round, last. */
  confirmed?(position: number): void;
  /** What was appended behind `end` and not confirmed is not in the log: there was no space for it. */
  tookBack?(end: number): void;
}

/** Records appended and not yet dispatched: a ring of their ends, types and queues. */
export class Dispatcher {
  readonly #queues: ConsumeQueues;
  readonly #read: (position: number) => RecordView | undefined;
  readonly #followers: StoreFollower[] = [];
  readonly #touched: ConsumeQueue[] = [];
  #ends = new Float64Array(1_024);
  #types = new Uint8Array(1_024);
  #targets: (ConsumeQueue | undefined)[] = [];
  #head = 0;
  #count = 0;
  #dispatched: number;
  #round = 0;

  /** `read` gives a record that was appended and is not yet dispatched. `dispatched`: where the log ends now. */
  constructor(
    queues: ConsumeQueues,
    read: (position: number) => RecordView | undefined,
    dispatched: number,
  ) {
    this.#queues = queues;
    this.#read = read;
    this.#dispatched = dispatched;
  }

  /** Everything before it is visible and told to the followers. */
  get dispatched(): number {
    return this.#dispatched;
  }

  /** Adds a follower; it hears of what is confirmed from now on. */
  subscribe(follower: StoreFollower): void {
    this.#followers.push(follower);
  }

  /** Moves the end of an empty log, before anything is appended. */
  startAt(dispatched: number): void {
    this.#dispatched = dispatched;
  }

  /** Notes an appended record that ends at `end`. */
  appended(end: number, type: number, queue: ConsumeQueue | undefined): void {
    if (this.#count === this.#ends.length) this.#grow();
    const index = (this.#head + this.#count) & (this.#ends.length - 1);
    this.#ends[index] = end;
    this.#types[index] = type;
    this.#targets[index] = queue;
    this.#count += 1;
  }

  /** Forgets records that end behind `end`, newest first: they were taken back. */
  takeBack(end: number): void {
    for (const follower of this.#followers) follower.tookBack?.(end);
    while (this.#count > 0) {
      const index = (this.#head + this.#count - 1) & (this.#ends.length - 1);
      if ((this.#ends[index] ?? 0) <= end) return;
      this.#targets[index]?.takeBackOne();
      this.#targets[index] = undefined;
      this.#count -= 1;
    }
  }

  /** Runs one round up to `confirmed`, the end of a group. */
  advance(confirmed: number): void {
    if (confirmed <= this.#dispatched) return;
    this.#round += 1;
    const mask = this.#ends.length - 1;
    while (this.#count > 0) {
      const index = this.#head & mask;
      const end = this.#ends[index] ?? 0;
      if (end > confirmed) break;
      const type = this.#types[index] ?? 0;
      const queue = this.#targets[index];
      this.#targets[index] = undefined;
      this.#head = (this.#head + 1) & mask;
      this.#count -= 1;
      if (queue !== undefined) this.#confirm(queue);
      if (type !== RecordType.message) this.#apply(this.#dispatched);
      this.#dispatched = end;
    }
    this.#dispatched = confirmed;
    this.#tell();
  }

  #confirm(queue: ConsumeQueue): void {
    queue.confirmOne();
    if (queue.round === this.#round) return;
    queue.round = this.#round;
    this.#touched.push(queue);
  }

  #apply(position: number): void {
    const record = this.#read(position);
    if (record === undefined) throw new Error(`record ${position} left the memory undispatched`);
    for (const follower of this.#followers) follower.apply?.(record);
  }

  #tell(): void {
    const touched = this.#touched;
    for (const queue of touched) this.#queues.markDirty(queue);
    for (const follower of this.#followers) {
      if (follower.arrived !== undefined) {
        for (const queue of touched) follower.arrived(queue, queue.endOffset);
      }
      follower.confirmed?.(this.#dispatched);
    }
    touched.length = 0;
  }

  #grow(): void {
    const size = this.#ends.length;
    const ends = new Float64Array(size * 2);
    const types = new Uint8Array(size * 2);
    const targets: (ConsumeQueue | undefined)[] = [];
    for (let offset = 0; offset < this.#count; offset += 1) {
      const index = (this.#head + offset) & (size - 1);
      ends[offset] = this.#ends[index] ?? 0;
      types[offset] = this.#types[index] ?? 0;
      targets[offset] = this.#targets[index];
    }
    this.#ends = ends;
    this.#types = types;
    this.#targets = targets;
    this.#head = 0;
  }
}
