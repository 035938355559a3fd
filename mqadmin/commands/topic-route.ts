// topicRoute: the brokers and queues of a topic as NameServers serve them.
import { type Command, topicFlag } from "../command.ts";
import { permText } from "../topics.ts";

export const topicRoute: Command = {
  name: "topicRoute",
  summary: "show which brokers serve a topic",
  flags: {
    ...topicFlag,
    list: {
      short: "l",
      type: "boolean",
      about: "accepted for compatibility; the route is always a list",
    },
  },
  async run(flags, session) {
    const route = await session.route(flags.required("topic"));
    return {
      json: route,
      table: {
        columns: ["Cluster", "Broker", "Id", "Address", "Read", "Write", "Perm", "Type"],
        rows: route.map((entry) => [
          entry.cluster,
          entry.broker,
          entry.id,
          entry.address,
          entry.readQueues,
          entry.writeQueues,
          permText(entry.perm),
          entry.messageType,
        ]),
      },
    };
  },
};
