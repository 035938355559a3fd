// Broadcast: every instance gets every message, as programs want it that hold a copy of something. Two of them here, which
// keep their positions in different places.
//
//   npx tsx client-sdk/examples/broadcast.ts 127.0.0.1:8081
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BroadcastConsumer, Producer } from "@cometmq/client";

const endpoints = process.argv[2] ?? "127.0.0.1:8081";
const topic = "broadcast-example";
const prices = ["tea 3.20", "milk 1.10", "tea 3.40"];

const folder = await mkdtemp(join(tmpdir(), "broadcast-example-"));
const common = {
  endpoints,
  consumerGroup: "price-caches",
  subscriptions: new Map([[topic, "*"]]),
  // An instance that is new wants all prices; without this it would begin with those that come.
  initialPosition: "beginning",
} as const;
const instances = {
  // One that has a name: its positions are with the brokers.
  north: new BroadcastConsumer({ ...common, clientName: "north" }),
  // One that has a disk: its positions are in a file of its own.
  south: new BroadcastConsumer({ ...common, positionFile: join(folder, "positions.json") }),
};

await using producer = new Producer({ endpoints, topics: [topic] });
await producer.startup();

/** Keeps the newest price of each article. */
async function cache(name: string, consumer: BroadcastConsumer): Promise<void> {
  await consumer.startup();
  const newest = new Map<string, string>();
  let seen = 0;
  for await (const message of consumer) {
    const [article = "", price = ""] = message.body.toString().split(" ");
    newest.set(article, price);
    seen++;
    if (seen === prices.length) break;
  }
  // Stores that all of it is done with.
  await consumer.shutdown();
  console.log(`${name} has seen ${seen} prices of ${newest.size} articles`);
}

for (const price of prices) await producer.send({ topic, body: Buffer.from(price) });
await Promise.all(Object.entries(instances).map(([name, consumer]) => cache(name, consumer)));
await rm(folder, { recursive: true });
