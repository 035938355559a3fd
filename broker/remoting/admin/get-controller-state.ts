// GetControllerState: the etcd members behind elections, as this broker sees them.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { electing } from "./ha-fields.ts";

/** The handler of GetControllerState. */
export function getControllerState(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetControllerState, context.logger, async () => {
    const state = await electing(context).ha.controller();
    const members = (state?.members ?? []).map((member) => ({
      address: member.address,
      name: member.name,
      reachable: member.isReachable,
      leader: member.isLeader,
      version: member.version,
      databaseBytes: member.databaseBytes,
      reason: member.reason,
    }));
    return { status: okStatus, members, leaseSeconds: state?.leaseSeconds ?? 0 };
  });
}
