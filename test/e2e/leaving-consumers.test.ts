// A consumer that leaves keeps nothing from the others: what it has not worked on comes to them at once.
import assert from "node:assert/strict";
import { ConsumeResult, Producer, PushConsumer, SimpleConsumer } from "@cometmq/client";
import { messagingService } from "@cometmq/proto";
import { startBroker, type TestBroker } from "../../testing/index.ts";
import { RawClient } from "./raw-client.ts";
import { receive, route, send } from "./sending.ts";
import { until } from "./waiting.ts";

describe("a consumer that leaves", () => {
  let broker: TestBroker;
  before(async () => {
    broker = await startBroker();
  });
  after(() => broker.close());

  async function sendBodies(topic: string, count: number): Promise<void> {
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    for (let index = 0; index < count; index++) {
      await producer.send({ topic, body: Buffer.from(`${index}`), keys: [`${index}`] });
    }
  }

  async function simple(topic: string, group: string): Promise<SimpleConsumer> {
    const consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: group,
      subscriptions: new Map([[topic, "*"]]),
      awaitDuration: 5_000,
    });
    await consumer.startup();
    return consumer;
  }

  it("by push gives what its listener has not begun with to others while it finishes the rest", async () => {
    await sendBodies("push", 10);
    let finish: () => void = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const begun: string[] = [];
    const leaver = new PushConsumer({
      endpoints: broker.endpoints,
      consumerGroup: "push",
      subscriptions: new Map([["push", "*"]]),
      concurrency: 1,
      messageListener: {
        consume: async (message) => {
          begun.push(message.body.toString());
          await finished;
          return ConsumeResult.SUCCESS;
        },
      },
    });
    await leaver.startup();
    await until("all messages to be out", async () => (await inFlight("push")) === 10);
    // It asks for more when it has them.
    await until("the next poll to be held", async () => (await metric("cometmq_held_polls")) === 1);
    const left = leaver.shutdown();
    await using other = await simple("push", "push");
    const seen = new Set<string>();
    while (seen.size < 9) {
      for (const message of await other.receive(10, 60_000)) {
        seen.add(message.body.toString());
        await other.ack(message);
      }
    }
    assert.equal(begun.length, 1);
    assert.ok(!seen.has(begun[0] ?? ""));
    finish();
    await left;
    await until("everything to be settled", async () => (await inFlight("push")) === 0);
  });

  it("in the middle of an iteration gives what was not handed out to others", async () => {
    await sendBodies("loop", 10);
    const leaver = await simple("loop", "loop");
    const seen: string[] = [];
    for await (const message of leaver.messages({ invisibleDuration: 600_000 })) {
      seen.push(message.body.toString());
      await leaver.ack(message);
      if (seen.length === 2) await leaver.shutdown();
    }
    assert.equal(seen.length, 2);
    await using other = await simple("loop", "loop");
    const rest = new Set<string>();
    while (rest.size < 8) {
      for (const message of await other.receive(10, 60_000)) rest.add(message.body.toString());
    }
    assert.ok(seen.every((body) => !rest.has(body)));
  });

  it("without a word more has its held poll ended, which takes no message any more", async () => {
    const client = new RawClient(broker.endpoints, "leaver@1");
    await route(client, "polled");
    const poll = client.receive({
      group: { name: "polled" },
      messageQueue: { topic: { name: "polled" }, id: 0 },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 10,
      autoRenew: true,
      longPollingTimeout: { seconds: 20 },
    });
    await until("the poll to be held", async () => (await metric("cometmq_held_polls")) === 1);
    const { NotifyClientTermination } = messagingService.methods;
    await client.call(NotifyClientTermination, { group: { name: "polled" } });
    assert.deepEqual((await poll.done).messages, []);
    assert.equal(await metric("cometmq_held_polls"), 0);
    const other = new RawClient(broker.endpoints, "stayer@1");
    await send(other, "polled", "for who stays");
    assert.deepEqual(await receive(other, "polled", "polled"), ["for who stays"]);
    client.close();
    other.close();
  });

  /** The value of a metric whose labels include these. */
  async function metric(name: string, labels = ""): Promise<number> {
    const page = await (await fetch(`http://${broker.metricsAddress}/metrics`)).text();
    const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`));
    return Number(
      lines
        .find((line) => line.includes(labels))
        ?.split(" ")
        .at(-1),
    );
  }

  function inFlight(name: string): Promise<number> {
    const labels = `topic="${name}",consumer_group="${name}"`;
    return metric("rocketmq_consumer_inflight_messages", labels);
  }
});
