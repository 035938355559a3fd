// GetProducerConnection: who produces, to one topic or at all.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { clientFields } from "./client-fields.ts";

/** The handler of GetProducerConnection. */
export function getProducerConnection(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.GetProducerConnection;
  return unary(method, context.logger, (request) => ({
    status: okStatus,
    clients: context.clients
      .producers(request.topic ?? undefined)
      .map((producer) => clientFields(producer)),
  }));
}
