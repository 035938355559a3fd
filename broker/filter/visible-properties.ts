// What expressions see of a message besides its user properties, under the names that RocketMQ gives it. Senders
// may not use these names for properties of their own, but for __SHARDINGKEY, which is the message group here.
import type { SystemPropertyName } from "@cometmq/proto";

const systemProperties: ReadonlyMap<string, SystemPropertyName> = new Map([
  ["TAGS", "tag"],
  ["KEYS", "keys"],
  ["UNIQ_KEY", "messageId"],
  ["__SHARDINGKEY", "messageGroup"],
  ["BORN_TIMESTAMP", "bornTimestamp"],
  ["TIMER_DELIVER_MS", "deliveryTimestamp"],
  ["DLQ_ORIGIN_TOPIC", "deadLetterTopic"],
  ["DLQ_ORIGIN_MESSAGE_ID", "deadLetterMessageId"],
]);

/** The system property that `name` shows; undefined: it is a user property. */
export function systemPropertyOf(name: string): SystemPropertyName | undefined {
  return systemProperties.get(name);
}
