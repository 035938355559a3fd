// Pull: the program reads queues by offset, as its share in a group, and says itself how far it is; then it goes back to
// where it was told to and reads that part again.
//
//   npx tsx client-sdk/examples/pull.ts 127.0.0.1:8081
import { Producer, PullConsumer } from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "pull-example";
const count = 20;

await using producer = new Producer({ endpoints, topics: [topic] });
await producer.startup();
const startOfDay = new Date();
for (let index = 0; index < count; index++) {
  await producer.send({ topic, body: Buffer.from(`reading ${index}`) });
}

await using consumer = new PullConsumer({
  endpoints,
  consumerGroup: "pull-example-group",
  subscriptions: new Map([[topic, "*"]]),
  // Positions are stored when the program says so, and not before.
  autoCommit: false,
  assignmentListener: {
    assigned: (queues) => console.log(`reads ${queues.length} queues`),
    revoked: (queues) => console.log(`gives ${queues.length} queues to others`),
  },
});
await consumer.startup();

/** Polls until all have come, and stores that. */
async function readAll(): Promise<number> {
  let seen = 0;
  while (seen < count) {
    const messages = await consumer.poll({ maxMessageNum: 10, timeout: 5_000 });
    seen += messages.length;
    // What a program makes of the messages comes here. Then they are done with:
    await consumer.commit();
  }
  return seen;
}

console.log(`read ${await readAll()} messages`);

// Once more from a moment on: every queue goes back to its first message of the day.
for (const queue of consumer.assignment()) await consumer.seek(queue, startOfDay);
console.log(`read ${await readAll()} messages again`);

const [queue] = consumer.assignment();
if (queue === undefined) throw new Error("no queue is read");
const place = `queue ${queue.queueId} of ${queue.brokerName}`;
console.log(`${place} is read up to ${await consumer.committed(queue)}`);
