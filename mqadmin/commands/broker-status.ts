// brokerStatus: what a broker says of itself.
import { type Command, targetFlags } from "../command.ts";

export const brokerStatus: Command = {
  name: "brokerStatus",
  summary: "show the state and figures of brokers",
  flags: targetFlags,
  async run(flags, session) {
    const all: { readonly broker: string; readonly name: string; readonly value: string }[] = [];
    for (const master of await session.masters(flags)) {
      const answer = await session.call(master.address, session.admin.GetBrokerStatus, {});
      const broker = answer.brokerName ?? master.name;
      for (const row of answer.rows ?? []) {
        all.push({ broker, name: row.name ?? "", value: row.value ?? "" });
      }
    }
    const brokers = [...new Set(all.map((row) => row.broker))];
    return {
      json: brokers.map((broker) => ({
        broker,
        figures: Object.fromEntries(
          all.filter((row) => row.broker === broker).map((row) => [row.name, row.value]),
        ),
      })),
      table: {
        columns: ["Broker", "Name", "Value"],
        rows: all.map((row) => [row.broker, row.name, row.value]),
      },
    };
  },
};
