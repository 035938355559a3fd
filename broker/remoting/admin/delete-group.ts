// DeleteGroup: forgets a consumer group with its progress.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";

/** The handler of DeleteGroup. */
export function deleteGroup(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.DeleteGroup, context.logger, async (request) => {
    await context.metadata.deleteGroup(request.name);
    return { status: okStatus };
  });
}
