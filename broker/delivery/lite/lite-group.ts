// One lite topic as one consumer group sees it in one queue: how far it has been handed out, and what of it is out.
// Pure: no time, no I/O.
import type { Due } from "../due-heap.ts";
import { type Lane, leaveHeld, type PendingMessage } from "../lane.ts";
import type { HeldBack } from "../pending.ts";

/** Knows what is behind a place, and is told when a lite topic has to stand elsewhere. */
export interface LiteKeeper {
  update(group: LiteGroup): void;
  /** The oldest message of the lite topic that was not handed out yet. */
  nextOffset(group: LiteGroup): number | undefined;
}

/** The progress of a consumer group in a lite topic. `dueAtMs` is when it may be looked at. */
export class LiteGroup implements Due, HeldBack<Lane> {
  dueAtMs = 0;
  heapIndex = -1;
  turn = 0;
  servedAtMs = 0;
  readonly lane: Lane;
  /** Of the lite topic's name. */
  readonly hash: number;
  /** Messages that are out, by queue offset: nobody gets others of the lite topic before these are done or visible. */
  readonly held: PendingMessage[] = [];
  /** Messages at this queue offset and behind have not been handed out yet. */
  takenEnd: number;
  /** Says in the state how far it was handed out while nothing is out. */
  anchor: PendingMessage | undefined;
  readonly #keeper: LiteKeeper;

  constructor(lane: Lane, hash: number, keeper: LiteKeeper) {
    this.lane = lane;
    this.hash = hash;
    this.takenEnd = lane.cursor;
    this.#keeper = keeper;
  }

  /** When it may be looked at; undefined: not before something happens. */
  get readyAtMs(): number | undefined {
    let readyAtMs = 0;
    for (const entry of this.held) {
      if (entry.state !== "due") return undefined;
      readyAtMs = Math.max(readyAtMs, entry.dueAtMs);
    }
    if (this.held.length > 0) return readyAtMs;
    return this.#keeper.nextOffset(this) === undefined ? undefined : readyAtMs;
  }

  /** Whether what comes next of it has been read from files. */
  get isRead(): boolean {
    return this.held[0]?.record !== undefined;
  }

  /** Whether new messages of it wait at the bound of pending ones. */
  get waitsForRoom(): boolean {
    return this.held.length === 0 && this.lane.isFull;
  }

  changed(): void {
    this.#keeper.update(this);
  }

  needsAnchor(entry: PendingMessage): boolean {
    return this.held.length === 1 && this.held[0] === entry;
  }

  removed(entry: PendingMessage): void {
    leaveHeld(this, entry);
    this.changed();
  }
}
