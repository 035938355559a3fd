// UpdateBrokerConfig: changes one live key until the next restart.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { configRow } from "./get-broker-config.ts";

/** The handler of UpdateBrokerConfig. */
export function updateBrokerConfig(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.UpdateBrokerConfig, context.logger, (request) => {
    const { config, logger } = context;
    config.updateLive(request.key, request.value);
    logger.info("configuration changed", { key: request.key, value: request.value });
    const entry = config.entries().find(({ key }) => key === request.key);
    return { status: okStatus, row: entry === undefined ? null : configRow(entry) };
  });
}
