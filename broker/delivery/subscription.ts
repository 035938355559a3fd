// One group on one topic: its lanes, which of them have something to look at, what is pending in the order
// it is due, and the receives that wait. Pure: no time, no I/O.
import { deliveredQueueNums, type GroupConfig, type TopicConfig } from "../metadata/index.ts";
import { DueHeap } from "./due-heap.ts";
import { DueMessages } from "./due-messages.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import type { LiteSubscription } from "./lite/lite-subscription.ts";
import { Fifo } from "./order/fifo.ts";
import { LaneOrder } from "./order/lane-order.ts";
import type { MessageGroup } from "./order/message-group.ts";
import { Hold } from "./pending.ts";
import { PollQueue } from "./polls.ts";
import type { Alarm } from "./timeline.ts";

/** State of one (group, topic). */
export class Subscription {
  readonly group: string;
  readonly topic: string;
  /** By queue id; holes are queues nobody asked for yet. */
  readonly lanes: (Lane | undefined)[] = [];
  /** By queue id: what is held back for the sake of order; undefined while nothing ever was. */
  readonly orders: (LaneOrder | undefined)[] = [];
  /** Of a LITE topic: who subscribes to which of its lite topics. What is handed out, and in which order, follows from that alone. */
  lite: LiteSubscription | undefined;
  /** Pending messages whose state is "due" and that hold back no others, of all lanes. */
  readonly due: DueMessages = new DueMessages();
  /** Message groups that may be looked at at some time, of all lanes. */
  readonly groupsDue: DueHeap<MessageGroup> = new DueHeap();
  readonly polls: PollQueue = new PollQueue();
  readonly alarm: Alarm;
  /** Lanes that may have something past their cursor, served in turn. A lane is in it at most once. */
  readonly #ready = new Fifo<Lane>();
  readonly #holds = new Map<string, Hold<Lane>>();
  /** Readable queues; lanes beyond hand out nothing new. */
  readQueueNums = 0;
  /** Deliveries of a message before it is dead. */
  attemptMax = 1;
  /** Messages of one message group are handed out one after another. */
  isOrdered = false;
  /** The queue id of a message is its priority: lanes of a higher one go first. */
  hasPriorities = false;
  /** The lane that the last turn stopped at: lower priorities wait for a read of it, whose end clears this and wakes. */
  waitsFor: Lane | undefined = undefined;
  /** An earlier run has stored progress. */
  isRestored = false;
  /** A receive of this run has come: its lanes are complete. */
  attached = false;
  /** Lanes whose start offset is being looked up. */
  startingCount = 0;
  /** Redeliveries whose records are being read. */
  loading: readonly PendingMessage[] = [];
  /** Stands in the list of subscriptions to serve. For who serves alone. */
  isWoken = false;
  dropped = false;

  constructor(
    name: { readonly group: string; readonly topic: string },
    onAlarm: (subscription: Subscription) => void,
  ) {
    this.group = name.group;
    this.topic = name.topic;
    this.alarm = { dueAtMs: 0, heapIndex: -1, ring: () => onAlarm(this) };
  }

  /** Takes what the newest configurations say. */
  configure(group: GroupConfig, topic: TopicConfig): void {
    this.attemptMax = group.retryMaxTimes + 1;
    this.hasPriorities = topic.messageType === "PRIORITY";
    this.isOrdered = group.consumeMessageOrderly && !this.hasPriorities;
    this.readQueueNums = deliveredQueueNums(topic);
    this.due.separate(this.hasPriorities);
  }

  /** The order of a lane, made when there is none. */
  orderOf(lane: Lane): LaneOrder {
    const order = this.orders[lane.queueId] ?? new LaneOrder(lane, this.groupsDue);
    this.orders[lane.queueId] = order;
    return order;
  }

  /** Puts a lane at the end of the ready list if it has something to look at. */
  makeReady(lane: Lane): void {
    const { queue } = lane;
    if (this.lite !== undefined) return;
    if (lane.ready || lane.starting || lane.full || queue === undefined) return;
    if (lane.cursor >= queue.endOffset || lane.queueId >= this.readQueueNums) return;
    lane.ready = true;
    if (this.waitsFor !== undefined && lane.queueId > this.waitsFor.queueId) {
      this.waitsFor = undefined;
    }
    this.#ready.push(lane);
  }

  /** Takes the next lane from the ready list. */
  nextReady(): Lane | undefined {
    const lane = this.#ready.shift();
    if (lane !== undefined) lane.ready = false;
    return lane;
  }

  /** Empties the ready list, for who looks at all lanes and puts back those that have more. */
  clearReady(): void {
    for (let lane = this.nextReady(); lane !== undefined; lane = this.nextReady());
  }

  get readyCount(): number {
    return this.#ready.length;
  }

  /** Whether a receive now could find something. */
  hasWork(nowMs: number): boolean {
    if (this.lite?.hasWork(nowMs) === true) return true;
    if (this.waitsFor !== undefined) return false;
    return this.#ready.length > 0 || this.nextDueMs <= nowMs;
  }

  /** Whether receives may wait. */
  get isWaitedFor(): boolean {
    return this.polls.count > 0 || this.lite !== undefined;
  }

  /** When something pending is due next, milliseconds since 1970; Infinity when nothing is. */
  get nextDueMs(): number {
    const message = this.due.peek()?.dueAtMs ?? Number.POSITIVE_INFINITY;
    const group = this.groupsDue.peek()?.dueAtMs ?? Number.POSITIVE_INFINITY;
    return Math.min(message, group);
  }

  /** Whether something is being looked up that a receive may wait for. */
  get isLoading(): boolean {
    if (this.startingCount > 0 || this.loading.length > 0) return true;
    return this.lanes.some((lane) => lane?.ahead.filling === true);
  }

  /** Whether there is more for a client that waits at the bound of pending messages of a lane. */
  isFullFor(clientId: string): boolean {
    return (
      this.lite?.isFull(clientId) ?? this.lanes.some((lane) => lane?.full === true && lane.isFull)
    );
  }

  /** What `clientId` holds by auto-renew here. */
  holdOf(clientId: string): Hold<Lane> {
    let hold = this.#holds.get(clientId);
    if (hold === undefined) {
      hold = new Hold(clientId);
      this.#holds.set(clientId, hold);
    }
    return hold;
  }

  /** Takes the hold of a client out; undefined when it has none. */
  takeHold(clientId: string): Hold<Lane> | undefined {
    const hold = this.#holds.get(clientId);
    this.#holds.delete(clientId);
    return hold;
  }

  holds(): Iterable<Hold<Lane>> {
    return this.#holds.values();
  }

  /** Ends a pending message; its lane may go on if it waited at its bound. */
  settle(entry: PendingMessage): void {
    const { lane } = entry;
    this.due.remove(entry);
    lane.remove(entry);
    this.goOn(lane);
  }

  /** Lets a lane and its message groups go on that waited at a bound, as far as there is room. */
  goOn(lane: Lane): void {
    if (lane.hasRoom) this.orders[lane.queueId]?.goOn();
    if (!lane.full || lane.isFull) return;
    lane.full = false;
    this.makeReady(lane);
  }

  /** Makes `entry` visible at `atMs`; it keeps its handle. */
  showAt(entry: PendingMessage, atMs: number): void {
    entry.dueAtMs = atMs;
    if (entry.heapIndex >= 0) this.due.moved(entry);
    entry.group?.changed();
    entry.lane.touch(entry);
  }

  /** Takes a message out of the order of what is due. */
  takeOut(entry: PendingMessage, state: "loading" | "dying"): void {
    this.due.remove(entry);
    entry.state = state;
    if (entry.group === undefined) return;
    entry.group.turn = 0;
    entry.group.changed();
  }

  /** Puts a message back into the order of what is due. */
  putBack(entry: PendingMessage): void {
    if (entry.state === "gone" || entry.state === "anchor") return;
    entry.state = "due";
    if (entry.group !== undefined) entry.group.changed();
    else if (entry.heapIndex < 0) this.due.push(entry);
  }
}
