// GetLiteParent: one LITE topic, with the lite topics below it counted.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingLiteTopic } from "../lite-resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { liteHere, liteParentFields } from "./lite-fields.ts";

/** The handler of GetLiteParent. */
export function getLiteParent(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetLiteParent, context.logger, (request) => {
    const lite = liteHere(context);
    const topic = existingLiteTopic(context, request.topic);
    return {
      status: okStatus,
      parent: liteParentFields(context, lite, topic),
      brokerLiteTopics: lite.state.topics,
    };
  });
}
