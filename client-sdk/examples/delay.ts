// Delayed messages: each comes when its time has come, unless it is recalled before.
//
//   mqadmin updateTopic -n 127.0.0.1:9876 -c DefaultCluster -t delay-example -a +message.type=DELAY
//   npx tsx client-sdk/examples/delay.ts 127.0.0.1:8081
import { ClientError, Producer, SimpleConsumer } from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "delay-example";

await using producer = new Producer({ endpoints, topics: [topic] });
await producer.startup();

// At a moment, to the millisecond. `delay: 1_500` says the same from now on.
const dueAt = new Date(Date.now() + 1_500);
await producer.send({ topic, body: Buffer.from("remind me"), deliveryTimestamp: dueAt });

// Years ahead are fine. Until then the receipt is the right to call it back.
const inAYear = new Date(Date.now() + 365 * 86_400_000);
const receipt = await producer.send({
  topic,
  body: Buffer.from("never mind"),
  deliveryTimestamp: inAYear,
});
await producer.recall(topic, receipt.recallHandle);
console.log(`recalled ${receipt.messageId}`);

try {
  await producer.recall(topic, receipt.recallHandle);
} catch (error) {
  if (!(error instanceof ClientError)) throw error;
  console.log(`a second time: ${error.code}`);
}

await using consumer = new SimpleConsumer({
  endpoints,
  consumerGroup: "delay-example-group",
  subscriptions: new Map([[topic, "*"]]),
});
await consumer.startup();
const [message] = await consumer.receive(1, 30_000);
if (message === undefined) throw new Error("nothing came");
const lateMs = Date.now() - dueAt.getTime();
console.log(`received "${message.body.toString()}" ${lateMs} ms after its time`);
await consumer.ack(message);
