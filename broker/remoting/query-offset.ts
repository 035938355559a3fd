// QueryOffset: the first offset of a queue, the one behind the last, or that of a moment.
import { messagingService, msOfTimestamp, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { byQueueOwner, ownedQueue } from "./queue-owner.ts";
import { readableQueue } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.QueryOffset;
const { QueryOffsetPolicy } = rocketmq.v2;

/** The handler of QueryOffset. */
export function queryOffset(context: RemotingContext): MethodHandler {
  return unary(method, context.logger, (request, call, bytes) => {
    callerOf(call);
    const queue = ownedQueue(request.messageQueue);
    const passing = { path: method.path, request: bytes, ...queue };
    return byQueueOwner<rocketmq.v2.IQueryOffsetResponse>(context, call, {
      queue,
      passing,
      here: async ({ metadata, delivery }) => {
        const needs = { config: context.config, metadata };
        const { topic, queueId } = await readableQueue(needs, request.messageQueue);
        const place = { topic: topic.name, queueId };
        return { status: okStatus, offset: await wantedOffset(delivery.offsets, place, request) };
      },
    });
  });
}

async function wantedOffset(
  offsets: LocalParts["delivery"]["offsets"],
  place: Parameters<LocalParts["delivery"]["offsets"]["bounds"]>[0],
  request: rocketmq.v2.QueryOffsetRequest,
): Promise<number> {
  const policy: number = request.queryOffsetPolicy;
  switch (policy) {
    case QueryOffsetPolicy.BEGINNING:
      return offsets.bounds(place).minOffset;
    case QueryOffsetPolicy.END:
      return offsets.bounds(place).endOffset;
    case QueryOffsetPolicy.TIMESTAMP:
      if (request.timestamp) return await offsets.atTime(place, msOfTimestamp(request.timestamp));
      throw new MqError("BAD_REQUEST", "the policy TIMESTAMP needs a timestamp");
    default:
      throw new MqError(
        "BAD_REQUEST",
        `the policy ${policy} is unknown: use BEGINNING (0), END (1) or TIMESTAMP (2)`,
      );
  }
}
