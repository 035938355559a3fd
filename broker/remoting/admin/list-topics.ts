// ListTopics: all topics of this broker, by name.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { topicFields } from "./topic-fields.ts";

/** The handler of ListTopics. */
export function listTopics(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.ListTopics, context.logger, () => {
    const topics = [...context.metadata.topics()];
    topics.sort((one, other) => (one.name < other.name ? -1 : 1));
    return { status: okStatus, topics: topics.map(topicFields) };
  });
}
