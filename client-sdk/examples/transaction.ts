// Orders that are booked in a database and announced in a message: both happen, or neither does, also when this program
// dies in between. Needs a topic for transactions:
//   bin/mqadmin updateTopic -n 127.0.0.1:9876 -c DefaultCluster -t order-events -a +message.type=TRANSACTION
// Run with the address of a broker or NameServer: node --import tsx client-sdk/examples/transaction.ts 127.0.0.1:8081
import {
  type MessageView,
  Producer,
  SimpleConsumer,
  type TransactionChecker,
  TransactionResolution,
} from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "order-events";

/** Stands for the database: what is in here is booked. */
const booked = new Set<string>();

// Asked when nobody has said how a transaction ended: the database knows.
const checker: TransactionChecker = {
  check(message: MessageView) {
    const order = message.body.toString();
    const isBooked = booked.has(order);
    console.log(`asked about ${order}: ${isBooked ? "booked" : "not booked"}`);
    return isBooked ? TransactionResolution.COMMIT : TransactionResolution.ROLLBACK;
  },
};

await using consumer = new SimpleConsumer({
  endpoints,
  consumerGroup: "order-readers",
  subscriptions: new Map([[topic, "*"]]),
});
await using producer = new Producer({ endpoints, topics: [topic], checker });
await Promise.all([consumer.startup(), producer.startup()]);

/** Announces an order, books it, and lets the announcement go. */
async function place(order: string, end: "booked" | "refused" | "forgotten"): Promise<void> {
  const transaction = producer.beginTransaction();
  await producer.send({ topic, body: Buffer.from(order) }, transaction);
  if (end === "refused") return await transaction.rollback();
  booked.add(order);
  // A program that dies here has booked the order: the checker tells.
  if (end === "booked") await transaction.commit();
}

await place("order-1", "booked");
await place("order-2", "refused");
await place("order-3", "forgotten");

const seen = new Set<string>();
for await (const message of consumer) {
  const order = message.body.toString();
  console.log(`received ${order}`);
  await consumer.ack(message);
  seen.add(order);
  if (seen.size === booked.size) break;
}
