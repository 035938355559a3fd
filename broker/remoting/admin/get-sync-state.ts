// GetSyncState: the record that elections of this broker's group go by.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { electing, syncStateFields } from "./ha-fields.ts";

/** The handler of GetSyncState. */
export function getSyncState(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetSyncState, context.logger, () => ({
    status: okStatus,
    syncState: syncStateFields(electing(context).sync),
  }));
}
