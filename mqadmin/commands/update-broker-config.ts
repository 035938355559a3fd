// updateBrokerConfig: changes a live key of running brokers.
import { type Command, targetFlags } from "../command.ts";
import { completed, onEachMaster } from "../each-master.ts";

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
    const outcomes = await onEachMaster(session, flags, async ({ name, address }) => {
      const { row } = await session.call(address, session.admin.UpdateBrokerConfig, request);
      return { broker: name, key: request.key, value: row?.value ?? request.value };
    });
    return completed(outcomes, {
      json: outcomes.done,
      lines: outcomes.done.map(({ broker, key, value }) => `${key} is now ${value} on ${broker}`),
    });
  },
};
