// producerConnection: the producers of a topic that are connected.
import { clientTable, shownClient } from "../clients.ts";
import { type Command, targetFlags } from "../command.ts";

export const producerConnection: Command = {
  name: "producerConnection",
  summary: "list the connected producers, of one topic or all",
  flags: {
    ...targetFlags,
    topic: { short: "t", type: "string", value: "TOPIC", about: "only producers of this topic" },
    producerGroup: {
      short: "g",
      type: "string",
      value: "GROUP",
      about: "accepted for compatibility; RocketMQ 5 producers have no group",
    },
  },
  async run(flags, session) {
    const topic = flags.text("topic");
    const clients = [];
    for (const master of await session.masters(flags)) {
      const request = topic === undefined ? {} : { topic };
      const answer = await session.call(
        master.address,
        session.admin.GetProducerConnection,
        request,
      );
      for (const client of answer.clients ?? []) clients.push(shownClient(master.name, client));
    }
    return { json: clients, table: clientTable(clients) };
  },
};
