// QueryRoute: where a topic's queues are.
import { messagingService } from "@cometmq/proto";
import { messageQueues } from "../../route/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { identify } from "../clients/index.ts";
import type { RemotingContext } from "./context.ts";
import { servedHere, topicFor } from "./resources.ts";
import { brokerFor } from "./route.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of QueryRoute. */
export function queryRoute(context: RemotingContext): MethodHandler {
  return unary(messagingService.methods.QueryRoute, context.logger, async (request, call) => {
    identify((name) => call.header(name));
    const { metadata } = servedHere(context);
    const topic = await topicFor({ ...context, metadata }, request.topic?.name ?? "");
    const broker = brokerFor(context, call, request.endpoints);
    return { status: okStatus, messageQueues: messageQueues(topic, broker) };
  });
}
