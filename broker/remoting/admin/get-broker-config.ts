// GetBrokerConfig: the configuration as it is now.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { brokerRole, type ConfigEntry, MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";

/** The handler of GetBrokerConfig. */
export function getBrokerConfig(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetBrokerConfig, context.logger, (request) => {
    const { key } = request;
    const entries = context.config.entries();
    const rows = entries.filter((entry) => key === null || key === "" || entry.key === key);
    if (rows.length === 0) throw new MqError("BAD_REQUEST", `there is no configuration key ${key}`);
    return { status: okStatus, rows: rows.map(configRow) };
  });
}

/** A key with its value and what the table says of it. */
export function configRow(entry: ConfigEntry): cometmq.v1.IConfigRow {
  const rows: Readonly<Record<string, RowText | undefined>> = brokerRole.keys;
  const row = Object.hasOwn(rows, entry.key) ? rows[entry.key] : undefined;
  return {
    key: entry.key,
    value: entry.value,
    defaultValue: row?.defaultText ?? "",
    unit: row?.unit ?? "",
    live: entry.change === "live",
    source: entry.source,
    meaning: row?.meaning ?? "",
  };
}

interface RowText {
  readonly defaultText: string;
  readonly unit: string;
  readonly meaning: string;
}
