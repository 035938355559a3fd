// SQL filter: a consumer gets the messages for which a condition over their properties is true, and no others.
//
//   npx tsx client-sdk/examples/sql-filter.ts 127.0.0.1:8081
import {
  ClientError,
  FilterExpression,
  FilterType,
  Producer,
  SimpleConsumer,
} from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "sql-filter-example";

await using producer = new Producer({ endpoints, topics: [topic] });
await producer.startup();
for (const [region, amount] of [
  ["eu", "250"],
  ["us", "990"],
  ["eu", "1200"],
] as const) {
  const properties = new Map([
    ["region", region],
    ["amount", amount],
  ]);
  await producer.send({
    topic,
    tag: "order",
    body: Buffer.from(`${region} ${amount}`),
    properties,
  });
}

// Properties are texts; amount is compared as a number. The tag of a message is its property TAGS.
const largeHere = "region = 'eu' AND amount > 1000 AND TAGS = 'order'";
const consumerGroup = "sql-filter-example-group";
await using consumer = new SimpleConsumer({
  endpoints,
  consumerGroup,
  subscriptions: new Map([[topic, new FilterExpression(largeHere, FilterType.SQL)]]),
});
await consumer.startup();
const [message] = await consumer.receive(10, 30_000);
if (message === undefined) throw new Error("nothing came");
console.log(`received "${message.body.toString()}"`);
await consumer.ack(message);

// What cannot be understood is refused at the start, with the place.
const wrong = new SimpleConsumer({
  endpoints,
  consumerGroup,
  subscriptions: new Map([[topic, new FilterExpression("amount > '1000'", FilterType.SQL)]]),
});
try {
  await wrong.startup();
} catch (error) {
  if (!(error instanceof ClientError)) throw error;
  console.log(`refused: ${error.message}`);
}
