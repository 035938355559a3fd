// Messages that had their last delivery: copied to the group's dead-letter topic and ended, in one atomic
// group of records, so that a crash leaves exactly one of the two.

import { readMessageProperties } from "@cometmq/proto";
import { background, type Logger, limits, toMqError } from "../../base/index.ts";
import { deadLetterTopic } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type RecordView, sentFlag } from "../store/index.ts";
import { BuriedLately } from "./buried-lately.ts";
import type { DeliveryCounters } from "./counters.ts";
import type { PendingMessage } from "./lane.ts";
import type { DeliveryMetadata } from "./ports.ts";
import type { ProgressWriter } from "./progress-writer.ts";
import type { Subscription } from "./subscription.ts";
import type { Timeline } from "./timeline.ts";

/** What moving messages stands on. */
export interface DeadLetterParts {
  readonly metadata: DeliveryMetadata;
  readonly writer: ProgressWriter;
  readonly timeline: Timeline;
  readonly logger: Logger;
  readonly counters: DeliveryCounters;
  wake(subscription: Subscription): void;
}

/** Moves messages to dead-letter topics. */
export class DeadLetters {
  readonly #lately: BuriedLately = new BuriedLately(limits.buriedLatelyCountMax);
  readonly #parts: DeadLetterParts;
  readonly #underWay = new Map<PendingMessage, Promise<void>>();

  constructor(parts: DeadLetterParts) {
    this.#parts = parts;
  }

  /** Takes over a message after its last delivery. When that fails it is tried again later. */
  bury(subscription: Subscription, entry: PendingMessage, record: RecordView): void {
    if (this.#underWay.size >= limits.deadLettersUnderWayMax) {
      this.#tryLater(subscription, entry);
      return;
    }
    const report = (error: unknown): void => {
      const { code, message } = toMqError(error);
      this.#parts.logger.warn("a message cannot be moved to its dead-letter topic; tried again", {
        group: subscription.group,
        topic: subscription.topic,
        queueId: entry.lane.queueId,
        queueOffset: entry.offset,
        code,
        error: message,
      });
    };
    background(this.move(subscription, entry, record).catch(report));
  }

  /**
   * Moves a message now; resolves when that is durable. Rejects with what metadata or store say; the
   * message then stays pending and is tried again when it is due.
   */
  move(subscription: Subscription, entry: PendingMessage, record: RecordView): Promise<void> {
    const underWay = this.#underWay.get(entry);
    if (underWay !== undefined) return underWay;
    entry.hold?.remove(entry);
    subscription.takeOut(entry, "dying");
    const moving = this.#run(subscription, entry, record).finally(() =>
      this.#underWay.delete(entry),
    );
    this.#underWay.set(entry, moving);
    return moving;
  }

  /** Whether a delivery was that of a message whose dead letter was stored after it; of the newest dead letters. */
  hasBuried(
    { lanes }: Subscription,
    delivery: {
      readonly queueId: number;
      readonly offset: number;
      readonly deliveryNumber: number;
    },
  ): boolean {
    const lane = lanes[delivery.queueId];
    return lane !== undefined && this.#lately.has(lane, delivery.offset, delivery.deliveryNumber);
  }

  async #run(subscription: Subscription, entry: PendingMessage, record: RecordView): Promise<void> {
    const { metadata, writer, counters } = this.#parts;
    try {
      await metadata.ensureDeadLetterTopic(subscription.group);
      if (entry.state !== "dying") return;
      await writer.bury(entry, copyFor(subscription, record));
    } catch (error) {
      this.#tryLater(subscription, entry);
      throw error;
    }
    // Ended before its turn, or reset or dropped meanwhile.
    if (!isMoving(entry)) return;
    counters.deadLettered++;
    this.#lately.note(entry.lane, entry.offset, entry.deliveryNumber);
    // Its end stands in the log already, beside the copy.
    entry.lane.buried(entry);
    subscription.settle(entry);
    this.#parts.wake(subscription);
  }

  #tryLater(subscription: Subscription, entry: PendingMessage): void {
    if (entry.state === "gone") return;
    subscription.putBack(entry);
    const atMs = this.#parts.timeline.nowMs() + limits.deadLetterRetryDelayMs;
    subscription.showAt(entry, Math.max(entry.dueAtMs, atMs));
    this.#parts.wake(subscription);
  }
}

function isMoving({ state }: PendingMessage): boolean {
  return state === "moving";
}

function copyFor(subscription: Subscription, record: RecordView): RecordDraft {
  const { messageId } = readMessageProperties(record.systemProperties);
  return {
    type: RecordType.message,
    flags: record.flags & ~sentFlag,
    topic: deadLetterTopic(subscription.group),
    queueId: 0,
    systemProperties: Buffer.concat([
      record.systemProperties,
      deadLetterField(subscription.topic, messageId),
    ]),
    userProperties: record.userProperties,
    body: record.body,
    tagHash: record.tagHash,
    messageGroupHash: record.messageGroupHash,
  };
}

/** `SystemProperties.dead_letter_queue = 20 { topic = 1, message_id = 2 }`, to be appended: the last one counts. */
function deadLetterField(topic: string, messageId: string): Uint8Array {
  const inner = Buffer.concat([textField(1, topic), textField(2, messageId)]);
  return Buffer.concat([varint((20 << 3) | 2), varint(inner.length), inner]);
}

function textField(number: number, text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
