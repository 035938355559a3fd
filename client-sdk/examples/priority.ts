// Messages with a priority: the higher one comes first, among those that wait.
//
//   mqadmin updateTopic -n 127.0.0.1:9876 -c DefaultCluster -t priority-example -a +message.type=PRIORITY
//   npx tsx client-sdk/examples/priority.ts 127.0.0.1:8081
import { Producer, SimpleConsumer } from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "priority-example";

await using producer = new Producer({ endpoints, topics: [topic] });
await producer.startup();

// 0 is the lowest. Within one priority, messages come in the order in which they were sent.
await producer.send({ topic, body: Buffer.from("send the newsletter"), priority: 0 });
await producer.send({ topic, body: Buffer.from("confirm an order"), priority: 5 });
await producer.send({ topic, body: Buffer.from("confirm another order"), priority: 5 });
await producer.send({ topic, body: Buffer.from("reset a password"), priority: 10 });

await using consumer = new SimpleConsumer({
  endpoints,
  consumerGroup: "priority-example-group",
  subscriptions: new Map([[topic, "*"]]),
});
await consumer.startup();

// What is taken one by one is always the most urgent of what waits then.
for (let count = 0; count < 4; count++) {
  const [message] = await consumer.receive(1, 30_000);
  if (message === undefined) throw new Error("nothing came");
  console.log(`priority ${message.priority}: ${message.body.toString()}`);
  await consumer.ack(message);
}
