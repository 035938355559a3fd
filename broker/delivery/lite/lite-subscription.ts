// One group on one LITE topic: who subscribes to which lite topics, and how far each of them has been handed out. A lite
// topic without progress of its own stands at the cursor of its lane. Pure: no time, no I/O.
import type { PendingOrder } from "../../metadata/index.ts";
import { DueHeap } from "../due-heap.ts";
import type { Lane, PendingMessage } from "../lane.ts";
import { Pending } from "../pending.ts";
import { LiteClient } from "./lite-client.ts";
import { LiteGroup, type LiteKeeper } from "./lite-group.ts";
import type { LiteQueue } from "./lite-queue.ts";

/** The queues of a LITE topic that hold something, by queue id. */
export type LiteQueues = readonly (LiteQueue | undefined)[];

/** How far a group is in the messages of a lite topic in one queue. Offsets are those of the queue. */
export interface LiteStanding {
  readonly queueId: number;
  /** One past the newest message. */
  readonly endOffset: number;
  /** Messages from here on were not handed out yet. */
  readonly nextOffset: number;
  /** Handed out and not acknowledged. */
  readonly pending: number;
  /** Not acknowledged in all. */
  readonly lag: number;
  /** Of the oldest message that is not acknowledged; `endOffset` when there is none. */
  readonly oldestOffset: number;
}

/** State of one (group, LITE topic), beside its lanes. */
export class LiteSubscription implements LiteKeeper {
  readonly queues: LiteQueues;
  readonly #figures: { subscriptions: number };
  /** Lite topics that may be looked at at some time. */
  readonly due: DueHeap<LiteGroup> = new DueHeap();
  readonly clients: Map<string, LiteClient> = new Map();
  /** Clients that wait, and may be given something. */
  readonly woken: Set<LiteClient> = new Set();
  readonly #lanes: readonly (Lane | undefined)[];
  readonly #groups: Map<number, LiteGroup>[] = [];
  readonly #subscribers = new Map<number, Set<LiteClient>>();

  /** `figures` count what clients subscribe to, of all groups together. */
  constructor(
    lanes: readonly (Lane | undefined)[],
    queues: LiteQueues,
    figures: { subscriptions: number },
  ) {
    this.#lanes = lanes;
    this.queues = queues;
    this.#figures = figures;
  }

  /** Whether a receive now could find something. */
  hasWork(nowMs: number): boolean {
    return this.woken.size > 0 || (this.due.peek()?.dueAtMs ?? Number.POSITIVE_INFINITY) <= nowMs;
  }

  /** The client of that id; a new one subscribes to nothing. */
  clientOf(id: string): LiteClient {
    let client = this.clients.get(id);
    if (client === undefined) {
      client = new LiteClient(id);
      this.clients.set(id, client);
    }
    return client;
  }

  /** Clients that subscribe to a lite topic. */
  subscribers(hash: number): Iterable<LiteClient> {
    return this.#subscribers.get(hash) ?? [];
  }

  subscribe(client: LiteClient, hash: number, name: string): void {
    if (client.topics.has(hash)) return;
    client.topics.set(hash, name);
    this.#figures.subscriptions++;
    const others = this.#subscribers.get(hash);
    if (others === undefined) this.#subscribers.set(hash, new Set([client]));
    else others.add(client);
    for (const queue of this.queues) if (queue?.has(hash) === true) this.#look(queue, hash);
    // What is out of a lite topic stays when that has gone.
    for (const groups of this.#groups) {
      const group = groups?.get(hash);
      if (group !== undefined) this.update(group);
    }
  }

  unsubscribe(client: LiteClient, hash: number): void {
    if (!client.topics.delete(hash)) return;
    this.#figures.subscriptions--;
    const others = this.#subscribers.get(hash);
    others?.delete(client);
    if (others?.size === 0) this.#subscribers.delete(hash);
    for (const groups of this.#groups) {
      const group = groups?.get(hash);
      if (group === undefined) continue;
      client.ready.delete(group);
      this.update(group);
    }
  }

  /** Forgets a client and what it subscribed to. */
  leave(id: string): void {
    const client = this.clients.get(id);
    if (client === undefined) return;
    for (const hash of client.topics.keys()) this.unsubscribe(client, hash);
    this.woken.delete(client);
    this.clients.delete(id);
  }

  /** A message of a lite topic has come. */
  arrived(queue: LiteQueue, hash: number): void {
    if (this.#subscribers.has(hash)) this.#look(queue, hash);
  }

  /** Lets the clients know of lite topics that are due. */
  distribute(nowMs: number): void {
    for (let group = this.due.peek(); group !== undefined; group = this.due.peek()) {
      if (group.dueAtMs > nowMs) break;
      this.due.remove(group);
      for (const client of this.subscribers(group.hash)) {
        client.ready.add(group);
        if (client.polls.count > 0) this.woken.add(client);
      }
    }
  }

  /** Whether something is there for the client that waits at the bound of pending messages. */
  isFull(clientId: string): boolean {
    for (const group of this.clients.get(clientId)?.ready ?? []) {
      if (group.waitsForRoom && this.nextOffset(group) !== undefined) return true;
    }
    return false;
  }

  nextOffset({ lane, hash, takenEnd }: LiteGroup): number | undefined {
    return this.queues[lane.queueId]?.offsets(hash)?.firstFrom(takenEnd);
  }

  update(group: LiteGroup): void {
    const groups = this.#groups[group.lane.queueId];
    if (groups?.get(group.hash) !== group) return;
    const readyAtMs = group.lane.starting ? undefined : group.readyAtMs;
    if (readyAtMs === undefined) this.due.remove(group);
    else {
      group.dueAtMs = readyAtMs;
      if (group.heapIndex < 0) this.due.push(group);
      else this.due.moved(group);
    }
    const isKept = group.held.length > 0 || group.anchor !== undefined;
    if (isKept || this.#subscribers.has(group.hash)) return;
    this.due.remove(group);
    groups.delete(group.hash);
  }

  /** Makes `entry` hold back what comes behind it of its lite topic. */
  hold(entry: PendingMessage, hash: number): void {
    const group = this.groupOf(entry.lane, hash);
    entry.group = group;
    // What is given again comes before what is out already.
    const index = group.held.findLastIndex(({ offset }) => offset < entry.offset) + 1;
    group.held.splice(index, 0, entry);
    group.takenEnd = Math.max(group.takenEnd, entry.offset + 1);
    const { anchor } = group;
    group.anchor = undefined;
    if (anchor?.offset === entry.offset) {
      // It takes the anchor's place in the state.
      anchor.state = "gone";
      if (anchor.stored) entry.stored = true;
    } else if (anchor !== undefined) entry.lane.end(anchor);
  }

  /** Takes over what is stored of a pending message or an anchor, in the order of offsets. */
  restore(entry: PendingMessage, { messageGroupHash, from }: PendingOrder): void {
    const group = this.groupOf(entry.lane, messageGroupHash);
    entry.group = group;
    if (entry.state === "anchor") {
      group.takenEnd = from;
      this.#dropAnchor(group);
      group.anchor = entry;
    } else {
      const known = group.held.length > 0 ? group.takenEnd : 0;
      group.takenEnd = Math.max(known, from, entry.offset + 1);
      group.held.push(entry);
    }
    this.update(group);
  }

  /** Whether the message at `offset`, which is not pending, was handed out and is done. */
  isDone(lane: Lane, offset: number): boolean {
    const entries = lane.queue?.entries(offset, 1);
    if (entries === undefined || entries.count === 0 || entries.from !== offset) {
      return offset < lane.cursor && !this.#mayWait(lane, offset);
    }
    return offset < this.#placeOf(lane, entries.messageGroupHash(0));
  }

  /** As `isDone`, also of what has left memory. Looks at all lite topics of the queue then. */
  isDoneAnywhere(lane: Lane, offset: number): boolean {
    for (const [hash, offsets] of this.queues[lane.queueId]?.topics() ?? []) {
      if (offsets.firstFrom(offset) === offset) return offset < this.#placeOf(lane, hash);
    }
    return this.isDone(lane, offset) || offset < (this.queues[lane.queueId]?.end ?? 0);
  }

  /** The cursor of the lane was set: every lite topic of which nothing is out stands there. */
  restart(lane: Lane): void {
    for (const group of this.#groups[lane.queueId]?.values() ?? []) {
      this.#dropAnchor(group);
      const last = group.held.at(-1)?.offset ?? -1;
      group.takenEnd = Math.max(lane.cursor, last + 1);
      this.update(group);
    }
  }

  /** Lets a lite topic go on at `offset`, also back. The caller has ended what was out. */
  place(queue: LiteQueue, hash: number, offset: number): void {
    const lane = this.#lanes[queue.queue.queueId];
    const last = queue.offsets(hash)?.last;
    if (lane === undefined || last === undefined) return;
    const group = this.groupOf(lane, hash);
    group.takenEnd = offset;
    if (group.anchor === undefined) this.#anchor(group, last);
    else lane.touch(group.anchor);
    this.update(group);
  }

  /** A lite topic has gone up to `end`: what is out of it says so in the state, for as long as it is there. */
  passOver(queueId: number, hash: number, end: number): void {
    const group = this.#groups[queueId]?.get(hash);
    if (group === undefined || group.takenEnd >= end || group.held.length === 0) return;
    group.takenEnd = end;
    for (const entry of group.held) group.lane.touch(entry);
  }

  /** Messages of a queue that were not handed out yet. Looks at all its lite topics. */
  lag(lane: Lane): number {
    let count = 0;
    for (const [hash, offsets] of this.queues[lane.queueId]?.topics() ?? []) {
      count += offsets.countFrom(this.#placeOf(lane, hash));
    }
    return count;
  }

  /** How far the group is in a lite topic; undefined when that has no messages in the queue. */
  standing(lane: Lane, queue: LiteQueue, hash: number): LiteStanding | undefined {
    const offsets = queue.offsets(hash);
    if (offsets?.last === undefined) return undefined;
    const held = this.#groups[lane.queueId]?.get(hash)?.held ?? [];
    const endOffset = offsets.last + 1;
    const nextOffset = this.#placeOf(lane, hash);
    return {
      queueId: lane.queueId,
      endOffset,
      nextOffset: Math.min(nextOffset, endOffset),
      pending: held.length,
      lag: offsets.countFrom(nextOffset) + held.length,
      oldestOffset: held[0]?.offset ?? offsets.firstFrom(nextOffset) ?? endOffset,
    };
  }

  /** Lite topics whose progress is kept by itself; the others stand at the cursors. */
  get progressCount(): number {
    return this.#groups.reduce((count, groups) => count + groups.size, 0);
  }

  /** Below it, nothing of the queue has to be known for this group. */
  neededFrom(lane: Lane): number {
    let from = lane.cursor;
    for (const { takenEnd } of this.#groups[lane.queueId]?.values() ?? []) {
      from = Math.min(from, takenEnd);
    }
    return from;
  }

  /** How far a lite topic was handed out. */
  placeOf(queueId: number, hash: number): number | undefined {
    const lane = this.#lanes[queueId];
    return lane === undefined ? undefined : this.#placeOf(lane, hash);
  }

  /**
   * Moves the cursor up to the oldest message that was not handed out, and at least to `floor`: lite topics that have such
   * messages before it say so by themselves from then on, the others need no word in the state any more.
   */
  raise(lane: Lane, queue: LiteQueue, floor: number): void {
    if (lane.starting) return;
    let oldest = queue.end;
    for (const [hash, offsets] of queue.topics()) {
      oldest = Math.min(oldest, offsets.firstFrom(this.#placeOf(lane, hash)) ?? oldest);
    }
    const cursor = Math.max(lane.cursor, oldest, floor);
    if (oldest < cursor) this.#leaveBehind(lane, queue, cursor);
    lane.moveTo(cursor);
    for (const group of this.#groups[lane.queueId]?.values() ?? []) {
      const isBehind = (this.nextOffset(group) ?? cursor) < cursor;
      if (group.held.length > 0 || isBehind || group.takenEnd > cursor) continue;
      group.takenEnd = cursor;
      this.#dropAnchor(group);
      this.update(group);
    }
  }

  /** The progress in a lite topic, made when there is none. */
  groupOf(lane: Lane, hash: number): LiteGroup {
    const groups = this.#groups[lane.queueId] ?? new Map<number, LiteGroup>();
    this.#groups[lane.queueId] = groups;
    let group = groups.get(hash);
    if (group === undefined) {
      group = new LiteGroup(lane, hash, this);
      groups.set(hash, group);
    }
    return group;
  }

  #leaveBehind(lane: Lane, queue: LiteQueue, cursor: number): void {
    for (const [hash, offsets] of queue.topics()) {
      const first = offsets.firstFrom(this.#placeOf(lane, hash));
      if (first === undefined || first >= cursor) continue;
      const group = this.groupOf(lane, hash);
      if (group.held.length === 0 && group.anchor === undefined) this.#anchor(group, first);
    }
  }

  #placeOf(lane: Lane, hash: number): number {
    return this.#groups[lane.queueId]?.get(hash)?.takenEnd ?? lane.cursor;
  }

  #look(queue: LiteQueue, hash: number): void {
    const lane = this.#lanes[queue.queue.queueId];
    if (lane !== undefined) this.update(this.groupOf(lane, hash));
  }

  /** Whether a lite topic stands before a message of its own that has left memory; while the queue is read, of any. */
  #mayWait(lane: Lane, offset: number): boolean {
    const queue = this.queues[lane.queueId];
    const isRead = queue !== undefined && offset < queue.end;
    for (const { hash, takenEnd } of this.#groups[lane.queueId]?.values() ?? []) {
      if (takenEnd > offset) continue;
      if (!isRead || queue.offsets(hash)?.firstFrom(offset) === offset) return true;
    }
    return false;
  }

  /** `offset` is one of the lite topic's. */
  #anchor(group: LiteGroup, offset: number): void {
    const anchor = new Pending<Lane>(group.lane, offset);
    anchor.state = "anchor";
    anchor.group = group;
    group.anchor = anchor;
    group.lane.anchor(anchor);
  }

  #dropAnchor(group: LiteGroup): void {
    if (group.anchor !== undefined) group.lane.end(group.anchor);
    group.anchor = undefined;
  }
}
