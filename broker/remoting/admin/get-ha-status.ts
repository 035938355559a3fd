// GetHaStatus: how this broker's log stands to those of the others of its name.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { haFields, haStatusOf } from "./ha-fields.ts";

/** The handler of GetHaStatus. */
export function getHaStatus(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetHaStatus, context.logger, () => ({
    status: okStatus,
    ha: haFields(context, haStatusOf(context)),
  }));
}
