// Notices when consumers of one group want different messages of one topic at the same time. RocketMQ leaves open what
// happens then; here each receive is served by its own filter, and what one member's filter skips the others do not
// get. So the operator hears of it: once for each group and topic, until nobody subscribes to that any more.
import type { Logger } from "../../base/index.ts";
import type { Subscription } from "./settings.ts";

/** Characters of an expression that a log line shows. */
const shownLength = 64;

/** What the members of a group want of one topic. */
interface Wishes {
  /** Members by what they want. */
  readonly counts: Map<string, number>;
  isTold: boolean;
}

/** Counts what is wanted. Bounded by the subscriptions of all clients. */
export class SubscriptionDifferences {
  readonly #logger: Logger;
  readonly #wishes = new Map<string, Wishes>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** A member of `group` subscribes. */
  added(group: string, subscription: Subscription): void {
    const key = keyOf(group, subscription);
    let wishes = this.#wishes.get(key);
    if (wishes === undefined) {
      wishes = { counts: new Map(), isTold: false };
      this.#wishes.set(key, wishes);
    }
    const { counts } = wishes;
    const wish = wishText(subscription);
    counts.set(wish, (counts.get(wish) ?? 0) + 1);
    if (counts.size < 2 || wishes.isTold) return;
    wishes.isTold = true;
    this.#logger.warn(
      "consumers of a group subscribe differently: each is served by its own filter",
      {
        group,
        topic: subscription.topic,
        filters: [...counts.keys()].map((text) => text.slice(0, shownLength)).join("; "),
        hint: "let all of them subscribe alike: what the filter of one skips the others do not get",
      },
    );
  }

  /** A member of `group` subscribes so no more. */
  removed(group: string, subscription: Subscription): void {
    const key = keyOf(group, subscription);
    const wishes = this.#wishes.get(key);
    if (wishes === undefined) return;
    const wish = wishText(subscription);
    const count = (wishes.counts.get(wish) ?? 1) - 1;
    if (count > 0) wishes.counts.set(wish, count);
    else wishes.counts.delete(wish);
    if (wishes.counts.size === 0) this.#wishes.delete(key);
  }

  clear(): void {
    this.#wishes.clear();
  }
}

function keyOf(group: string, { topic }: Subscription): string {
  return `${group} ${topic}`;
}

/** `apache.rocketmq.v2.FilterType.SQL`. */
const sqlType = 2;

/** What a subscription wants of its topic, as one text to compare and to show: `TAG a || b`, `SQL a > 5`. */
export function wishText({ filterType, expression }: Subscription): string {
  return filterType === sqlType ? `SQL ${expression}` : `TAG ${expression || "*"}`;
}

/** Whether two subscriptions are written alike. */
export function isSameWish(one: Subscription, other: Subscription): boolean {
  return one.filterType === other.filterType && one.expression === other.expression;
}
