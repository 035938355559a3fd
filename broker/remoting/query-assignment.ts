// QueryAssignment: which queues a push consumer shall receive from.
import { messagingService } from "@cometmq/proto";
import type { MethodHandler } from "../../transport/index.ts";
import { identify } from "../clients/index.ts";
import type { RemotingContext } from "./context.ts";
import { groupFor, requireReadable, servedHere, topicFor } from "./resources.ts";
import { assignedQueues, brokerFor } from "./route.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of QueryAssignment. */
export function queryAssignment(context: RemotingContext): MethodHandler {
  return unary(messagingService.methods.QueryAssignment, context.logger, async (request, call) => {
    identify((name) => call.header(name));
    const { metadata } = servedHere(context);
    const topic = await topicFor({ ...context, metadata }, request.topic?.name ?? "");
    const group = await groupFor({ ...context, metadata }, request.group?.name ?? "");
    requireReadable(topic);
    const broker = brokerFor(context, call, request.endpoints);
    const queues = assignedQueues(topic, broker, group.consumeMessageOrderly);
    return {
      status: okStatus,
      assignments: queues.map((messageQueue) => ({ messageQueue })),
    };
  });
}
