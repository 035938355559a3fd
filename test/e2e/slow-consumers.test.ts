// Consumers that are slow, dead, or never acknowledge cost the others nothing, and the broker no more than its bounds.
import assert from "node:assert/strict";
import { Producer, SimpleConsumer } from "@cometmq/client";
import { brokerAdminService, messagingService } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { RawClient, type Received } from "./raw-client.ts";

const ok = 20_000;
const tooManyRequests = 42_900;
const pendingMax = 50;
const count = 300;

describe("beside a consumer that does not keep up", () => {
  let broker: BrokerFixture;
  let client: RawClient;
  before(async () => {
    broker = await startBroker({
      popInflightMessageThreshold: String(pendingMax),
      timerPendingMax: "5",
      transactionHalfMax: "5",
      transactionTimeOut: "1h",
    });
    client = new RawClient(broker.endpoints);
  });
  after(async () => {
    client.close();
    await broker.close();
  });

  async function makeTopic(name: string, messageType = "NORMAL"): Promise<void> {
    const { UpdateTopic } = brokerAdminService.methods;
    await client.call(UpdateTopic, { name, messageType, readQueues: 1, writeQueues: 1 });
  }

  async function send(topic: string): Promise<void> {
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const bodies = Array.from({ length: count }, (_, index) => Buffer.from(`message ${index}`));
    await Promise.all(bodies.map((body) => producer.send({ topic, body })));
  }

  /** Receives and acknowledges in `group` until it has all. */
  async function consumeAll(topic: string, group: string): Promise<number> {
    await using consumer = await started(topic, group);
    const seen = new Set<string>();
    while (seen.size < count) {
      const messages = await consumer.receive(32, 30_000);
      assert.notEqual(messages.length, 0, `${group} got ${seen.size} and no more`);
      for (const message of messages) seen.add(message.messageId);
      await Promise.all(messages.map((message) => consumer.ack(message)));
    }
    return seen.size;
  }

  async function started(topic: string, group: string): Promise<SimpleConsumer> {
    const consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: group,
      subscriptions: new Map([[topic, "*"]]),
      awaitDuration: 10_000,
    });
    await consumer.startup();
    return consumer;
  }

  function receiveOnce(topic: string, group: string, batchSize = 32): Promise<Received> {
    const wish = {
      group: { name: group },
      messageQueue: { topic: { name: topic }, id: 0 },
      filterExpression: { type: 1, expression: "*" },
      batchSize,
      invisibleDuration: { seconds: 300 },
      autoRenew: false,
    };
    return client.receive(wish, 5_000).done;
  }

  /** The value of a metric whose labels include these. */
  async function metric(name: string, labels: string): Promise<number> {
    const page = await broker.broker.metrics.text();
    const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`));
    return Number(
      lines
        .find((line) => line.includes(labels))
        ?.split(" ")
        .at(-1),
    );
  }

  it("that never acknowledges, other groups get everything, and it gets no more than its bound", async () => {
    await makeTopic("never");
    await send("never");
    let taken = 0;
    while (taken < pendingMax) taken += (await receiveOnce("never", "takers")).messages.length;
    assert.equal(taken, pendingMax);
    const refused = receiveOnce("never", "takers");
    assert.equal(await consumeAll("never", "workers"), count);
    const labels = 'topic="never",consumer_group="takers"';
    assert.equal(await metric("rocketmq_consumer_inflight_messages", labels), pendingMax);
    // It was held for as long as the client waits for messages.
    const { code, text } = await refused;
    assert.equal(code, tooManyRequests);
    assert.match(text, /"takers" has 50 messages .*not acknowledged.*popInflightMessageThreshold/);
    assert.equal(await metric("cometmq_refused_total", 'bound="popInflightMessageThreshold"'), 1);
  });

  it("that dies with messages in hand, the others of its group get the rest", async () => {
    await makeTopic("dead");
    await send("dead");
    const { messages } = await receiveOnce("dead", "partners", 20);
    assert.equal(messages.length, 20);
    await using consumer = await started("dead", "partners");
    const seen = new Set<string>();
    while (seen.size < count - messages.length) {
      for (const message of await consumer.receive(32, 30_000)) {
        seen.add(message.messageId);
        await consumer.ack(message);
      }
    }
    assert.ok(
      messages.every(({ systemProperties }) => !seen.has(systemProperties?.messageId ?? "")),
    );
  });

  for (const [kind, bound, extras] of [
    ["DELAY", "timerPendingMax", { messageType: 3, deliveryTimestamp: { seconds: 4_000_000_000 } }],
    ["TRANSACTION", "transactionHalfMax", { messageType: 4 }],
  ] as const) {
    it(`with ${bound} messages that wait, ${kind} is refused and NORMAL is not`, async () => {
      const topic = `held-${kind}`;
      await makeTopic(topic, kind);
      await makeTopic(`${topic}-beside`);
      const sendOne = async (
        to: string,
        system: object,
        index: number,
      ): Promise<[number, string]> => {
        const systemProperties = { messageId: `${to}-${index}`, bodyEncoding: 1, ...system };
        const messages = [{ topic: { name: to }, systemProperties, body: Buffer.from("x") }];
        const { status } = await client.call(messagingService.methods.SendMessage, { messages });
        return [status?.code ?? 0, status?.message ?? ""];
      };
      for (let index = 0; index < 5; index++) {
        assert.deepEqual(await sendOne(topic, extras, index), [ok, "OK"]);
      }
      const [code, text] = await sendOne(topic, extras, 5);
      assert.equal(code, tooManyRequests);
      assert.match(text, new RegExp(`at most 5 .*${bound}`));
      assert.equal(await metric("cometmq_refused_total", `bound="${bound}"`), 1);
      assert.deepEqual(await sendOne(`${topic}-beside`, { messageType: 1 }, 0), [ok, "OK"]);
    });
  }
});
