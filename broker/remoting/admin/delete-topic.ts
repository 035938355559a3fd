// DeleteTopic: forgets a topic with its queues.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";

/** The handler of DeleteTopic. */
export function deleteTopic(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.DeleteTopic, context.logger, async (request) => {
    await context.metadata.deleteTopic(request.name);
    return { status: okStatus };
  });
}
