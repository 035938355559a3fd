// UpdateOffset: a group stores how far it has read a queue, also back. Answered when that is in the log.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { byQueueOwner, ownedQueue } from "./queue-owner.ts";
import { groupFor, readableQueue } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.UpdateOffset;

/** The handler of UpdateOffset. */
export function updateOffset(context: RemotingContext): MethodHandler {
  return unary(method, context.logger, (request, call, bytes) => {
    callerOf(call);
    const queue = ownedQueue(request.messageQueue);
    const passing = { path: method.path, request: bytes, ...queue };
    return byQueueOwner<rocketmq.v2.IUpdateOffsetResponse>(context, call, {
      queue,
      passing,
      here: async ({ metadata, delivery, canSend }) => {
        const needs = { config: context.config, metadata };
        const { topic, queueId } = await readableQueue(needs, request.messageQueue);
        const group = await groupFor(needs, request.group?.name ?? "", [topic.name]);
        const place = { group: group.name, topic: topic.name, queueId };
        if (!canSend) requireForward(delivery.offsets.get(place) ?? 0, request.offset);
        await delivery.offsets.commit(place, request.offset);
        return { status: okStatus };
      },
    });
  });
}

/** What an acting master notes is joined with its master's log by taking the larger offset: back it would not last. */
function requireForward(before: number, offset: number): void {
  if (offset >= before) return;
  throw new MqError(
    "HA_NOT_AVAILABLE",
    `this broker acts for its master: an offset goes back (${before} to ${offset}) at a master only`,
  );
}
