// GetLiteClient: what one client subscribes to.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingLiteTopic } from "../lite-resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { groupBoundTo, liteHere } from "./lite-fields.ts";

/** The handler of GetLiteClient. */
export function getLiteClient(context: AdminContext): MethodHandler {
  const { logger, clients } = context;
  return unary(brokerAdminService.methods.GetLiteClient, logger, (request) => {
    const { view } = liteHere(context);
    const topic = existingLiteTopic(context, request.topic);
    const group = groupBoundTo(context, request.group, topic.name);
    const found = view.clientOf(topic.name, group.name, request.clientId);
    if (found === undefined) return { status: okStatus, known: false };
    return {
      status: okStatus,
      known: true,
      // A client may not subscribe to more than fit into an answer.
      liteTopics: [...found.names],
      lag: found.lag,
      polls: found.pollCount,
      lastHeartbeatMs: clients.get(request.clientId)?.lastSeenMs ?? 0,
    };
  });
}
