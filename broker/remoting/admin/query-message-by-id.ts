// QueryMessageById: the messages of a topic that a client sent under an id; more than one when it sent it again.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingTopic } from "../resources.ts";
import { unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { foundMessages, requireIndex } from "./found-messages.ts";

/** The handler of QueryMessageById. */
export function queryMessageById(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.QueryMessageById;
  return unary(method, context.logger, async (request, call) => {
    const index = requireIndex(context);
    const topic = existingTopic(context, request.topic);
    const found = await index.byId(topic.name, request.messageId);
    const sought = `of id ${request.messageId}`;
    return await foundMessages(context, call, { found, sought, deliveries: request.deliveries });
  });
}
