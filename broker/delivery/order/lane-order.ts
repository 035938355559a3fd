// Order on one lane: which message groups are held back, and which of their messages were passed over meanwhile. Only the
// first of those are remembered; the rest is found again by the hash in the consume queue. Pure: no time, no I/O.
import { limits } from "../../../base/index.ts";
import type { PendingOrder } from "../../metadata/index.ts";
import type { DueHeap } from "../due-heap.ts";
import type { Lane, PendingMessage } from "../lane.ts";
import type { DeliveryEntries } from "../ports.ts";
import { type GroupKeeper, MessageGroup } from "./message-group.ts";

/** The message groups of one lane that are held back. */
export class LaneOrder implements GroupKeeper {
  readonly #lane: Lane;
  readonly #due: DueHeap<MessageGroup>;
  readonly #groups = new Map<number, MessageGroup>();
  /** Those that wait for room, the one that waits longest first. */
  readonly #waiting = new Set<MessageGroup>();
  #passedCount = 0;

  /** `due` holds the message groups of all lanes of a subscription that have a time to be looked at. */
  constructor(lane: Lane, due: DueHeap<MessageGroup>) {
    this.#lane = lane;
    this.#due = due;
  }

  /** Messages passed over and not handed out since; those of an earlier run do not count. */
  get passedCount(): number {
    return this.#passedCount;
  }

  /** Whether something of the message group is out or was passed over. */
  knows(hash: number): boolean {
    return this.#groups.has(hash);
  }

  /** Oldest queue offset that may have been passed over; undefined when none was. Looks at all message groups. */
  get passedFrom(): number | undefined {
    let oldest: number | undefined;
    for (const { passed, searchFrom } of this.#groups.values()) {
      const first = passed.peek() ?? searchFrom;
      if (first !== undefined) oldest = Math.min(oldest ?? first, first);
    }
    return oldest;
  }

  /**
   * Passes over the message at the cursor, which the caller then moves, when an earlier one of its message group is not
   * done. What a receive holds itself does not hold it up.
   */
  passesOver(hash: number, turn: number): boolean {
    const group = this.#groups.get(hash);
    if (group === undefined) return false;
    if (group.turn === turn && !group.hasPassed) return false;
    const { cursor } = this.#lane;
    this.#passedCount++;
    if (group.searchFrom !== undefined) return true;
    if (group.passed.length < limits.passedOffsetsMax) group.passed.push(cursor);
    else group.searchFrom = cursor;
    if (group.held.length === 0) this.update(group);
    return true;
  }

  /**
   * Whether the message at `offset`, below the cursor and not pending, was passed over and is not done. Where that cannot
   * be told without reading a file, it is taken for passed over when anything at or before it was.
   */
  isPassed(offset: number): boolean {
    const entries = this.#lane.queue?.entries(offset, 1);
    if (entries !== undefined && entries.count > 0 && entries.from === offset) {
      const group = this.#groups.get(entries.messageGroupHash(0));
      return group?.hasPassed === true && offset >= group.takenEnd;
    }
    for (const { hasPassed, takenEnd } of this.#groups.values()) {
      if (hasPassed && offset >= takenEnd) return true;
    }
    return false;
  }

  /** Makes `entry` hold back what comes behind it of its message group. */
  hold(entry: PendingMessage, hash: number): void {
    const group = this.#groupOf(hash);
    entry.group = group;
    group.held.push(entry);
    group.takenEnd = Math.max(group.takenEnd, entry.offset + 1);
    this.#dropAnchor(group);
  }

  /** As `hold`, of a message below the cursor that was done and is pending again: it comes before those behind it. */
  holdAgain(entry: PendingMessage, hash: number): void {
    const isKnown = this.#groups.has(hash);
    const group = this.#groupOf(hash);
    entry.group = group;
    const behind = group.held.findIndex(({ offset }) => offset > entry.offset);
    group.held.splice(behind < 0 ? group.held.length : behind, 0, entry);
    // Of a message group of which nothing is out or was passed over, all before the cursor is done.
    group.takenEnd = Math.max(group.takenEnd, isKnown ? entry.offset + 1 : this.#lane.cursor);
    group.turn = 0;
    this.#dropAnchor(group);
  }

  /** Takes over what is stored of a pending message or an anchor, in the order of offsets; then comes `restored`. */
  restore(entry: PendingMessage, { messageGroupHash, from }: PendingOrder): void {
    const group = this.#groupOf(messageGroupHash);
    entry.group = group;
    group.takenEnd = Math.max(group.takenEnd, from, entry.offset + 1);
    if (entry.state !== "anchor") {
      group.held.push(entry);
      return;
    }
    this.#dropAnchor(group);
    group.anchor = entry;
  }

  /** Everything that is stored has come: what lies between it and the cursor is to be looked at again. */
  restored(): void {
    for (const group of this.#groups.values()) {
      if (group.held.length > 0) this.#dropAnchor(group);
      if (group.takenEnd < this.#lane.cursor) group.searchFrom = group.takenEnd;
      this.update(group);
    }
  }

  /** Lets what was passed over of a message group wait until there is room for one more pending message. */
  waitForRoom(group: MessageGroup): void {
    group.waitsForRoom = true;
    this.#waiting.add(group);
    this.update(group);
  }

  /** There is room: the message group that waits longest goes on. */
  goOn(): void {
    for (const group of this.#waiting) {
      this.#waiting.delete(group);
      group.waitsForRoom = false;
      if (this.#groups.get(group.hash) !== group) continue;
      this.update(group);
      return;
    }
  }

  /** The next message that was passed over; undefined when none is known: `search` for it, if `searchFrom` is set. */
  nextPassed(group: MessageGroup): number | undefined {
    const offset = group.passed.shift();
    if (offset === undefined) return undefined;
    this.#passedCount = Math.max(0, this.#passedCount - 1);
    group.takenEnd = Math.max(group.takenEnd, offset + 1);
    return offset;
  }

  /**
   * Looks for messages of `group` that were passed over, in entries of the consume queue around `group.searchFrom`, until
   * enough are found or `countMax` entries are looked at. Gives how many were.
   */
  search(group: MessageGroup, entries: DeliveryEntries, countMax: number): number {
    const { cursor, pending } = this.#lane;
    const from = group.searchFrom ?? cursor;
    // Entries of before the cursor was set elsewhere.
    if (from < entries.from || from >= entries.from + entries.count) return 0;
    const end = Math.min(entries.from + entries.count, cursor, from + countMax);
    let offset = Math.max(from, entries.from);
    for (; offset < end && group.passed.length < limits.passedOffsetsMax; offset++) {
      const isOfGroup = entries.messageGroupHash(offset - entries.from) === group.hash;
      if (isOfGroup && !pending.has(offset)) group.passed.push(offset);
    }
    group.searchFrom = offset < cursor ? offset : undefined;
    return offset - from;
  }

  /**
   * Forgets what was passed over at or behind the queue offset `from`, to which the cursor goes back; with 0 everything.
   * The caller ends what is pending there next.
   */
  cut(from: number): void {
    this.#passedCount = 0;
    for (const group of this.#groups.values()) {
      const isCut = group.takenEnd > from;
      group.cut(from);
      this.#passedCount += group.passed.length;
      if (group.anchor !== undefined && group.anchor.offset >= from) this.#dropAnchor(group);
      if (from === 0) {
        this.#groups.delete(group.hash);
        this.#due.remove(group);
        continue;
      }
      // How far it was handed out is stored with one that stays.
      const last = group.held.findLast((entry) => entry.offset < from) ?? group.anchor;
      if (isCut && last !== undefined) this.#lane.touch(last);
      this.update(group);
    }
    this.#lane.groupCount = this.#groups.size;
  }

  /** Puts `group` where its state and time say; forgets it when nothing of it is left. */
  update(group: MessageGroup): void {
    // Cut off: another one has taken its place, or will.
    if (this.#groups.get(group.hash) !== group) return;
    const readyAtMs = group.readyAtMs;
    if (readyAtMs === undefined) this.#due.remove(group);
    else {
      group.dueAtMs = readyAtMs;
      if (group.heapIndex < 0) this.#due.push(group);
      else this.#due.moved(group);
    }
    if (group.held.length > 0 || group.hasPassed || group.isSearching) return;
    this.#dropAnchor(group);
    this.#groups.delete(group.hash);
    this.#lane.groupCount = this.#groups.size;
  }

  #groupOf(hash: number): MessageGroup {
    let group = this.#groups.get(hash);
    if (group === undefined) {
      group = new MessageGroup(this.#lane, hash, this);
      this.#groups.set(hash, group);
      this.#lane.groupCount = this.#groups.size;
    }
    return group;
  }

  #dropAnchor(group: MessageGroup): void {
    if (group.anchor !== undefined) this.#lane.end(group.anchor);
    group.anchor = undefined;
  }
}
