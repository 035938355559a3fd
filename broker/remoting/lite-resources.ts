// LITE topics and the groups that consume their lite topics: one group, one LITE topic.
import { MqError } from "../../base/index.ts";
import { clientTypes, isLiteConsumer } from "../clients/index.ts";
import {
  type GroupConfig,
  isLite,
  liteBindTopicKey,
  type Metadata,
  type TopicConfig,
} from "../metadata/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { existingGroup, existingTopic, groupFor } from "./resources.ts";

type Needs = Pick<RemotingContext, "config"> & { readonly metadata: Metadata };

/** The LITE topic `name`. Throws ILLEGAL_TOPIC, TOPIC_NOT_FOUND, and BAD_REQUEST for one of another type. */
export function existingLiteTopic(needs: Needs, name: string): TopicConfig {
  const topic = existingTopic(needs, name);
  if (isLite(topic)) return topic;
  throw new MqError(
    "BAD_REQUEST",
    `topic ${name} is of type ${topic.messageType}; only topics with message.type=LITE have lite topics`,
  );
}

/**
 * The group `name`, bound to the LITE topic `topic`: what it subscribes to first binds it. Throws BAD_REQUEST when it is
 * bound to another one, and what `groupFor` throws.
 */
export async function boundGroup(
  needs: Needs & Pick<LocalParts, "canSend">,
  name: string,
  topic: string,
): Promise<GroupConfig> {
  // A broker that acts for its master changes no group.
  const group = needs.canSend ? await groupFor(needs, name, [topic]) : existingGroup(needs, name);
  const bound = group.attributes[liteBindTopicKey];
  if (bound === undefined) {
    if (!needs.canSend) return group;
    const attributes = { ...group.attributes, [liteBindTopicKey]: topic };
    return await needs.metadata.updateGroup({ ...group, attributes });
  }
  if (bound === topic) return group;
  throw new MqError(
    "BAD_REQUEST",
    `group ${name} consumes the lite topics of ${bound} (attribute ${liteBindTopicKey}), not of ${topic}; use one group a LITE topic`,
  );
}

/**
 * The type that counts for a client of unknown type that receives from `topic`. Throws BAD_REQUEST when what is known does
 * not go with the topic.
 */
export function receiverType(topic: TopicConfig, knownType: number): number {
  if (knownType !== 0 && isLiteConsumer(knownType) !== isLite(topic)) {
    throw new MqError(
      "BAD_REQUEST",
      isLite(topic)
        ? `topic ${topic.name} is of type LITE: consume it with a lite push consumer or lite simple consumer`
        : `topic ${topic.name} is of type ${topic.messageType}: lite consumers consume topics of type LITE only`,
    );
  }
  return isLite(topic) ? clientTypes.liteSimpleConsumer : clientTypes.simpleConsumer;
}
