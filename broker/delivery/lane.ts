// A lane is one group's way through one queue: its cursor, what is pending, and what of that is not in the
// log yet. Pure: no time, no I/O.
import type { SipState } from "../../base/index.ts";
import { type PendingEntry, type ProgressChange, pendingFlags } from "../metadata/index.ts";
import { Pending } from "./pending.ts";
import { PendingBound } from "./pending-bound.ts";
import type { DeliveryQueue } from "./ports.ts";
import type { ReadAhead } from "./read-ahead.ts";

/** A pending message of a lane. */
export type PendingMessage = Pending<Lane>;

/** Is told that a lane has something to store. */
export interface LaneJournal {
  changed(lane: Lane): void;
}

/** What a lane had to store, and what to do again when that failed. */
export interface LaneChange {
  readonly lane: Lane;
  readonly progress: ProgressChange;
  readonly entries: readonly PendingMessage[];
}

/** One group on one queue. Who changes a pending message calls `touch` or `remove`. */
export class Lane {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly pending: Map<number, PendingMessage> = new Map();
  readonly ahead: ReadAhead;
  readonly #journal: LaneJournal;
  readonly bound: PendingBound;
  queue: DeliveryQueue | undefined;
  /** Stands in the ready list of its subscription. */
  ready = false;
  /** Its start offset is still being looked up: nothing may be handed out. */
  starting = false;
  /** Waits at the bound of pending messages. */
  full = false;
  /** The journal has it on its list. For the journal alone. */
  journaled = false;
  /** Its topic or group is gone: nothing of it is stored any more. */
  dropped = false;
  /** The receipt-handle MAC after the part that is the same for the whole lane; for the handle codec alone. */
  handlePrefix: SipState | undefined;
  /** Message groups that are held back. For who keeps them in order alone. */
  groupCount = 0;
  #cursor = 0;
  #changed: PendingMessage[] = [];
  #changedGone = 0;
  #removals: number[] = [];
  /** Deliveries with a number up to it were before the last reset. */
  #resetNumber = 0;
  #newestNumber = 0;
  /** What was removed may be in the state again under the same offset. */
  #hasGoneBack = false;

  constructor(
    place: { readonly group: string; readonly topic: string; readonly queueId: number },
    journal: LaneJournal,
    ahead: ReadAhead,
    bound: PendingBound = new PendingBound(),
  ) {
    this.group = place.group;
    this.topic = place.topic;
    this.queueId = place.queueId;
    this.#journal = journal;
    this.ahead = ahead;
    this.bound = bound;
  }

  /** The next queue offset to look at. All below is done or pending. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Sets the cursor where the lane starts. */
  startAt(offset: number): void {
    this.#cursor = offset;
    this.#journal.changed(this);
  }

  /** Sets the cursor as it is stored already. */
  restoreAt(offset: number): void {
    this.#cursor = offset;
  }

  /** Moves the cursor on; it never goes back. */
  moveTo(offset: number): void {
    if (offset <= this.#cursor) return;
    this.#cursor = offset;
    this.#journal.changed(this);
  }

  /** Sets the cursor anywhere, also back. Nothing is pending from `offset` on. Deliveries so far are of the past. */
  resetTo(offset: number): void {
    if (offset < this.#cursor) this.#hasGoneBack = true;
    this.#cursor = offset;
    this.#resetNumber = this.#newestNumber;
    this.#journal.changed(this);
  }

  /** Whether a delivery of what is not pending was before the last reset. */
  isOfThePast(deliveryNumber: number): boolean {
    return deliveryNumber <= this.#resetNumber;
  }

  get isFull(): boolean {
    const { maxima } = this.bound;
    if (Math.max(this.pending.size, this.groupCount) >= maxima.perQueue) return true;
    return this.bound.isFullFor(this.group);
  }

  /** Whether it is full because of what all groups have. */
  get waitsForOthers(): boolean {
    return this.bound.isFullFor(this.group);
  }

  /** Makes the message at `offset` pending; the caller sets its fields and calls `touch`. */
  add(offset: number): PendingMessage {
    const entry = new Pending<Lane>(this, offset);
    // A handle from before the cursor went back must not fit.
    entry.deliveryNumber = this.#resetNumber;
    this.pending.set(offset, entry);
    this.bound.added(this.group);
    return entry;
  }

  /** Makes a message below the cursor pending that is done. No handle of an earlier delivery fits it. */
  addAgain(offset: number): PendingMessage {
    // Its end may still have to be stored.
    this.#hasGoneBack = true;
    const entry = this.add(offset);
    entry.deliveryNumber = this.#newestNumber;
    return entry;
  }

  /** Its topic or group is gone: nothing of it is pending any more. */
  drop(): void {
    this.dropped = true;
    this.ahead.dropped = true;
    for (const entry of this.pending.values()) entry.state = "gone";
    this.bound.removed(this.group, this.pending.size);
    this.pending.clear();
  }

  /** Notes that `entry` is new or has changed. */
  touch(entry: PendingMessage): void {
    this.noteNumber(entry.deliveryNumber);
    if (!entry.changed) {
      entry.changed = true;
      this.#changed.push(entry);
    }
    this.#journal.changed(this);
  }

  /** Keeps `entry`, which is not pending, in the state as an anchor. */
  anchor(entry: PendingMessage): void {
    // What stood there may have ended in the same change.
    this.#hasGoneBack = true;
    this.touch(entry);
  }

  /** Some of what was handed out may be handed out again as if it had never been: handles of before must not fit. */
  forgetDeliveries(): void {
    this.#hasGoneBack = true;
    this.#resetNumber = this.#newestNumber;
  }

  /** Notes the number of a delivery of this lane. */
  noteNumber(deliveryNumber: number): void {
    if (deliveryNumber > this.#newestNumber) this.#newestNumber = deliveryNumber;
  }

  /** Ends `entry`: nobody gets it again from here. */
  remove(entry: PendingMessage): void {
    if (entry.state === "gone" || entry.state === "anchor") return;
    entry.record = undefined;
    entry.hold?.remove(entry);
    if (this.pending.delete(entry.offset)) this.bound.removed(this.group, 1);
    if (entry.group?.needsAnchor(entry) === true) {
      entry.state = "anchor";
      this.touch(entry);
    } else {
      this.end(entry);
    }
    entry.group?.removed(entry);
  }

  /** Ends `entry` in the state, too. It is pending no more. */
  end(entry: PendingMessage): void {
    // It may stand at a message that is not handed out yet, and is in the same change.
    if (entry.state === "anchor") this.#hasGoneBack = true;
    entry.state = "gone";
    if (entry.stored) {
      this.#removals.push(entry.offset);
      this.#journal.changed(this);
    }
    if (entry.changed) this.#forgetGone();
  }

  /** The end of `entry` is stored, as `takeChange` was told to. */
  buried(entry: PendingMessage): void {
    entry.stored = entry.group !== undefined;
  }

  /** Takes what has to be stored; undefined when there is nothing. `without` are messages whose removal is stored along. */
  takeChange(without: readonly PendingMessage[] = []): LaneChange {
    const entries = this.#changed.filter(
      (entry) => entry.state !== "gone" && !without.includes(entry),
    );
    for (const entry of this.#changed) entry.changed = false;
    const removals = this.#removals;
    this.#changed = [];
    this.#changedGone = 0;
    this.#removals = [];
    const upserts = entries.map(asStored);
    for (const entry of entries) entry.stored = true;
    const { group, topic, queueId } = this;
    for (const entry of without) {
      // What may be passed over behind it until it is settled must not be forgotten by a crash.
      if (entry.group !== undefined) {
        upserts.push(asAnchor(entry));
        // A reset may end it before that is written.
        entry.stored = true;
      } else if (entry.stored) removals.push(entry.offset);
    }
    const kept = this.#hasGoneBack ? withoutThose(upserts, removals) : removals;
    return {
      lane: this,
      entries,
      progress: { group, topic, queueId, cursor: this.#cursor, upserts, removals: kept },
    };
  }

  /** Puts back what could not be stored. Everything stored is absolute, so that newer changes win. */
  putBack(change: LaneChange): void {
    for (const entry of change.entries) if (entry.state !== "gone") this.touch(entry);
    for (const offset of change.progress.removals) {
      const again = this.pending.get(offset);
      if (again === undefined) this.#removals.push(offset);
      // It was handed out again after the cursor went back. Its end is also the end of what the state has there.
      else again.stored = true;
    }
    this.#journal.changed(this);
  }

  /** While the log takes nothing, messages still come and go: the list must not grow with them. */
  #forgetGone(): void {
    this.#changedGone++;
    if (this.#changedGone < 1_024 || this.#changedGone * 2 < this.#changed.length) return;
    this.#changed = this.#changed.filter((entry) => entry.state !== "gone");
    this.#changedGone = 0;
  }
}

/** The removals that are not of what is stored along: what is in both would not be there. */
function withoutThose(upserts: readonly PendingEntry[], removals: readonly number[]): number[] {
  const offsets = new Set(upserts.map(({ offset }) => offset));
  return removals.filter((offset) => !offsets.has(offset));
}

function asStored(entry: PendingMessage): PendingEntry {
  if (entry.state === "anchor") return asAnchor(entry);
  const { group } = entry;
  return {
    offset: entry.offset,
    attempt: entry.attempt,
    visibleAtMs: entry.dueAtMs,
    deliveryNumber: entry.deliveryNumber,
    flags: entry.hold === undefined ? 0 : pendingFlags.renewing,
    order: group && { messageGroupHash: group.hash, from: group.takenEnd },
  };
}

function asAnchor({ offset, deliveryNumber, group }: PendingMessage): PendingEntry {
  return {
    offset,
    attempt: 0,
    visibleAtMs: 0,
    deliveryNumber,
    flags: pendingFlags.anchor,
    order: group && { messageGroupHash: group.hash, from: group.takenEnd },
  };
}

/** What is given in order of one lane, and how far. */
interface HeldInOrder {
  readonly lane: Lane;
  /** Pending messages by queue offset, ascending. */
  readonly held: PendingMessage[];
  readonly takenEnd: number;
  anchor: PendingMessage | undefined;
}

/** `entry` is done, or stays as the anchor. */
export function leaveHeld(group: HeldInOrder, entry: PendingMessage): void {
  const index = group.held.indexOf(entry);
  if (index >= 0) group.held.splice(index, 1);
  if (entry.state === "anchor") {
    // A crash may have kept one beside what was out.
    if (group.anchor !== undefined) group.lane.end(group.anchor);
    group.anchor = entry;
  }
  // How far it was handed out has to stay in the state with one that is still there.
  const last = group.held.at(-1);
  if (last !== undefined && entry.offset + 1 >= group.takenEnd) group.lane.touch(last);
}
