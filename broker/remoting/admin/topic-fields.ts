// A topic as operators send and see it.
import type { cometmq } from "@cometmq/proto";
import type { TopicConfig } from "../../metadata/index.ts";

/** The topic in the form of cometmq.v1. */
export function topicFields(topic: TopicConfig): cometmq.v1.ITopicConfig {
  return {
    name: topic.name,
    readQueues: topic.readQueueNums,
    writeQueues: topic.writeQueueNums,
    perm: topic.perm,
    messageType: topic.messageType,
    order: topic.order,
    attributes: topic.attributes,
    createdAtMs: topic.createdAtMs,
  };
}
