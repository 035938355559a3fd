// From time to time: idle lite topics go, what has expired is forgotten, and cursors move up to what is still needed.
import { background, type Logger, limits } from "../../../base/index.ts";
import { isLite, liteExpirationMs, type TopicConfig } from "../../metadata/index.ts";
import type { DeliveryMetadata } from "../ports.ts";
import type { SubscriptionTable } from "../subscription-table.ts";
import type { Alarm, Timeline } from "../timeline.ts";
import type { LiteQueue } from "./lite-queue.ts";
import type { LiteTopics } from "./lite-topics.ts";

/** When it does what. */
export interface LiteTimes {
  /** Between two looks, milliseconds. */
  readonly periodMs: number;
  /** For how long lite topics of a topic may be idle, milliseconds; undefined: for ever. */
  expirationMs(topic: Pick<TopicConfig, "attributes">): number | undefined;
}

/** What brokers do. */
export const liteTimes: LiteTimes = {
  periodMs: limits.liteUpkeepPeriodMs,
  expirationMs: liteExpirationMs,
};

/** What it stands on. */
export interface LiteUpkeepParts {
  readonly metadata: DeliveryMetadata;
  readonly table: SubscriptionTable;
  readonly topics: LiteTopics;
  readonly timeline: Timeline;
  readonly logger: Logger;
  readonly times: LiteTimes;
}

/** Runs while there are LITE topics, until the timeline is closed. */
export class LiteUpkeep {
  /** Lite topics that have gone because nothing came any more. */
  expiredCount = 0;
  readonly #parts: LiteUpkeepParts;
  /** What is left of this round. */
  #queues: LiteQueue[] = [];
  readonly #alarm: Alarm = {
    dueAtMs: 0,
    heapIndex: -1,
    ring: () => background(this.#run()),
  };

  constructor(parts: LiteUpkeepParts) {
    this.#parts = parts;
  }

  /** Goes on when there is something to look at. */
  start(): void {
    const { timeline, topics, times } = this.#parts;
    if (this.#alarm.heapIndex >= 0 || topics.isEmpty) return;
    const waitMs = this.#queues.length > 0 ? 0 : times.periodMs;
    timeline.set(this.#alarm, timeline.nowMs() + waitMs);
  }

  /** One queue at a time, so that others have their turn in between. */
  async #run(): Promise<void> {
    if (this.#queues.length === 0) this.#queues = [...this.#parts.topics.all()];
    const queue = this.#queues.pop();
    try {
      if (queue !== undefined) await this.#look(queue);
    } catch (error) {
      this.#parts.logger.warn("idle lite topics cannot be looked for; tried again", {
        topic: queue?.queue.topic,
        queueId: queue?.queue.queueId,
        error: error instanceof Error ? error.message : String(error),
      });
    }
    this.start();
  }

  async #look(lite: LiteQueue): Promise<void> {
    const { queue } = lite;
    const topic = this.#parts.metadata.topic(queue.topic);
    if (topic === undefined || !isLite(topic)) return;
    const expirationMs = this.#parts.times.expirationMs(topic);
    const expiredEnd =
      expirationMs === undefined
        ? 0
        : await queue.offsetByTime(this.#parts.timeline.nowMs() - expirationMs);
    // What is not known yet may be of any lite topic.
    if (lite.isLoading || lite.end < expiredEnd) return;
    lite.dropBelow(queue.minOffset);
    const floor = Math.max(queue.minOffset, expiredEnd);
    const groups = [...this.#parts.table.ofTopic(queue.topic)];
    lite.expire(expiredEnd, (hash, end) => {
      this.expiredCount++;
      for (const { lite: group } of groups) group?.passOver(queue.queueId, hash, end);
    });
    for (const { lite: group, lanes } of groups) {
      const lane = lanes[queue.queueId];
      if (lane !== undefined) group?.raise(lane, lite, floor);
    }
    if (this.#parts.topics.figures.offsets > limits.liteOffsetsMax / 2) this.#trim(lite);
  }

  /** Forgets what all groups have had. */
  #trim(lite: LiteQueue): void {
    const { topic, queueId } = lite.queue;
    const groups = this.#parts.table.ofTopic(topic).flatMap((one) => one.lite ?? []);
    if (groups.length === 0) return;
    for (const [hash, offsets] of lite.topics()) {
      const places = groups.map((group) => group.placeOf(queueId, hash) ?? 0);
      lite.trim(offsets, Math.min(...places));
    }
  }
}
