// A message as a filter gets it, made of properties by the names that expressions use.
import { rocketmq } from "@cometmq/proto";
import type { FilteredMessage } from "../sql-filter.ts";

/** The stored bytes of a message with these properties. An empty message id or dead-letter topic is none. */
export function filteredMessage(properties: Readonly<Record<string, string>>): FilteredMessage {
  const { TAGS, KEYS, UNIQ_KEY, DLQ_ORIGIN_TOPIC, ...userProperties } = properties;
  const system: rocketmq.v2.ISystemProperties = {
    ...(TAGS === undefined ? {} : { tag: TAGS }),
    ...(KEYS === undefined ? {} : { keys: KEYS.split(" ") }),
    ...(UNIQ_KEY === undefined ? {} : { messageId: UNIQ_KEY }),
    ...(DLQ_ORIGIN_TOPIC === undefined ? {} : { deadLetterQueue: { topic: DLQ_ORIGIN_TOPIC } }),
  };
  return {
    systemProperties: rocketmq.v2.SystemProperties.encode(system).finish(),
    userProperties: rocketmq.v2.Message.encode({ userProperties }).finish(),
  };
}
