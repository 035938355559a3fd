// The messages of one message group on one lane: what of them is out, and what was passed over because of that.
// Pure: no time, no I/O.
import type { Due } from "../due-heap.ts";
import { type Lane, leaveHeld, type PendingMessage } from "../lane.ts";
import type { HeldBack } from "../pending.ts";
import { Fifo } from "./fifo.ts";

/** Is told when a message group has to stand elsewhere. */
export interface GroupKeeper {
  update(group: MessageGroup): void;
}

/** A message group of which something is out or was passed over. `dueAtMs` is when it may be looked at. */
export class MessageGroup implements Due, HeldBack<Lane> {
  dueAtMs = 0;
  heapIndex = -1;
  readonly lane: Lane;
  /** 0 holds what has no message group. */
  readonly hash: number;
  /** Pending messages by queue offset, ascending: no other of the group is handed out before these are done. */
  readonly held: PendingMessage[] = [];
  /** Queue offsets passed over, ascending: the first of them. */
  readonly passed: Fifo<number> = new Fifo();
  /** From here to the cursor others may have been passed over; undefined when all of them are in `passed`. */
  searchFrom: number | undefined;
  takenEnd = 0;
  /** Done, but kept in the state to say that messages were passed over behind it. */
  anchor: PendingMessage | undefined;
  /** Whose turn is longest ago comes first. */
  servedAtMs = 0;
  turn = 0;
  /** What was passed over waits until one more message may be pending. */
  waitsForRoom = false;
  /** Waits for entries of the consume queue that are being read. */
  isSearching = false;
  readonly #keeper: GroupKeeper;

  constructor(lane: Lane, hash: number, keeper: GroupKeeper) {
    this.lane = lane;
    this.hash = hash;
    this.#keeper = keeper;
  }

  /** Whether messages may have been passed over. */
  get hasPassed(): boolean {
    return this.passed.length > 0 || this.searchFrom !== undefined;
  }

  /** When it may be looked at; undefined: not before something happens. */
  get readyAtMs(): number | undefined {
    if (this.isSearching || (this.waitsForRoom && this.held.length === 0)) return undefined;
    let readyAtMs = this.held.length > 0 ? 0 : this.servedAtMs;
    for (const entry of this.held) {
      if (entry.state !== "due") return undefined;
      readyAtMs = Math.max(readyAtMs, entry.dueAtMs);
    }
    return this.held.length > 0 || this.hasPassed ? readyAtMs : undefined;
  }

  /** Forgets what was passed over or taken at or behind the queue offset `from`. */
  cut(from: number): void {
    for (let left = this.passed.length; left > 0; left--) {
      const offset = this.passed.shift();
      if (offset !== undefined && offset < from) this.passed.push(offset);
    }
    if (this.searchFrom !== undefined && this.searchFrom >= from) this.searchFrom = undefined;
    this.takenEnd = Math.min(this.takenEnd, from);
  }

  changed(): void {
    this.#keeper.update(this);
  }

  needsAnchor(entry: PendingMessage): boolean {
    return this.held.length === 1 && this.held[0] === entry && this.hasPassed;
  }

  removed(entry: PendingMessage): void {
    leaveHeld(this, entry);
    this.changed();
  }
}
