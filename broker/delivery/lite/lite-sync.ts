// What clients say of the lite topics they want, and where they want to start.
import { MqError } from "../../../base/index.ts";
import type { GroupConfig, TopicConfig } from "../../metadata/index.ts";
import { messageGroupHash } from "../order/message-group-hash.ts";
import type { ProgressWriter } from "../progress-writer.ts";
import type { Subscription } from "../subscription.ts";
import type { SubscriptionTable } from "../subscription-table.ts";
import type { LiteClient } from "./lite-client.ts";
import type { LiteQueue } from "./lite-queue.ts";
import type { LiteSubscription } from "./lite-subscription.ts";
import type { LiteTopics } from "./lite-topics.ts";

/** What a client changes: its whole set, a part of it, or that it is there at all. */
export type LiteChange = "set" | "add" | "remove" | "leave";

/** Where a group goes on in a lite topic. */
export type LiteStart =
  | { readonly from: "first" | "end" }
  | { readonly from: "offset" | "time" | "tail"; readonly value: number };

/** One SyncLiteSubscription, validated by the caller. */
export interface LiteSync {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
  readonly clientId: string;
  readonly change: LiteChange;
  /** Names of lite topics. */
  readonly names: readonly string[];
  /** Undefined: where the group has come to. */
  readonly start?: LiteStart | undefined;
  /** Of the client's set; an older one changes nothing. */
  readonly version?: number | undefined;
  /** One client of the group at a time subscribes to a lite topic: the last one to add it. */
  readonly isExclusive: boolean;
  /** The group begins a lite topic anew when a client takes it from another. A `start` of that client counts more. */
  readonly beginsAnewWhenTaken?: boolean;
  /** The group begins a lite topic anew when a client removes it. */
  readonly beginsAnewWhenRemoved?: boolean;
  /** Lite topics that one client may subscribe to. */
  readonly clientMax: number;
  /** Lite topics that all clients of the broker may subscribe to. */
  readonly countMax: number;
}

/** A client that subscribes to a lite topic no more, because another one of its group does. */
export interface LiteLoss {
  readonly clientId: string;
  readonly name: string;
}

/** What it stands on. */
export interface LiteSyncParts {
  readonly table: SubscriptionTable;
  readonly topics: LiteTopics;
  readonly writer: ProgressWriter;
  wake(subscription: Subscription): void;
}

/** Takes the subscriptions of clients. */
export class LiteSyncs {
  readonly #parts: LiteSyncParts;

  constructor(parts: LiteSyncParts) {
    this.#parts = parts;
  }

  /**
   * Changes what a client subscribes to; gives who has lost a lite topic by that. Where a lite topic goes on elsewhere by
   * that, it resolves when that is in the log. Throws LITE_SUBSCRIPTION_QUOTA_EXCEEDED, changing nothing, and what the store says.
   */
  async sync(request: LiteSync): Promise<readonly LiteLoss[]> {
    const subscription = this.#parts.table.attach(request.group, request.topic);
    const { lite } = subscription;
    if (lite === undefined) return [];
    this.#parts.topics.open(request.topic);
    const { change, clientId, version } = request;
    if (change === "leave") {
      lite.leave(clientId);
      return [];
    }
    const client = lite.clientOf(clientId);
    if (version !== undefined && client.version !== undefined && version < client.version)
      return [];
    const wanted = new Map(request.names.map((name) => [messageGroupHash(name), name]));
    if (change === "remove") {
      client.version = version ?? client.version;
      const left = [...wanted.keys()].filter((hash) => client.topics.has(hash));
      for (const hash of left) lite.unsubscribe(client, hash);
      if (request.beginsAnewWhenRemoved === true) await this.#beginAnew(subscription, lite, left);
      return [];
    }
    checkQuota(request, { client, wanted, count: this.#parts.topics.figures.subscriptions });
    client.version = version ?? client.version;
    if (change === "set") {
      for (const hash of client.topics.keys()) {
        if (!wanted.has(hash)) lite.unsubscribe(client, hash);
      }
    }
    const losses: LiteLoss[] = [];
    const taken: number[] = [];
    for (const [hash, name] of wanted) {
      if (request.isExclusive) {
        const loss = exclude(lite, { client, hash, name, change });
        losses.push(...loss);
        if (loss.some((one) => one.clientId === clientId)) continue;
        if (loss.length > 0) taken.push(hash);
      }
      lite.subscribe(client, hash, name);
    }
    if (request.start !== undefined) {
      await this.#start(subscription, lite, { hashes: wanted.keys(), start: request.start });
    } else if (request.beginsAnewWhenTaken === true) {
      await this.#beginAnew(subscription, lite, taken);
    }
    this.#parts.wake(subscription);
    return losses;
  }

  async #beginAnew(
    subscription: Subscription,
    lite: LiteSubscription,
    hashes: readonly number[],
  ): Promise<void> {
    if (hashes.length === 0) return;
    await this.#start(subscription, lite, { hashes, start: { from: "first" } });
    // Other clients of the group may still subscribe to it.
    this.#parts.wake(subscription);
  }

  async #start(
    subscription: Subscription,
    lite: LiteSubscription,
    { hashes, start }: { readonly hashes: Iterable<number>; readonly start: LiteStart },
  ): Promise<void> {
    // After a start of the broker it has to be read first what there is.
    await this.#parts.topics.loaded(subscription.topic);
    for (const hash of hashes) {
      for (const queue of lite.queues) {
        if (queue?.has(hash) !== true) continue;
        const offset = await placeOf(queue, hash, start);
        const lane = subscription.lanes[queue.queue.queueId];
        if (lane === undefined || lane.dropped) continue;
        for (const entry of lite.groupOf(lane, hash).held.slice()) {
          lane.noteNumber(entry.deliveryNumber);
          subscription.settle(entry);
        }
        lane.forgetDeliveries();
        lite.place(queue, hash, offset);
      }
    }
    await this.#parts.writer.written();
  }
}

/** Takes a lite topic from other clients. A whole set takes none away: the client may not have heard that it lost one. */
function exclude(
  lite: LiteSubscription,
  wish: {
    readonly client: LiteClient;
    readonly hash: number;
    readonly name: string;
    readonly change: LiteChange;
  },
): LiteLoss[] {
  const { client, hash, name, change } = wish;
  const others = [...lite.subscribers(hash)].filter((other) => other !== client);
  if (others.length === 0) return [];
  if (change === "set") return [{ clientId: client.id, name }];
  for (const other of others) lite.unsubscribe(other, hash);
  return others.map((other) => ({ clientId: other.id, name }));
}

function checkQuota(
  request: LiteSync,
  now: {
    readonly client: LiteClient;
    readonly wanted: ReadonlyMap<number, string>;
    readonly count: number;
  },
): void {
  const { client, wanted } = now;
  let fresh = 0;
  for (const hash of wanted.keys()) if (!client.topics.has(hash)) fresh++;
  const count = request.change === "set" ? wanted.size : client.topics.size + fresh;
  if (fresh > 0 && count > request.clientMax) {
    throw new MqError(
      "LITE_SUBSCRIPTION_QUOTA_EXCEEDED",
      `the client would subscribe to ${count} lite topics, at most ${request.clientMax} are allowed (attribute lite.sub.client.quota of group ${request.group.name})`,
    );
  }
  if (fresh > 0 && now.count + fresh > request.countMax) {
    throw new MqError(
      "LITE_SUBSCRIPTION_QUOTA_EXCEEDED",
      `the clients of this broker subscribe to ${now.count} lite topics, at most ${request.countMax} are allowed (maxLiteSubscriptionCount)`,
    );
  }
}

/** The queue offset that `start` means for a lite topic. */
async function placeOf(lite: LiteQueue, hash: number, start: LiteStart): Promise<number> {
  if (start.from === "time") return await lite.queue.offsetByTime(start.value);
  const offsets = lite.offsets(hash);
  switch (start.from) {
    case "first":
      return offsets?.first ?? lite.queue.minOffset;
    case "end":
      return lite.end;
    case "offset":
      return Math.min(start.value, lite.end);
    default:
      return start.value === 0 ? lite.end : (offsets?.fromEnd(start.value) ?? lite.end);
  }
}
