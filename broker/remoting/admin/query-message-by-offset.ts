// QueryMessageByOffset: the message at one place of one queue.
import { brokerAdminService } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingTopic } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { groupDeliveries } from "./group-deliveries.ts";
import { recordAt } from "./record-at.ts";
import { brokerAt, storedMessage } from "./stored-message.ts";

/** The handler of QueryMessageByOffset. */
export function queryMessageByOffset(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.QueryMessageByOffset;
  return unary(method, context.logger, async (request, call) => {
    const topic = existingTopic(context, request.topic);
    const { queueId, offset } = request;
    const record = await recordAt(context.store, { topic: topic.name, queueId, offset });
    if (record === undefined) {
      const queue = context.store.queue(topic.name, queueId);
      const kept = queue === undefined ? "none" : `${queue.minOffset} to ${queue.endOffset - 1}`;
      throw new MqError(
        "MESSAGE_NOT_FOUND",
        `queue ${queueId} of ${topic.name} has no message at offset ${offset}; kept: ${kept}`,
      );
    }
    const deliveries = await groupDeliveries(context, request.deliveries, record);
    const message = { ...storedMessage(record, brokerAt(context, call)), deliveries };
    return { status: okStatus, messages: [message] };
  });
}
