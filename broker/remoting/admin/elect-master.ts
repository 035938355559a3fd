// ElectMaster: the master of a group hands over to another broker of it.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { electing, syncStateFields } from "./ha-fields.ts";
import type { SyncState } from "./ha-port.ts";

/** The handler of ElectMaster. */
export function electMaster(context: AdminContext): MethodHandler {
  const { clock, config, logger } = context;
  return unary(brokerAdminService.methods.ElectMaster, logger, async (request) => {
    const { brokerName } = config.values;
    const { ha, sync } = electing(context);
    if (request.brokerName !== "" && request.brokerName !== brokerName) {
      throw new MqError(
        "BAD_REQUEST",
        `this broker belongs to ${brokerName}, not to ${request.brokerName}: ask a broker of ${request.brokerName}`,
      );
    }
    refuseUnelectable(sync, request.brokerId);
    const began = clock.monotonicMs();
    if (sync.masterId !== request.brokerId) await ha.handOver(request.brokerId);
    const tookMs = Math.round(clock.monotonicMs() - began);
    logger.info("master elected by an operator", { brokerId: request.brokerId, tookMs });
    const after = ha.syncState() ?? sync;
    const answer: cometmq.v1.IElectMasterResponse = {
      status: okStatus,
      syncState: syncStateFields(after),
      tookMs,
    };
    return answer;
  });
}

/** Says why before anything moves: an unknown broker, a dead one, one that lacks acknowledged messages. */
function refuseUnelectable(sync: SyncState, brokerId: number): void {
  const member = sync.members.find((one) => one.brokerId === brokerId);
  if (member === undefined) {
    const known = sync.members.map((one) => one.brokerId).join(", ");
    throw new MqError(
      "BAD_REQUEST",
      `${sync.brokerName} has no broker with brokerId ${brokerId}; it has: ${known === "" ? "none" : known}`,
    );
  }
  if (!member.isAlive) {
    throw new MqError(
      "BAD_REQUEST",
      `broker ${brokerId} of ${sync.brokerName} does not live: start it first`,
    );
  }
  if (!sync.inSyncIds.includes(brokerId)) {
    throw new MqError(
      "BAD_REQUEST",
      `broker ${brokerId} of ${sync.brokerName} is not in sync and could lack acknowledged messages; in sync: ${sync.inSyncIds.join(", ")}`,
    );
  }
}
