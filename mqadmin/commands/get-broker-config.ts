// getBrokerConfig: the configuration a broker runs with.
import { type Command, targetFlags } from "../command.ts";

export const getBrokerConfig: Command = {
  name: "getBrokerConfig",
  summary: "show the configuration of brokers",
  flags: {
    ...targetFlags,
    key: { short: "k", type: "string", value: "KEY", about: "only this key" },
  },
  async run(flags, session) {
    const key = flags.text("key");
    const found = [];
    for (const master of await session.masters(flags)) {
      const request = key === undefined ? {} : { key };
      const { rows } = await session.call(master.address, session.admin.GetBrokerConfig, request);
      for (const row of rows ?? []) {
        found.push({
          broker: master.name,
          key: row.key ?? "",
          value: row.value ?? "",
          unit: row.unit ?? "",
          defaultValue: row.defaultValue ?? "",
          source: row.source ?? "",
          live: row.live ?? false,
          meaning: row.meaning ?? "",
        });
      }
    }
    return {
      json: found,
      table: {
        columns: ["Broker", "Key", "Value", "Unit", "Default", "Source", "Live"],
        rows: found.map((row) => [
          row.broker,
          row.key,
          row.value,
          row.unit,
          row.defaultValue,
          row.source,
          row.live ? "yes" : "no",
        ]),
      },
    };
  },
};
