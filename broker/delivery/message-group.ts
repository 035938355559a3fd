// The messages of one message group on one lane: what of them is out, and what was passed over because of that.
// Pure: no time, no I/O.
import type { Due } from "./due-heap.ts";
import { Fifo } from "./fifo.ts";
import type { PendingMessage } from "./lane.ts";
import type { LaneOrder } from "./lane-order.ts";

/** A message group of which something is out or was passed over. `dueAtMs` is when it may be looked at. */
export class MessageGroup implements Due {
  dueAtMs = 0;
  heapIndex = -1;
  readonly order: LaneOrder;
  /** As in the consume queue; 0 holds what has no message group. */
  readonly hash: number;
  /** Pending messages by queue offset, ascending: no other of the group is handed out before these are done. */
  readonly held: PendingMessage[] = [];
  /** Queue offsets passed over, ascending: the first of them. */
  readonly passed: Fifo<number> = new Fifo();
  /** From here to the cursor others may have been passed over; undefined when all of them are in `passed`. */
  searchFrom: number | undefined;
  /** Everything before this queue offset is held or done. */
  takenEnd = 0;
  /** Done, but kept in the state to say that messages were passed over behind it. */
  anchor: PendingMessage | undefined;
  /** When a message of it was handed out last: whose turn is longest ago comes first. */
  servedAtMs = 0;
  /** Number of the turn in which it was handed out last; 0 once that turn must get no more of it. */
  turn = 0;
  /** Waits for entries of the consume queue that are being read. */
  isSearching = false;

  constructor(order: LaneOrder, hash: number) {
    this.order = order;
    this.hash = hash;
  }

  /** Whether messages may have been passed over. */
  get hasPassed(): boolean {
    return this.passed.length > 0 || this.searchFrom !== undefined;
  }

  /** When it may be looked at; undefined: not before something happens. */
  get readyAtMs(): number | undefined {
    if (this.isSearching) return undefined;
    let readyAtMs = this.held.length > 0 ? 0 : this.servedAtMs;
    for (const entry of this.held) {
      if (entry.state !== "due") return undefined;
      readyAtMs = Math.max(readyAtMs, entry.dueAtMs);
    }
    return this.held.length > 0 || this.hasPassed ? readyAtMs : undefined;
  }

  /** A pending message has changed its state or its time. */
  changed(): void {
    this.order.update(this);
  }

  /** Whether the end of `entry` has to leave a word in the state, since messages were passed over behind it. */
  needsAnchor(entry: PendingMessage): boolean {
    return this.held.length === 1 && this.held[0] === entry && this.hasPassed;
  }
}
