// Lite topics, put together: which there are, who subscribes to them, who gets what, and what goes.
import { isLite } from "../../metadata/index.ts";
import type { HandOut, HandOutParts } from "../hand-out.ts";
import type { PollTable } from "../polls.ts";
import type { DeliveryMetadata, DeliveryQueue } from "../ports.ts";
import type { ProgressWriter } from "../progress-writer.ts";
import type { Redelivery } from "../redelivery.ts";
import type { Delivered, ReceiveRequest } from "../request.ts";
import type { Subscription } from "../subscription.ts";
import type { SubscriptionTable } from "../subscription-table.ts";
import type { WaitingLanes } from "../waiting-lanes.ts";
import { LiteDelivery } from "./lite-delivery.ts";
import { type LiteLoss, type LiteSync, LiteSyncs } from "./lite-sync.ts";
import { type LiteFigures, LiteTopics } from "./lite-topics.ts";
import { type LiteTimes, LiteUpkeep } from "./lite-upkeep.ts";
import { LiteView } from "./lite-view.ts";

/** What it stands on. */
export interface LiteParts extends HandOutParts {
  readonly metadata: DeliveryMetadata;
  readonly writer: ProgressWriter;
  readonly handOut: HandOut;
  readonly redelivery: Redelivery;
  readonly polls: PollTable;
  readonly waiting: WaitingLanes;
  readonly times: LiteTimes;
  /** The table of all subscriptions, which is made later. */
  table(): SubscriptionTable;
  /** Lets a subscription be served once others have had their turn. */
  serveLater(subscription: Subscription): void;
}

/** What lite topics cost now. */
export interface LiteState extends Readonly<LiteFigures> {
  /** Lite topics that have gone because nothing came any more. */
  readonly expired: number;
}

/** The lite topics of one broker. */
export class Lite {
  readonly topics: LiteTopics;
  /** For operators. */
  readonly view: LiteView;
  readonly #parts: LiteParts;
  readonly #delivery: LiteDelivery;
  #syncs: LiteSyncs | undefined;
  #upkeep: LiteUpkeep | undefined;

  constructor(parts: LiteParts) {
    this.#parts = parts;
    this.#delivery = new LiteDelivery(parts);
    this.topics = new LiteTopics({
      ...parts,
      neededFrom: (queue) => parts.table().neededFrom(queue),
      arrived: (queue, hash) => {
        for (const { lite } of parts.table().ofTopic(queue.queue.topic)) lite?.arrived(queue, hash);
      },
      opened: () => this.#upkeep?.start(),
      loaded: (topic) =>
        parts
          .table()
          .ofTopic(topic)
          .forEach((one) => parts.wake(one)),
    });
    this.view = new LiteView({ topics: this.topics, table: () => parts.table() });
  }

  /** What lite topics cost now. */
  get state(): LiteState {
    return { ...this.topics.figures, expired: this.#upkeep?.expiredCount ?? 0 };
  }

  /** Takes in what there is, once progress is restored. */
  open(): void {
    const parts = { ...this.#parts, table: this.#parts.table(), topics: this.topics };
    this.#syncs = new LiteSyncs(parts);
    this.#upkeep = new LiteUpkeep(parts);
    for (const topic of parts.metadata.topics()) if (isLite(topic)) this.topics.open(topic);
  }

  /** See `LiteSyncs.sync`. */
  async sync(request: LiteSync): Promise<readonly LiteLoss[]> {
    return (await this.#syncs?.sync(request)) ?? [];
  }

  /** Messages for a client when `subscription` is of a LITE topic. */
  receive(
    subscription: Subscription,
    request: ReceiveRequest,
  ): Promise<readonly Delivered[]> | undefined {
    const { lite } = subscription;
    return lite && this.#delivery.receive(subscription, lite, request);
  }

  /** Serves those who wait when `subscription` is of a LITE topic; else false. */
  serve(subscription: Subscription): boolean {
    if (subscription.lite === undefined) return false;
    this.#delivery.serve(subscription, subscription.lite);
    return true;
  }

  /** Something has come to a queue. */
  arrived(queue: DeliveryQueue): void {
    const topic = this.#parts.metadata.topic(queue.topic);
    if (topic !== undefined && isLite(topic)) this.topics.follow(queue);
  }
}
