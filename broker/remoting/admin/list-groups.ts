// ListGroups: all consumer groups of this broker, by name.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { groupFields } from "./group-fields.ts";

/** The handler of ListGroups. */
export function listGroups(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.ListGroups, context.logger, () => {
    const groups = [...context.metadata.groups()];
    groups.sort((one, other) => (one.name < other.name ? -1 : 1));
    return { status: okStatus, groups: groups.map(groupFields) };
  });
}
