// Who gets which message when: the door of this folder. A group's place in each queue, what is pending,
// held polls, and what acknowledging, changing visibility and dead-lettering do. Model: docs/architecture.md.

import { type Clock, type Logger, limits, MqError } from "../../base/index.ts";
import type { MetadataEvent, TopicConfig } from "../metadata/index.ts";
import { Attempts } from "./attempts.ts";
import { type DeliveryCounters, newCounters } from "./counters.ts";
import { DeadLetters } from "./dead-letters.ts";
import { type DeliveryFigures, figuresOf, type LaneProgress, progressOf } from "./figures.ts";
import { HandOut, nextDeliveryNumber } from "./hand-out.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import { Lite } from "./lite/lite.ts";
import { type LiteTimes, liteTimes } from "./lite/lite-upkeep.ts";
import { Offsets } from "./offsets.ts";
import { OrderedDelivery } from "./order/ordered-delivery.ts";
import { isPending } from "./pending.ts";
import { PendingBound } from "./pending-bound.ts";
import { findById, recordOf } from "./pending-records.ts";
import { PollTable } from "./polls.ts";
import type { DeliveryMetadata, DeliveryQueue, DeliveryStore, ProgressSource } from "./ports.ts";
import { ProgressWriter } from "./progress-writer.ts";
import { Pulls } from "./pull/pulls.ts";
import { boundsIn } from "./queue-bounds.ts";
import { ColdReader } from "./read-ahead.ts";
import { HandleCodec } from "./receipt-handle.ts";
import { groupGone, noRoom, topicGone } from "./receive-refusals.ts";
import { Redelivery } from "./redelivery.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";
import { Selection } from "./selection.ts";
import type { Subscription } from "./subscription.ts";
import { SubscriptionTable } from "./subscription-table.ts";
import { type Alarm, Timeline } from "./timeline.ts";
import { Tracking } from "./tracking.ts";
import { WaitingLanes } from "./waiting-lanes.ts";

/** What delivery stands on. */
export interface DeliveryOptions {
  readonly store: DeliveryStore;
  readonly metadata: DeliveryMetadata;
  readonly state: ProgressSource;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Stands in every receipt handle, 1 to 255 UTF-8 bytes. */
  readonly brokerName: string;
  /** Whether a client of a group is there; asked when auto-renew is due. */
  isAlive(clientId: string, group: string): boolean;
  /** How long one delivery may be renewed, milliseconds; `limits.renewMaxMs` by default. Asked each time: it may change. */
  renewMaxMs?(): number;
  /** Pending messages of a group on one queue; `limits.pendingPerQueueMax` by default. */
  readonly pendingMax?: number;
  /** Pending messages of all groups; `limits.pendingTotalMax` by default. */
  readonly pendingTotalMax?: number;
  /** `liteTimes` by default. */
  readonly liteTimes?: LiteTimes;
  /** Polls held at a time; `limits.heldPollsMax` by default. */
  readonly heldPollsMax?: number | undefined;
}

/** Names a message by its handle, or by its id among what is pending (clients that send no handle). */
export interface DeadLetterRequest {
  readonly group: string;
  readonly topic: string;
  /** Empty: `messageId` counts. */
  readonly receiptHandle: string;
  readonly messageId: string;
}

/** Delivery of one broker. */
export class Delivery {
  readonly counters: DeliveryCounters = newCounters();
  /** Receives that were refused because the group has too many messages of a queue pending. */
  refusedCount = 0;
  /** Receives that were refused at the bound of all groups together. */
  refusedTotalCount = 0;
  /** What is pending of all groups. */
  readonly pendingBound: PendingBound;
  /** Queues read by offset. */
  readonly pulls: Pulls;
  /** Lite topics. */
  readonly lite: Lite;
  /** The offsets that groups have stored. */
  readonly offsets: Offsets;
  /** Single messages. */
  readonly tracking: Tracking;
  readonly #store: DeliveryStore;
  readonly #metadata: DeliveryMetadata;
  readonly #timeline: Timeline;
  readonly #handles: HandleCodec;
  readonly #writer: ProgressWriter;
  readonly #cold: ColdReader;
  readonly #deadLetters: DeadLetters;
  readonly #selection: Selection;
  readonly #attempts: Attempts;
  readonly #table: SubscriptionTable;
  readonly #polls: PollTable;
  readonly #goOn: Alarm = { dueAtMs: 0, heapIndex: -1, ring: () => this.#serveWoken() };
  #woken: Subscription[] = [];
  #willServe = false;
  #isClosed = false;
  #forgetMetadata: (() => void) | undefined;

  private constructor(options: DeliveryOptions) {
    const { store, metadata, counters, logger, timeline } = {
      ...options,
      counters: this.counters,
      timeline: new Timeline(options.clock),
    };
    const wake = (subscription: Subscription): void => this.#wake(subscription);
    this.#store = store;
    this.pendingBound = new PendingBound({
      perQueue: options.pendingMax ?? limits.pendingPerQueueMax,
      total: options.pendingTotalMax ?? limits.pendingTotalMax,
    });
    this.#metadata = metadata;
    this.#timeline = timeline;
    this.#handles = new HandleCodec(metadata.macKey, options.brokerName);
    this.#polls = new PollTable(timeline, options.heldPollsMax);
    const parts = { store, metadata, counters, logger, timeline, wake };
    this.#writer = new ProgressWriter(parts);
    this.#cold = new ColdReader(parts);
    this.#deadLetters = new DeadLetters({ ...parts, writer: this.#writer });
    const handing = { ...parts, handles: this.#handles };
    this.#attempts = new Attempts(handing);
    const handOut = new HandOut(handing);
    const redelivery = new Redelivery({
      ...handing,
      handOut,
      isAlive: (clientId, group) => options.isAlive(clientId, group),
      renewMaxMs: () => options.renewMaxMs?.() ?? limits.renewMaxMs,
      bury: (...dead) => this.#deadLetters.bury(...dead),
    });
    const ordered = new OrderedDelivery({ ...handing, handOut, redelivery });
    const waiting = new WaitingLanes(parts);
    const picking = { ...handing, cold: this.#cold, handOut, redelivery, ordered, waiting };
    this.#selection = new Selection(picking);
    this.lite = new Lite({
      ...handing,
      writer: this.#writer,
      handOut,
      redelivery,
      polls: this.#polls,
      waiting,
      times: options.liteTimes ?? liteTimes,
      table: () => this.#table,
      serveLater: (subscription) => this.#serveLater(subscription),
    });
    this.#table = new SubscriptionTable({
      ...parts,
      lite: this.lite.topics,
      writer: this.#writer,
      cold: this.#cold,
      pendingBound: this.pendingBound,
      serve: (subscription) => this.#serve(subscription),
    });
    const boundsOf = boundsIn(store, metadata);
    this.pulls = new Pulls({ ...parts, polls: this.#polls, boundsOf });
    const kept = { ...parts, table: this.#table, writer: this.#writer };
    this.offsets = new Offsets({ ...kept, boundsOf });
    this.tracking = new Tracking(kept);
  }

  /** Takes over the stored progress and follows the store. Writes nothing before the first receive. */
  static async open(options: DeliveryOptions): Promise<Delivery> {
    const delivery = new Delivery(options);
    for await (const progress of options.state.loadProgress()) delivery.#table.restore(progress);
    delivery.lite.open();
    options.store.subscribe({
      arrived: (queue) => {
        delivery.#arrived(queue);
        delivery.pulls.arrived(queue);
      },
      confirmed: () => delivery.#serveWoken(),
    });
    delivery.#forgetMetadata = options.metadata.onChange((event) => delivery.#changed(event));
    return delivery;
  }

  /**
   * Messages for a consumer, at most `countMax`; empty when the poll ended without any: deadline, abort,
   * client or broker closing. Throws TOPIC_NOT_FOUND or CONSUMER_GROUP_NOT_FOUND (also when they are deleted meanwhile),
   * TOO_MANY_REQUESTS, SHUTTING_DOWN. The caller writes them, or calls `giveBack`.
   */
  async receive(request: ReceiveRequest): Promise<readonly Delivered[]> {
    if (request.attemptId === undefined) return await this.#receive(request);
    const again = await this.#attempts.again(request);
    if (again.length > 0) return again;
    const messages = await this.#receive(request);
    this.#attempts.note(request, messages);
    return messages;
  }

  async #receive(request: ReceiveRequest): Promise<readonly Delivered[]> {
    if (this.#isClosed) throw new MqError("SHUTTING_DOWN", "the broker is stopping");
    this.#checkNames(request.group.name, request.topic.name);
    const subscription = this.#table.attach(request.group, request.topic);
    if (request.isClientGone()) return [];
    const lite = this.lite.receive(subscription, request);
    if (lite !== undefined) {
      const messages = await lite;
      return messages.length > 0 ? messages : this.#nothing(subscription, request);
    }
    // Who waits longer comes first.
    if (subscription.polls.count === 0) {
      const messages = this.#selection.select(subscription, request);
      if (messages.length > 0) return messages;
    }
    const isWorthWaiting =
      request.pollingMs > 0 || subscription.isLoading || subscription.readyCount > 0;
    if (request.signal.aborted) return [];
    if (!isWorthWaiting) return this.#nothing(subscription, request);
    const pollingMs = request.pollingMs > 0 ? request.pollingMs : limits.coldReceiveWaitMs;
    const polled = this.#polls.hold(subscription.polls, request, pollingMs);
    this.#wake(subscription);
    const messages = await polled;
    return messages.length > 0 ? messages : this.#nothing(subscription, request);
  }

  /** What a receive gets that found nothing. Throws TOO_MANY_REQUESTS when there is something, which the group may not have yet. */
  #nothing(subscription: Subscription, request: ReceiveRequest): readonly Delivered[] {
    const isOver = request.signal.aborted || request.isClientGone() || this.#isClosed;
    if (isOver || subscription.dropped || !subscription.isFullFor(request.clientId)) return [];
    if (this.pendingBound.isFullFor(subscription.group)) this.refusedTotalCount++;
    else this.refusedCount++;
    throw noRoom(subscription, this.pendingBound);
  }

  /** Makes messages whose answer was not written visible at once; that delivery does not count as an attempt. */
  giveBack(messages: readonly Pick<Delivered, "lease" | "deliveryNumber">[]): void {
    const nowMs = this.#timeline.nowMs();
    for (const { lease, deliveryNumber } of messages) {
      if (!isPending<Lane>(lease) || lease.state !== "due") continue;
      if (lease.deliveryNumber !== deliveryNumber) continue;
      const subscription = this.#table.find(lease.lane.group, lease.lane.topic);
      if (subscription === undefined) continue;
      lease.hold?.remove(lease);
      lease.attempt = Math.max(0, lease.attempt - 1);
      // The next number, so that giving back twice changes nothing.
      lease.deliveryNumber = nextDeliveryNumber(lease, this.#store.epoch);
      subscription.showAt(lease, nowMs);
      this.counters.givenBack++;
      this.#wake(subscription);
    }
  }

  /**
   * Ends a message. Repeating it is ok; a handle that is foreign, altered or stale, or of a message whose dead letter is
   * being written or was stored lately, is invalid and changes nothing.
   */
  ack(group: string, topic: string, receiptHandle: string): "ok" | "invalid" {
    const subscription = this.#table.find(group, topic);
    const entry = this.#find(subscription, receiptHandle);
    if (entry === "invalid" || subscription === undefined) return "invalid";
    if (entry === "done") {
      return this.#deadLetters.hasBuried(subscription, this.#handles) ? "invalid" : "ok";
    }
    if (entry.state === "moving") return "invalid";
    subscription.settle(entry);
    this.counters.acknowledged++;
    this.#wakeIfWork(subscription);
    return "ok";
  }

  /** Makes a message visible after `invisibleMs` (0: at once) and gives its new handle; the old one is invalid from now on. */
  changeInvisible(request: {
    readonly group: string;
    readonly topic: string;
    readonly receiptHandle: string;
    readonly invisibleMs: number;
    /** This delivery does not count as an attempt. */
    readonly isSuspended?: boolean;
  }): { readonly handle: string } | "invalid" {
    const subscription = this.#table.find(request.group, request.topic);
    const entry = this.#find(subscription, request.receiptHandle);
    if (typeof entry === "string" || subscription === undefined) return "invalid";
    if (entry.state === "dying" || entry.state === "moving") return "invalid";
    entry.hold?.remove(entry);
    if (request.isSuspended === true) entry.attempt = Math.max(0, entry.attempt - 1);
    entry.deliveryNumber = nextDeliveryNumber(entry, this.#store.epoch);
    subscription.showAt(entry, this.#timeline.nowMs() + request.invisibleMs);
    if (subscription.isWaitedFor) this.#wake(subscription);
    return { handle: this.#handles.encode(entry.lane, entry.offset, entry.deliveryNumber) };
  }

  /**
   * Copies a message to the group's dead-letter topic and ends it; resolves when that is durable. Repeating it is ok.
   * Rejects with what metadata or store say (DISK_FULL, …); the message is pending then as before.
   */
  async deadLetter(request: DeadLetterRequest): Promise<"ok" | "invalid"> {
    const subscription = this.#table.find(request.group, request.topic);
    if (subscription === undefined) return "invalid";
    const entry =
      request.receiptHandle === ""
        ? await findById(this.#store, subscription, request.messageId)
        : this.#find(subscription, request.receiptHandle);
    if (entry === "invalid") return "invalid";
    if (entry === "done") return "ok";
    const { deliveryNumber } = entry;
    const record = await recordOf(this.#store, entry);
    if (record === undefined || entry.state === "gone" || entry.state === "anchor") return "ok";
    // Handed out again meanwhile, or hidden by another call: whoever did that decides about it now.
    if (entry.deliveryNumber !== deliveryNumber) return "invalid";
    await this.#deadLetters.move(subscription, entry, record);
    return "ok";
  }

  /** A client is gone: its held polls end, and what it holds by auto-renew is visible at once. Without a group: of all its groups. */
  clientGone(clientId: string, group?: string): void {
    this.#release(clientId, group, (entry) => entry.attempt);
  }

  /**
   * A client says goodbye: the same, and deliveries of what it gives back do not count as attempts, since it has settled
   * what it has consumed.
   */
  clientLeft(clientId: string): void {
    this.#release(clientId, undefined, (entry) => Math.max(0, entry.attempt - 1));
  }

  #release(
    clientId: string,
    group: string | undefined,
    attemptOf: (entry: PendingMessage) => number,
  ): void {
    this.endPolls(clientId, group);
    const nowMs = this.#timeline.nowMs();
    const subscriptions = group === undefined ? this.#table.all() : this.#table.ofGroup(group);
    for (const subscription of subscriptions) {
      subscription.lite?.leave(clientId);
      const hold = subscription.takeHold(clientId);
      if (hold === undefined) continue;
      for (let entry = hold.first; entry !== undefined; entry = hold.first) {
        hold.remove(entry);
        if (entry.state !== "due") continue;
        entry.attempt = attemptOf(entry);
        subscription.showAt(entry, nowMs);
      }
      this.#wake(subscription);
    }
  }

  /** Ends the held polls of a client empty, before they are given anything. */
  endPolls(clientId: string, group?: string): void {
    this.#polls.endOf(clientId, group);
  }

  /** Where a group stands on each queue it has consumed from. */
  progress(group: string): readonly LaneProgress[] {
    return progressOf(this.#table.ofGroup(group));
  }

  /** Groups that have progress here. */
  groups(): Iterable<string> {
    return this.#table.groups();
  }

  /** What is held and pending now, for metrics. Costs one look at each lane. */
  figures(): DeliveryFigures {
    return figuresOf(this.#table.all(), {
      nowMs: this.#timeline.nowMs(),
      heldPolls: this.#polls.count,
      lite: this.lite.state,
      readAheadBytes: this.#cold.usedBytes,
    });
  }

  /** Ends held polls and writes the last progress. The store has to be open still. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forgetMetadata?.();
    this.pulls.close();
    this.#polls.endAll();
    await this.#writer.close();
    this.#timeline.close();
  }

  #checkNames(group: string, topic: string): void {
    if (this.#metadata.topic(topic) === undefined) throw topicGone(topic);
    if (this.#metadata.group(group) === undefined) throw groupGone(group);
  }

  /** The pending message of a handle, "done" when it is pending no more, or "invalid". */
  #find(
    subscription: Subscription | undefined,
    handle: string,
  ): PendingMessage | "done" | "invalid" {
    const handles = this.#handles;
    if (subscription === undefined || !handles.parse(handle)) return "invalid";
    const lane = subscription.lanes[handles.queueId];
    if (lane === undefined || !handles.matches(lane)) return "invalid";
    const entry = lane.pending.get(handles.offset);
    if (entry === undefined) {
      const isDone =
        subscription.lite?.isDone(lane, handles.offset) ?? handles.offset < lane.cursor;
      const isOpen = !isDone || lane.isOfThePast(handles.deliveryNumber);
      // Handed out by an earlier run, which a crash has made forget that.
      const isForgotten = isOpen || subscription.orders[lane.queueId]?.isPassed(handles.offset);
      return isForgotten === true ? "invalid" : "done";
    }
    return entry.deliveryNumber === handles.deliveryNumber ? entry : "invalid";
  }

  #arrived(queue: DeliveryQueue): void {
    for (const subscription of this.#table.ofTopic(queue.topic)) {
      const lane = this.#table.laneFor(subscription, queue);
      if (lane === undefined) continue;
      subscription.makeReady(lane);
      // Served when the round is told to be over: once, whatever has arrived in it.
      if (subscription.isWaitedFor) this.#enlist(subscription);
    }
    this.lite.arrived(queue);
  }

  /** After a message is done: others may have waited for it. */
  #wakeIfWork(subscription: Subscription): void {
    if (!subscription.isWaitedFor) return;
    if (subscription.hasWork(this.#timeline.nowMs())) this.#wake(subscription);
  }

  #enlist(subscription: Subscription): void {
    if (subscription.isWoken || subscription.dropped) return;
    subscription.isWoken = true;
    this.#woken.push(subscription);
  }

  #wake(subscription: Subscription): void {
    this.#enlist(subscription);
    if (this.#willServe || this.#woken.length === 0) return;
    this.#willServe = true;
    queueMicrotask(() => this.#serveWoken());
  }

  #serveWoken(): void {
    this.#willServe = false;
    const woken = this.#woken;
    this.#woken = [];
    for (const subscription of woken) {
      subscription.isWoken = false;
      this.#serve(subscription);
    }
  }

  /** Gives what there is to those who wait, in the order they came. */
  #serve(subscription: Subscription): void {
    if (subscription.dropped || this.#isClosed) return;
    if (this.lite.serve(subscription)) return;
    for (let poll = subscription.polls.first(); poll; poll = subscription.polls.first()) {
      if (poll.request.isClientGone()) {
        poll.end([]);
        continue;
      }
      if (!subscription.hasWork(this.#timeline.nowMs())) break;
      const messages = this.#selection.select(subscription, poll.request);
      if (messages.length === 0) break;
      poll.end(messages);
    }
    if (subscription.polls.count === 0) return;
    // The end of that read wakes.
    if (subscription.waitsFor !== undefined) return;
    // While records of redeliveries are being read, their arrival wakes; what is due stays due till then.
    const isDue = subscription.nextDueMs <= this.#timeline.nowMs();
    const isWaitingForRead = isDue && subscription.loading.length > 0;
    if (subscription.readyCount > 0 || (isDue && !isWaitingForRead)) this.#serveLater(subscription);
    if (!isDue && Number.isFinite(subscription.nextDueMs)) {
      this.#timeline.set(subscription.alarm, subscription.nextDueMs);
    }
  }

  /** A filter that passes over much must not keep others from their turn. */
  #serveLater(subscription: Subscription): void {
    this.#enlist(subscription);
    if (this.#goOn.heapIndex < 0) this.#timeline.set(this.#goOn, this.#timeline.nowMs());
  }

  #changed(event: MetadataEvent): void {
    if (event.config === undefined) this.pulls.namesChanged();
    if (event.kind === "group") {
      if (event.config !== undefined) return;
      for (const subscription of this.#table.ofGroup(event.name)) {
        this.#table.drop(subscription, groupGone(event.name));
      }
      return;
    }
    if (event.config === undefined) this.lite.topics.drop(event.name);
    for (const subscription of this.#table.ofTopic(event.name)) {
      if (event.config === undefined) this.#table.drop(subscription, topicGone(event.name));
      else this.#resize(subscription, event.config);
    }
  }

  #resize(subscription: Subscription, topic: TopicConfig): void {
    const group = this.#metadata.group(subscription.group);
    if (group === undefined || !subscription.attached) return;
    subscription.configure(group, topic);
    this.#table.resize(subscription, topic, group);
    this.#wake(subscription);
  }
}
