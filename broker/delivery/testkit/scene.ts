// A broker's delivery over fakes, and short words for what tests do with it.
import {
  type Clock,
  type Logger,
  limits,
  type Random,
  silentLogger,
  systemRandom,
} from "../../../base/index.ts";
import {
  type GroupDraft,
  type Metadata,
  memoryMetadata,
  type QueueProgress,
  type TopicDraft,
} from "../../metadata/index.ts";
import { Delivery } from "../delivery.ts";
import { matchAll } from "../filter.ts";
import type { DeliveryStore } from "../ports.ts";
import type { Delivered, ReceiveRequest } from "../request.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeStore } from "./fake-store.ts";

/** What a test may ask of a receive; the rest has its default. */
export type TestReceive = Partial<Omit<ReceiveRequest, "group" | "topic">> & {
  readonly group?: string;
  readonly topic?: string;
};

/** Delivery over a fake store and clock, with topic `t` (4 queues) and group `g`. */
export class Scene {
  readonly clock: FakeClock = new FakeClock();
  readonly store: FakeStore;
  readonly metadata: Metadata;
  readonly dead: Set<string> = new Set();
  logger: Logger = silentLogger;
  /** Of a group on one queue; undefined: the default. */
  pendingMax: number | undefined;
  pendingTotalMax: number = limits.pendingTotalMax;
  #delivery: Delivery | undefined;
  #process = new AbortController();

  constructor(random: Random = systemRandom) {
    this.store = new FakeStore(() => this.clock.now());
    this.metadata = memoryMetadata({ clock: this.clock, random });
  }

  static async open(
    options: {
      readonly topic?: Partial<TopicDraft>;
      readonly group?: Partial<GroupDraft>;
      readonly pendingMax?: number;
      readonly pendingTotalMax?: number;
    } = {},
  ): Promise<Scene> {
    const scene = new Scene();
    scene.pendingMax = options.pendingMax;
    scene.pendingTotalMax = options.pendingTotalMax ?? limits.pendingTotalMax;
    await scene.metadata.updateTopic({ name: "t", readQueueNums: 4, ...options.topic });
    await scene.metadata.updateGroup({ name: "g", ...options.group });
    await scene.start();
    return scene;
  }

  get delivery(): Delivery {
    if (this.#delivery === undefined) throw new Error("start the scene first");
    return this.#delivery;
  }

  async start(): Promise<void> {
    this.#process = new AbortController();
    this.#delivery = await openDelivery({
      clock: this.clock,
      store: asSeenBy(this.#process.signal, this.store),
      metadata: this.metadata,
      logger: this.logger,
      stored: replay(this.store),
      isAlive: (clientId) => !this.dead.has(clientId),
      ...(this.pendingMax === undefined ? {} : { pendingMax: this.pendingMax }),
      pendingTotalMax: this.pendingTotalMax,
    });
  }

  /** A new process over the same log: what was not written is lost. */
  async crash(): Promise<void> {
    this.#process.abort();
    this.store.forgetFollowers();
    this.store.epoch++;
    await this.start();
  }

  receive(options: TestReceive = {}): Promise<readonly Delivered[]> {
    const group = this.metadata.group(options.group ?? "g");
    const topic = this.metadata.topic(options.topic ?? "t");
    if (group === undefined || topic === undefined) throw new Error("no such group or topic");
    return this.delivery.receive({
      queueId: -1,
      countMax: 32,
      invisibleMs: 30_000,
      autoRenew: false,
      filter: matchAll,
      clientId: "c1",
      pollingMs: 0,
      signal: new AbortController().signal,
      isClientGone: () => false,
      ...options,
      group,
      topic,
    });
  }

  ack(delivered: Delivered, group = "g", topic = "t"): "ok" | "invalid" {
    return this.delivery.ack(group, topic, delivered.receiptHandle);
  }

  nack(delivered: Delivered, invisibleMs: number): { readonly handle: string } | "invalid" {
    const { receiptHandle } = delivered;
    return this.delivery.changeInvisible({ group: "g", topic: "t", receiptHandle, invisibleMs });
  }
}

/** The store for one process: once that is dead, nothing of it reaches the log. */
function asSeenBy(process: AbortSignal, store: FakeStore): DeliveryStore {
  return {
    get epoch() {
      return store.epoch;
    },
    append: (group) => (process.aborted ? new Promise(() => {}) : store.append(group)),
    queue: (topic, queueId) => store.queue(topic, queueId),
    read: (position, size) => store.read(position, size),
    readCold: (places) => store.readCold(places),
    subscribe: (follower) => store.subscribe(follower),
  };
}

/** Opens delivery with what tests do not care about filled in. */
export function openDelivery(options: {
  readonly clock: Clock;
  readonly store: DeliveryStore;
  readonly metadata: Metadata;
  readonly logger?: Logger;
  readonly stored?: readonly QueueProgress[];
  readonly isAlive?: (clientId: string) => boolean;
  readonly pendingMax?: number;
  readonly pendingTotalMax?: number;
}): Promise<Delivery> {
  const stored = options.stored ?? [];
  return Delivery.open({
    ...(options.pendingMax === undefined ? {} : { pendingMax: options.pendingMax }),
    clock: options.clock,
    store: options.store,
    metadata: options.metadata,
    logger: options.logger ?? silentLogger,
    brokerName: "broker-a",
    pendingTotalMax: options.pendingTotalMax ?? limits.pendingTotalMax,
    state: {
      async *loadProgress() {
        yield* stored;
      },
    },
    isAlive: options.isAlive ?? (() => true),
  });
}

/** The state that the progress records of the log lead to. */
export function replay(store: FakeStore): QueueProgress[] {
  const lanes = new Map<string, QueueProgress & { pending: QueueProgress["pending"][number][] }>();
  for (const change of store.progress.flat()) {
    const { group, topic, queueId, cursor } = change;
    const name = JSON.stringify([group, topic, queueId]);
    const old = lanes.get(name)?.pending ?? [];
    const changed = new Set(change.upserts.map((entry) => entry.offset));
    const all = [...old.filter((entry) => !changed.has(entry.offset)), ...change.upserts];
    // What is in both is not pending.
    const pending = all.filter((entry) => !change.removals.includes(entry.offset));
    pending.sort((a, b) => a.offset - b.offset);
    lanes.set(name, { group, topic, queueId, cursor, pending });
  }
  return [...lanes.values()];
}

/** Offsets of messages, as `queue:offset`. */
export function names(messages: readonly Delivered[]): string[] {
  return messages.map((message) => `${message.queueId}:${message.queueOffset}`);
}
