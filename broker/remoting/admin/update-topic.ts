// UpdateTopic: makes a topic, or changes the fields that are given.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { messageTypeKey, permission, type TopicDraft } from "../../metadata/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { changedAttributes } from "./attribute-change.ts";
import { topicFields } from "./topic-fields.ts";

/** The handler of UpdateTopic. */
export function updateTopic(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.UpdateTopic, context.logger, async (request) => {
    const { metadata, config } = context;
    const old = metadata.topic(request.name);
    const attributes = changedAttributes(old?.attributes, request);
    if (request.messageType !== null && request.messageType !== "") {
      attributes[messageTypeKey] = request.messageType;
    }
    const written = request.writeQueues ?? old?.writeQueueNums;
    const read = request.readQueues ?? old?.readQueueNums;
    const queues = config.values.defaultTopicQueueNums;
    // The type follows from the attribute.
    const draft: TopicDraft = {
      name: request.name,
      readQueueNums: read ?? written ?? queues,
      writeQueueNums: written ?? read ?? queues,
      perm: request.perm ?? old?.perm ?? permission.readWrite,
      order: request.order ?? old?.order ?? false,
      attributes,
    };
    const topic = await metadata.updateTopic(draft);
    return { status: okStatus, topic: topicFields(topic), created: old === undefined };
  });
}
