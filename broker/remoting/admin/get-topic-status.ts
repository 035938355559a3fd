// GetTopicStatus: a topic and the bounds of its queues.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingTopic } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { queueIdsOf } from "./queue-ids.ts";
import { storeTimeAt } from "./record-at.ts";
import { topicFields } from "./topic-fields.ts";

/** The handler of GetTopicStatus. */
export function getTopicStatus(context: AdminContext): MethodHandler {
  const { store } = context;
  return unary(brokerAdminService.methods.GetTopicStatus, context.logger, async (request) => {
    const topic = existingTopic(context, request.name);
    const queueCount = Math.max(topic.readQueueNums, topic.writeQueueNums);
    const ids = queueIdsOf(topic, queueCount, store);
    const queues = await Promise.all(
      ids.map(async (queueId) => {
        const queue = store.queue(topic.name, queueId);
        const maxOffset = queue?.endOffset ?? 0;
        const place = { topic: topic.name, queueId, offset: maxOffset - 1 };
        return {
          queueId,
          minOffset: queue?.minOffset ?? 0,
          maxOffset,
          lastUpdateMs: await storeTimeAt(store, place),
        };
      }),
    );
    return { status: okStatus, topic: topicFields(topic), queues };
  });
}
