// Lite topics: many cheap topics below one, here a session each. A consumer subscribes to the sessions that it serves, and
// gets their messages in order and nothing of the others.
//
//   npx tsx client-sdk/examples/lite.ts 127.0.0.1:8081
import {
  ConsumeResult,
  LitePushConsumer,
  LiteSimpleConsumer,
  OffsetOption,
  Producer,
} from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
// Made with: bin/mqadmin updateTopic -n HOST:9876 -t lite-example -b HOST:8081 -a +message.type=LITE
const bindTopic = "lite-example";

await using producer = new Producer({ endpoints, topics: [bindTopic] });
await producer.startup();

const seen: string[] = [];
await using consumer = new LitePushConsumer({
  endpoints,
  consumerGroup: "lite-example-group",
  bindTopic,
  messageListener: {
    consume: async ({ liteTopic, body }) => {
      seen.push(`${liteTopic}: ${body.toString()}`);
      return ConsumeResult.SUCCESS;
    },
  },
});
await consumer.startup();
await consumer.subscribeLite("session 1");

for (const text of ["hello", "how are you?"]) {
  for (const liteTopic of ["session 1", "session 2"]) {
    await producer.send({ topic: bindTopic, liteTopic, body: Buffer.from(text) });
  }
}
while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
console.log(seen.join("\n"));

// Another group reads the last message of a session, and asks for it itself.
await using reader = new LiteSimpleConsumer({
  endpoints,
  consumerGroup: "lite-example-readers",
  bindTopic,
  awaitDuration: 5_000,
});
await reader.startup();
await reader.subscribeLite("session 2", { offsetOption: OffsetOption.ofTailN(1) });
for (const message of await reader.receive()) {
  console.log(`the last one of ${message.liteTopic}: ${message.body.toString()}`);
  await reader.ack(message);
}
