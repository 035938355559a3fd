// consumerStatus: what each consumer of a group wants, which queues it reads, and whether they agree.
import type { cometmq } from "@cometmq/proto";
import { type ShownClient, shownClient } from "../clients.ts";
import { type Command, groupFlag } from "../command.ts";
import { CommandFailure } from "../failure.ts";

export const consumerStatus: Command = {
  name: "consumerStatus",
  summary:
    "show each consumer of a group: what it subscribes to, what it reads, and what waits there",
  flags: {
    consumerGroup: { ...groupFlag["groupName"], type: "string", about: "consumer group" },
    clientId: { short: "i", type: "string", value: "ID", about: "only this client" },
    brokerAddr: { short: "b", type: "string", value: "HOST:PORT", about: "ask only this broker" },
    jstack: {
      short: "s",
      type: "boolean",
      about: "accepted for compatibility: clients are not asked for their stacks",
    },
  },
  async run(flags, session) {
    const group = flags.required("consumerGroup");
    const only = flags.text("clientId");
    const found = new Map<string, Consumer>();
    const queues: BrokerQueue[] = [];
    for (const { name: told, address } of await session.masters(flags)) {
      const { GetBrokerStatus, GetConsumerConnection, GetConsumerProgress } = session.admin;
      // By its address alone a broker has no name yet, and queues are known by that.
      const name =
        told === address ? (await session.call(address, GetBrokerStatus, {})).brokerName : told;
      const answer = await session.call(address, GetConsumerConnection, { group }, [groupNotFound]);
      for (const client of answer.clients ?? []) note(found, name, client);
      const progress = await session.call(address, GetConsumerProgress, { group }, [groupNotFound]);
      for (const queue of progress.queues ?? []) queues.push({ broker: name, queue });
    }
    const consumers = [...found.values()]
      .filter(({ client }) => only === undefined || client.clientId === only)
      .map((consumer) => shownConsumer(consumer, queues));
    if (consumers.length === 0) {
      const who = only === undefined ? "no consumer" : `no consumer ${only}`;
      throw new CommandFailure(`${who} of group ${group} is connected`);
    }
    const wishes = new Set([...found.values()].map(({ client }) => client.uses));
    const agree = wishes.size === 1;
    return {
      json: { group, subscriptionsAgree: agree, consumers },
      lines: [
        agree
          ? `${consumers.length} consumers of ${group}`
          : `The consumers of ${group} subscribe differently: each of them is served by its own.`,
      ],
      table: {
        columns: [
          "Client",
          "Type",
          "Version",
          "Subscriptions",
          "Reads",
          "Lag",
          "Pending",
          "Brokers",
        ],
        rows: consumers.map((consumer) => [
          consumer.clientId,
          consumer.type,
          consumer.version,
          consumer.subscriptions,
          consumer.reads.join(","),
          consumer.lag,
          consumer.pending,
          consumer.brokers.join(","),
        ]),
      },
    };
  },
};

const groupNotFound = 40_403;

/** How far the group is on one queue of a broker. */
interface BrokerQueue {
  readonly broker: string;
  readonly queue: cometmq.v1.QueueProgress;
}

/** A consumer as all brokers together know it. */
interface Consumer {
  readonly client: ShownClient;
  readonly brokers: string[];
  /** Queues that it was given to read, `topic broker/queue`. */
  readonly reads: Set<string>;
}

function note(
  found: Map<string, Consumer>,
  broker: string,
  client: cometmq.v1.ConnectedClient,
): void {
  const shown = shownClient(broker, client);
  const known = found.get(shown.clientId) ?? { client: shown, brokers: [], reads: new Set() };
  found.set(shown.clientId, known);
  known.brokers.push(broker);
  for (const { topic, brokerName, queueId } of client.reads) {
    known.reads.add(`${topic} ${brokerName}/${queueId}`);
  }
}

function shownConsumer({ client, brokers, reads }: Consumer, queues: readonly BrokerQueue[]) {
  // Who pulls reads what it was given; who receives is served from all queues of its topics.
  const own = queues.filter(({ broker, queue: { topic, queueId, clientIds } }) =>
    reads.size > 0
      ? reads.has(`${topic} ${broker}/${queueId}`)
      : clientIds.includes(client.clientId),
  );
  return {
    clientId: client.clientId,
    type: client.type,
    address: client.address,
    language: client.language,
    version: client.version,
    subscriptions: client.uses,
    lastHeartbeat: client.lastHeartbeat,
    brokers,
    reads: [...reads].sort(),
    lag: own.reduce((sum, { queue }) => sum + queue.lag, 0),
    pending: own.reduce((sum, { queue }) => sum + queue.pending, 0),
  };
}
