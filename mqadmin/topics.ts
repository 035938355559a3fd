// How topics are shown.
import type { cometmq } from "@cometmq/proto";
import type { Answer, Row } from "./answer.ts";

/** A topic of one broker, ready to be shown. */
export interface ShownTopic {
  readonly broker: string;
  readonly name: string;
  readonly readQueues: number;
  readonly writeQueues: number;
  readonly perm: number;
  readonly messageType: string;
  readonly order: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Takes a topic off the wire. */
export function shownTopic(broker: string, topic: cometmq.v1.ITopicConfig): ShownTopic {
  return {
    broker,
    name: topic.name ?? "",
    readQueues: topic.readQueues ?? 0,
    writeQueues: topic.writeQueues ?? 0,
    perm: topic.perm ?? 0,
    messageType: topic.messageType ?? "",
    order: topic.order ?? false,
    attributes: topic.attributes ?? {},
  };
}

/** A line a topic and broker. */
export function topicTable(topics: readonly ShownTopic[]): NonNullable<Answer["table"]> {
  return {
    columns: ["Topic", "Broker", "Read", "Write", "Perm", "Type", "Attributes"],
    rows: topics.map(
      (topic): Row => [
        topic.name,
        topic.broker,
        topic.readQueues,
        topic.writeQueues,
        permText(topic.perm),
        topic.messageType,
        Object.entries(topic.attributes)
          .map(([name, value]) => `${name}=${value}`)
          .join(","),
      ],
    ),
  };
}

/** RocketMQ's permission bits as letters: 6 is RW. */
export function permText(perm: number): string {
  return `${(perm & 4) === 0 ? "-" : "R"}${(perm & 2) === 0 ? "-" : "W"}`;
}
