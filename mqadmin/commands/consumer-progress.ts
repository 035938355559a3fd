// consumerProgress: how far groups are, queue by queue.
import type { cometmq } from "@cometmq/proto";
import { type Command, targetFlags } from "../command.ts";
import { moment } from "../printing.ts";

export const consumerProgress: Command = {
  name: "consumerProgress",
  summary: "show how far consumer groups are and what they lag behind",
  flags: {
    ...targetFlags,
    groupName: { short: "g", type: "string", value: "GROUP", about: "only this group" },
    topicName: { short: "t", type: "string", value: "TOPIC", about: "only this topic" },
    showClientIP: { short: "s", type: "boolean", about: "show the clients of each queue" },
  },
  async run(flags, session) {
    const group = flags.text("groupName");
    const topic = flags.text("topicName");
    const request = {
      ...(group === undefined ? {} : { group }),
      ...(topic === undefined ? {} : { topic }),
    };
    const found = [];
    for (const master of await session.masters(flags)) {
      const { queues } = await session.call(
        master.address,
        session.admin.GetConsumerProgress,
        request,
      );
      for (const queue of queues ?? []) {
        found.push(shownProgress(master.name, queue));
      }
    }
    const showClients = flags.bool("showClientIP") ?? false;
    const total = found.reduce((sum, queue) => sum + queue.lag, 0);
    const columns = [
      "Group",
      "Topic",
      "Broker",
      "Queue",
      "Min",
      "Max",
      "Cursor",
      "Pending",
      "Lag",
      "Last consumed",
    ];
    return {
      json: found,
      lines: [`lag in all: ${total}`],
      table: {
        columns: showClients ? [...columns, "Clients"] : columns,
        rows: found.map((q) => [
          q.group,
          q.topic,
          q.broker,
          q.queueId,
          q.minOffset,
          q.maxOffset,
          q.cursor,
          q.pending,
          q.lag,
          q.lastConsume,
          ...(showClients ? [q.clients.join(",")] : []),
        ]),
      },
    };
  },
};

interface ShownProgress {
  readonly group: string;
  readonly topic: string;
  readonly broker: string;
  readonly queueId: number;
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly cursor: number;
  readonly pending: number;
  readonly lag: number;
  readonly lastConsume: string;
  readonly clients: readonly string[];
}

function shownProgress(broker: string, queue: cometmq.v1.IQueueProgress): ShownProgress {
  return {
    group: queue.group ?? "",
    topic: queue.topic ?? "",
    broker,
    queueId: queue.queueId ?? 0,
    minOffset: queue.minOffset ?? 0,
    maxOffset: queue.maxOffset ?? 0,
    cursor: queue.cursor ?? 0,
    pending: queue.pending ?? 0,
    lag: queue.lag ?? 0,
    lastConsume: moment(queue.lastConsumeMs ?? 0),
    clients: queue.clientIds ?? [],
  };
}
