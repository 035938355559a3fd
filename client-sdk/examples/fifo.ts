// Orders of several customers: those of one customer are handled one after the other, also when one fails at first, and
// nobody waits for another customer.
//
//   mqadmin updateTopic -n 127.0.0.1:9876 -c DefaultCluster -t fifo-example -a +message.type=FIFO
//   npx tsx client-sdk/examples/fifo.ts 127.0.0.1:8081
import { ConsumeResult, type MessageView, Producer, PushConsumer } from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "fifo-example";

await using producer = new Producer({ endpoints, topics: [topic] });
await producer.startup();

// The message group says what keeps its order. The calls of `send` count, not when they are answered.
await Promise.all(
  ["anna", "bert"].flatMap((customer) =>
    ["ordered", "paid", "shipped"].map((event) =>
      producer.send({ topic, body: Buffer.from(event), messageGroup: customer }),
    ),
  ),
);

const done: string[] = [];
let finished = (): void => {};
const allDone = new Promise<void>((resolve) => {
  finished = resolve;
});

/** Fails for the first payment of Anna: her shipment waits for the second attempt, and Bert does not. */
async function consume(message: MessageView): Promise<ConsumeResult> {
  const event = `${message.messageGroup} ${message.body.toString()}`;
  if (event === "anna paid" && message.deliveryAttempt === 1) {
    console.log(`failed: ${event}`);
    return ConsumeResult.FAILURE;
  }
  console.log(`done: ${event}`);
  if (done.push(event) === 6) finished();
  return ConsumeResult.SUCCESS;
}

// A group that is made by its first consumer consumes in order, since its only topic is of type FIFO.
await using consumer = new PushConsumer({
  endpoints,
  consumerGroup: "fifo-example-group",
  subscriptions: new Map([[topic, "*"]]),
  messageListener: { consume },
});
await consumer.startup();
await allDone;
