// updateBrokerConfig: changes a live key of running brokers.
import { type Command, targetFlags } from "../command.ts";

export const updateBrokerConfig: Command = {
  name: "updateBrokerConfig",
  summary: "change a live key until the next restart",
  flags: {
    ...targetFlags,
    key: { short: "k", type: "string", value: "KEY", about: "key", required: true },
    value: { short: "v", type: "string", value: "VALUE", about: "new value", required: true },
  },
  async run(flags, session) {
    const request = { key: flags.required("key"), value: flags.text("value") ?? "" };
    const changed = [];
    for (const master of await session.namedMasters(flags)) {
      const { row } = await session.call(master.address, session.admin.UpdateBrokerConfig, request);
      changed.push({ broker: master.name, key: request.key, value: row?.value ?? request.value });
    }
    return {
      json: changed,
      lines: changed.map(({ broker, key, value }) => `${key} is now ${value} on ${broker}`),
    };
  },
};
