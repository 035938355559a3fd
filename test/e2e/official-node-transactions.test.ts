// Transactions with the published Node.js client of Apache RocketMQ, unchanged, against a broker of ours.
import assert from "node:assert/strict";
import { type ILogger, type MessageView, Producer, SimpleConsumer } from "rocketmq-client-nodejs";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const quiet: ILogger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
const topic = "transactions";
/** As the client's protobuf has them; it does not export the names. */
const [unknown, commit, rollback] = [0, 1, 2] as const;

describe("transactions with the official Node.js client", function () {
  this.timeout(60_000);
  let fixture: BrokerFixture;
  let clients: { shutdown(): Promise<void> }[] = [];
  let asked: MessageView[] = [];
  let answer: (message: MessageView) => number = () => unknown;

  beforeEach(async () => {
    fixture = await startBroker({ transactionTimeOut: "500", transactionCheckInterval: "1000" });
    const admin = new RawClient(fixture.endpoints);
    const wish = { name: topic, messageType: "TRANSACTION" };
    const made = await admin.call(brokerAdminService.methods.UpdateTopic, wish);
    assert.equal(made.status?.code, 20_000, made.status?.message);
    admin.close();
    asked = [];
    answer = () => unknown;
  });

  afterEach(async () => {
    await Promise.all(clients.map((client) => client.shutdown()));
    clients = [];
    await fixture.close();
  });

  function options(): { endpoints: string; namespace: string; logger: ILogger } {
    return { endpoints: fixture.endpoints, namespace: "", logger: quiet };
  }

  async function startProducer(): Promise<Producer> {
    const check = async (message: MessageView): Promise<number> => {
      asked.push(message);
      return answer(message);
    };
    const producer = new Producer({ ...options(), topics: [topic], checker: { check } });
    await producer.startup();
    clients.push(producer);
    return producer;
  }

  async function startConsumer(): Promise<SimpleConsumer> {
    const consumer = new SimpleConsumer({
      ...options(),
      consumerGroup: "readers",
      subscriptions: new Map([[topic, "*"]]),
      awaitDuration: 5_000,
    });
    await consumer.startup();
    clients.push(consumer);
    return consumer;
  }

  async function receive(consumer: SimpleConsumer, count: number): Promise<string[]> {
    const texts: string[] = [];
    for (let turn = 0; turn < 20 && texts.length < count; turn++) {
      for (const message of await consumer.receive(16, 30_000)) {
        texts.push(message.body.toString());
        await consumer.ack(message);
      }
    }
    return texts.toSorted();
  }

  it("come when they are committed, and not when they are rolled back", async () => {
    const producer = await startProducer();
    const consumer = await startConsumer();
    const [bad, good] = [producer.beginTransaction(), producer.beginTransaction()];
    await producer.send({ topic, body: Buffer.from("bad") }, bad);
    const receipt = await producer.send({ topic, tag: "a", body: Buffer.from("good") }, good);
    assert.notEqual(receipt.transactionId, "");
    await bad.rollback();
    await good.commit();
    await good.commit();
    await assert.rejects(good.rollback());
    assert.deepEqual(await receive(consumer, 1), ["good"]);
    assert.equal(asked.length, 0);
  });

  it("are settled by its checker when nobody has settled them", async () => {
    const producer = await startProducer();
    const consumer = await startConsumer();
    const properties = new Map([["of", "order"]]);
    for (const text of ["good", "bad"]) {
      const body = Buffer.from(text);
      await producer.send({ topic, keys: ["k"], properties, body }, producer.beginTransaction());
    }
    await until("the first questions", () => asked.length >= 2, 10_000);
    answer = ({ body }) => (body.toString() === "good" ? commit : rollback);
    assert.deepEqual(await receive(consumer, 1), ["good"]);
    assert.ok(asked.every((message) => message.properties.get("of") === "order"));
    assert.ok(asked.every(({ keys, corrupted }) => keys[0] === "k" && !corrupted));
    let text = "";
    const look = async (): Promise<void> => {
      text = await fixture.broker.metrics.text();
    };
    await until("the end of both", () => {
      void look();
      return /rocketmq_rollback_messages_total\{[^}]*\} 1/.test(text);
    });
  });
});
