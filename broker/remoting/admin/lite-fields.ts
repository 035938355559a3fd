// What the calls about lite topics share: LITE topics, and the groups that consume their lite topics.
import type { cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import {
  type GroupConfig,
  isLite,
  liteBindTopicKey,
  liteExpirationMs,
  type TopicConfig,
} from "../../metadata/index.ts";
import { existingGroup, servedHere } from "../resources.ts";
import type { AdminContext } from "./admin-context.ts";

type Lite = NonNullable<AdminContext["delivery"]["lite"]>;

/** Lite topics as delivery has them. Throws HA_NOT_AVAILABLE where nothing is delivered. */
export function liteHere(context: AdminContext): Lite {
  servedHere(context);
  const { lite } = context.delivery;
  if (lite !== undefined) return lite;
  throw new MqError("HA_NOT_AVAILABLE", "this broker serves no messages: it is starting");
}

/** The LITE topics of the broker, by name. */
export function liteTopicsOf(context: AdminContext): readonly TopicConfig[] {
  return [...context.metadata.topics()]
    .filter((topic) => isLite(topic))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** A LITE topic with its counts and its groups. */
export function liteParentFields(
  context: AdminContext,
  lite: Lite,
  topic: TopicConfig,
): cometmq.v1.ILiteParent {
  const { topics, messages } = lite.view.countsOf(topic.name);
  const expirationMs = liteExpirationMs(topic);
  const bound = [...context.metadata.groups()].filter((group) => boundTopic(group) === topic.name);
  return {
    topic: topic.name,
    expirationMinutes: expirationMs === undefined ? -1 : expirationMs / 60_000,
    liteTopics: topics,
    messages,
    groups: bound.map(({ name }) => name).sort(),
  };
}

/**
 * The group `name`, which must consume the lite topics of `topic`. Throws ILLEGAL_CONSUMER_GROUP, CONSUMER_GROUP_NOT_FOUND,
 * and BAD_REQUEST for one that consumes others or none.
 */
export function groupBoundTo(context: AdminContext, name: string, topic: string): GroupConfig {
  const group = existingGroup(context, name);
  const bound = boundTopic(group);
  if (bound === topic) return group;
  throw new MqError(
    "BAD_REQUEST",
    bound === undefined
      ? `group ${name} has never subscribed to lite topics (attribute ${liteBindTopicKey})`
      : `group ${name} consumes the lite topics of ${bound} (attribute ${liteBindTopicKey}), not of ${topic}`,
  );
}

function boundTopic({ attributes }: GroupConfig): string | undefined {
  return attributes[liteBindTopicKey];
}
