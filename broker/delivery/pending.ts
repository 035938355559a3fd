// A message that was handed out and is not acknowledged yet, and the client that holds it by auto-renew.
// Pure: no time, no I/O. `L` is the lane it belongs to.
import type { RecordView } from "../store/index.ts";
import type { Due } from "./due-heap.ts";

/** Where a pending message stands. */
export type PendingState =
  /** In the heap of its subscription: out at a client, or visible when its time has come. */
  | "due"
  /** Its record is being read from a file, to be handed out again. */
  | "loading"
  /** On its way to the dead-letter topic; may be acknowledged still. */
  | "dying"
  /** Its dead letter is being written: whether it is stored is decided, and nobody can change that. */
  | "moving"
  /** Done, but kept in the state: messages of its message group were passed over behind it. */
  | "anchor"
  /** Acknowledged, expired or dropped: no longer pending. */
  | "gone";

/** The message group of a pending message, which nobody else gets anything of meanwhile. */
export interface HeldBack<L> {
  /** As in the consume queue. */
  readonly hash: number;
  /** Everything before this queue offset is held or done. */
  readonly takenEnd: number;
  /** Number of the turn in which it was handed out last; 0 once that turn must get no more of it. */
  turn: number;
  /** When a message of it was handed out last. */
  servedAtMs: number;
  /** A pending message has changed its state or its time. */
  changed(): void;
  /** Whether the end of `entry` has to leave a word in the state, since messages were passed over behind it. */
  needsAnchor(entry: Pending<L>): boolean;
  /** `entry`, which is out of the lane, is done or stays as an anchor. */
  removed(entry: Pending<L>): void;
}

/** One pending message. `dueAtMs` is when it becomes visible. */
export class Pending<L> implements Due {
  readonly lane: L;
  readonly offset: number;
  dueAtMs = 0;
  heapIndex = -1;
  state: PendingState = "due";
  /** Deliveries so far; 0 when the only one was given back. */
  attempt = 0;
  /** Of the newest handle; a handle with another number is stale. */
  deliveryNumber = 0;
  /** When it was last handed out. */
  deliveredAtMs = 0;
  /** Who it was handed out to last; empty when that was before the last start. */
  clientId = "";
  /** Stored in the log, so that its end has to be stored too. */
  stored = false;
  /** Stands in the list of changes to be stored. */
  changed = false;
  /** Loaded for the next handing out. */
  record: RecordView | undefined = undefined;
  /** What it holds back; undefined where order does not matter. */
  group: HeldBack<L> | undefined = undefined;
  hold: Hold<L> | undefined = undefined;
  holdBefore: Pending<L> | undefined = undefined;
  holdAfter: Pending<L> | undefined = undefined;

  constructor(lane: L, offset: number) {
    this.lane = lane;
    this.offset = offset;
  }
}

/** Whether a lease is what this process has handed out. */
export function isPending<L>(lease: object): lease is Pending<L> {
  return lease instanceof Pending;
}

/** What one client holds by auto-renew of one subscription: a list that any message leaves in O(1). */
export class Hold<L> {
  readonly clientId: string;
  first: Pending<L> | undefined = undefined;
  count = 0;

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  add(entry: Pending<L>): void {
    entry.hold = this;
    entry.holdBefore = undefined;
    entry.holdAfter = this.first;
    if (this.first !== undefined) this.first.holdBefore = entry;
    this.first = entry;
    this.count++;
  }

  remove(entry: Pending<L>): void {
    if (entry.hold !== this) return;
    if (entry.holdBefore === undefined) this.first = entry.holdAfter;
    else entry.holdBefore.holdAfter = entry.holdAfter;
    if (entry.holdAfter !== undefined) entry.holdAfter.holdBefore = entry.holdBefore;
    entry.hold = undefined;
    entry.holdBefore = undefined;
    entry.holdAfter = undefined;
    this.count--;
  }
}
