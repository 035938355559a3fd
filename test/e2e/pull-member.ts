// A member of a group that pulls, as a process of its own, to be killed: says on standard output which queues it reads,
// and which messages it has got. Arguments: endpoints, group, topic.
import { PullConsumer, type TopicQueue } from "@cometmq/client";

const [endpoints = "", consumerGroup = "", topic = ""] = process.argv.slice(2);

function say(what: string, queues: readonly TopicQueue[]): void {
  const names = queues.map(({ brokerName, queueId }) => `${brokerName}/${queueId}`);
  process.stdout.write(`${what} ${names.join(" ")}\n`);
}

const consumer = new PullConsumer({
  endpoints,
  consumerGroup,
  subscriptions: new Map([[topic, "*"]]),
  autoCommitInterval: 100,
  assignmentListener: {
    assigned: (queues) => say("assigned", queues),
    revoked: (queues) => say("revoked", queues),
  },
});
await consumer.startup();
process.stdout.write("ready\n");
for await (const message of consumer) process.stdout.write(`got ${message.messageId}\n`);
