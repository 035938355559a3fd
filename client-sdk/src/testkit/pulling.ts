// What tests of consumers that read by offset have in common. For tests only.
import assert from "node:assert/strict";
import { ClientError } from "../client-error.ts";
import type { MessageView } from "../message-view.ts";
import { PullConsumer, type PullConsumerOptions } from "../pull-consumer.ts";
import type { TopicQueue } from "../topic-queue.ts";
import type { FakeBroker } from "./fake-broker.ts";

export const topic = "orders";
export const group = "g";

export function queueOf(queueId: number): TopicQueue {
  return { topic, brokerName: "fake-a", queueId };
}

/** Adds `count` messages, `q<queue>-<offset>`. */
export function fill(broker: FakeBroker, queueId: number, count: number): void {
  const { messages } = broker.queues.queue(topic, queueId);
  const texts = Array.from(
    { length: count },
    (_unused, index) => `q${queueId}-${messages.length + index}`,
  );
  broker.queues.store(topic, queueId, texts);
}

export function bodies(messages: readonly MessageView[]): string[] {
  return messages.map((message) => message.body.toString());
}

export function coded(code: string): (error: unknown) => boolean {
  return (error) => error instanceof ClientError && error.code === code;
}

/** A consumer that is started. */
export async function open(
  broker: FakeBroker,
  options: Partial<PullConsumerOptions> = {},
): Promise<PullConsumer> {
  const consumer = new PullConsumer({
    endpoints: broker.endpoints,
    consumerGroup: group,
    autoCommit: false,
    longPollingTimeout: 1_000,
    ...options,
  });
  await consumer.startup();
  return consumer;
}

/** Polls until so many messages are here. */
export async function pollAll(consumer: PullConsumer, count: number): Promise<string[]> {
  const all: string[] = [];
  while (all.length < count) {
    const messages = await consumer.poll({ timeout: 3_000 });
    assert.ok(messages.length > 0, `only ${all.length} of ${count}`);
    all.push(...bodies(messages));
  }
  return all;
}
