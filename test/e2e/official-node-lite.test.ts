// Lite topics with the published Node.js client of Apache RocketMQ, unchanged, against a broker of ours.
import assert from "node:assert/strict";
import {
  ConsumeResult,
  type ILogger,
  type LitePushConsumer,
  LitePushConsumerBuilder,
  type MessageView,
  OffsetOption,
  Producer,
} from "rocketmq-client-nodejs";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const quiet: ILogger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
const topic = "sessions";

describe("lite topics with the official Node.js client", function () {
  this.timeout(60_000);
  let fixture: BrokerFixture;
  let producer: Producer;
  const consumers: LitePushConsumer[] = [];

  before(async () => {
    fixture = await startBroker();
    const admin = new RawClient(fixture.endpoints);
    const wish = { name: topic, messageType: "LITE" };
    const { status } = await admin.call(brokerAdminService.methods.UpdateTopic, wish);
    assert.equal(status?.code, 20_000, status?.message);
    admin.close();
    producer = new Producer({ ...options(), topics: [topic] });
    await producer.startup();
  });

  after(async () => {
    const closed = consumers.map((consumer) => consumer.close());
    // The client's close waits for its held poll: one more message ends that.
    await send("other", "the last one");
    await Promise.all(closed);
    await producer.shutdown();
    await fixture.close();
  });

  function options(): { endpoints: string; namespace: string; logger: ILogger } {
    return { endpoints: fixture.endpoints, namespace: "", logger: quiet };
  }

  async function send(liteTopic: string, text: string): Promise<void> {
    await producer.send({ topic, liteTopic, body: Buffer.from(text) });
  }

  async function consume(
    group: string,
    listener: (message: MessageView) => ConsumeResult,
  ): Promise<LitePushConsumer> {
    const consumer = await new LitePushConsumerBuilder()
      .setClientConfiguration(options())
      .setConsumerGroup(group)
      .bindTopic(topic)
      .setMessageListener({ consume: async (message) => listener(message) })
      .build();
    consumers.push(consumer);
    return consumer;
  }

  it("come to the consumer that subscribes to them, in order, again after a failure", async () => {
    const seen: string[] = [];
    const consumer = await consume("readers", ({ liteTopic, body, deliveryAttempt }) => {
      const text = `${liteTopic} ${body.toString()} ${deliveryAttempt}`;
      seen.push(text);
      return text === "one b 1" ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    });
    await consumer.subscribeLite("one");
    for (const text of ["a", "b", "c"]) {
      await send("one", text);
      await send("other", text);
    }
    await until("all of them", () => seen.length === 4, 20_000);
    assert.deepEqual(seen, ["one a 1", "one b 1", "one b 2", "one c 1"]);
    await consumer.unsubscribeLite("one");
    await consumer.subscribeLite("other", OffsetOption.ofTailN(1));
    await until("the last one of another lite topic", () => seen.length === 5, 20_000);
    assert.equal(seen[4], "other c 1");
  });
});
