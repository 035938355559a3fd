// consumerConnection: the consumers of a group that are connected.
import type { cometmq } from "@cometmq/proto";
import { clientTable, shownClient } from "../clients.ts";
import { type Command, groupFlag, targetFlags } from "../command.ts";

export const consumerConnection: Command = {
  name: "consumerConnection",
  summary: "list the connected consumers of a group and what they subscribe to",
  flags: { ...targetFlags, ...groupFlag },
  async run(flags, session) {
    const group = flags.required("groupName");
    const clients = [];
    const filters = new Map<string, Set<string>>();
    let differ = false;
    for (const master of await session.masters(flags)) {
      const answer = await session.call(master.address, session.admin.GetConsumerConnection, {
        group,
      });
      differ ||= answer.subscriptionsDiffer ?? false;
      for (const client of answer.clients ?? []) {
        clients.push(shownClient(master.name, client));
        note(filters, client);
      }
    }
    // Each broker compares those that are connected to it; others may be connected elsewhere.
    differ ||= [...filters.values()].some((ofTopic) => ofTopic.size > 1);
    const warning = `The consumers of ${group} subscribe differently: each of them is served by its own.`;
    return {
      json: { group, subscriptionsDiffer: differ, clients },
      ...(differ ? { lines: [warning] } : {}),
      table: clientTable(clients),
    };
  },
};

/** Notes the filters of a client, topic by topic. */
function note(filters: Map<string, Set<string>>, client: cometmq.v1.IConnectedClient): void {
  for (const { topic, expression } of client.subscriptions ?? []) {
    const name = topic?.name ?? "";
    const ofTopic = filters.get(name) ?? new Set();
    filters.set(name, ofTopic.add(`${expression?.type} ${expression?.expression || "*"}`));
  }
}
