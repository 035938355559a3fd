// topicStatus: the offsets of each queue of a topic.
import { type Command, topicFlag } from "../command.ts";
import { moment } from "../printing.ts";

export const topicStatus: Command = {
  name: "topicStatus",
  summary: "show minimum and maximum offset of each queue of a topic",
  flags: {
    ...topicFlag,
    brokerAddr: { short: "b", type: "string", value: "HOST:PORT", about: "only this broker" },
    clusterName: {
      short: "c",
      type: "string",
      value: "NAME",
      about: "only brokers of this cluster",
    },
  },
  async run(flags, session) {
    const name = flags.required("topic");
    const cluster = flags.text("clusterName");
    const owners =
      flags.text("brokerAddr") === undefined
        ? (await session.owners(name)).filter(
            (owner) => cluster === undefined || owner.cluster === cluster,
          )
        : (await session.masters(flags)).map((master) => ({
            broker: master.name,
            address: master.address,
          }));
    const queues = [];
    for (const owner of owners) {
      const status = await session.call(owner.address, session.admin.GetTopicStatus, { name });
      for (const queue of status.queues ?? []) {
        queues.push({
          broker: owner.broker,
          queueId: queue.queueId ?? 0,
          minOffset: queue.minOffset ?? 0,
          maxOffset: queue.maxOffset ?? 0,
          lastUpdate: moment(queue.lastUpdateMs ?? 0),
        });
      }
    }
    return {
      json: queues,
      table: {
        columns: ["Broker", "Queue", "Min", "Max", "Last update"],
        rows: queues.map((q) => [q.broker, q.queueId, q.minOffset, q.maxOffset, q.lastUpdate]),
      },
    };
  },
};
