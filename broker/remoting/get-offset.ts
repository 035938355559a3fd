// GetOffset: the offset that a group has stored for a queue.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { byQueueOwner, ownedQueue } from "./queue-owner.ts";
import { groupFor, readableQueue } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.GetOffset;

/** The handler of GetOffset. */
export function getOffset(context: RemotingContext): MethodHandler {
  return unary(method, context.logger, (request, call, bytes) => {
    callerOf(call);
    const queue = ownedQueue(request.messageQueue);
    const passing = { path: method.path, request: bytes, ...queue };
    return byQueueOwner<rocketmq.v2.IGetOffsetResponse>(context, call, {
      queue,
      passing,
      here: async ({ metadata, delivery }) => {
        const needs = { config: context.config, metadata };
        const { topic, queueId } = await readableQueue(needs, request.messageQueue);
        const group = await groupFor(needs, request.group?.name ?? "", [topic.name]);
        const place = { group: group.name, topic: topic.name, queueId };
        const offset = delivery.offsets.get(place);
        if (offset !== undefined) return { status: okStatus, offset };
        throw new MqError(
          "OFFSET_NOT_FOUND",
          `the group ${group.name} has no offset on queue ${queueId} of ${topic.name}`,
        );
      },
    });
  });
}
