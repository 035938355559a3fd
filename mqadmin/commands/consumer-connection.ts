// consumerConnection: the consumers of a group that are connected.
import { clientTable, shownClient } from "../clients.ts";
import { type Command, groupFlag, targetFlags } from "../command.ts";

export const consumerConnection: Command = {
  name: "consumerConnection",
  summary: "list the connected consumers of a group and what they subscribe to",
  flags: { ...targetFlags, ...groupFlag },
  async run(flags, session) {
    const group = flags.required("groupName");
    const clients = [];
    let differ = false;
    for (const master of await session.masters(flags)) {
      const answer = await session.call(master.address, session.admin.GetConsumerConnection, {
        group,
      });
      differ ||= answer.subscriptionsDiffer ?? false;
      for (const client of answer.clients ?? []) clients.push(shownClient(master.name, client));
    }
    // Each broker compares those that are connected to it.
    const wishes = new Set(clients.map(({ uses }) => uses).filter((uses) => uses !== ""));
    differ ||= wishes.size > 1;
    const warning = `The consumers of ${group} subscribe differently: each of them is served by its own.`;
    return {
      json: { group, subscriptionsDiffer: differ, clients },
      ...(differ ? { lines: [warning] } : {}),
      table: clientTable(clients),
    };
  },
};
