// Topics of priorities as clients and operators meet them: retries and dead letters, the SDK's consumers, offsets, and what
// such a topic refuses.
import assert from "node:assert/strict";
import {
  BroadcastConsumer,
  ConsumeResult,
  Producer,
  PullConsumer,
  PushConsumer,
  SimpleConsumer,
} from "@cometmq/client";
import { brokerAdminService, Code } from "@cometmq/proto";
import { startBroker, type TestBroker } from "../../testing/index.ts";
import { RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const {
  DeleteTopic,
  GetConsumerProgress,
  GetTopicStatus,
  ResetGroupOffset,
  UpdateGroup,
  UpdateTopic,
} = brokerAdminService.methods;

describe("topics of priorities", function () {
  this.timeout(60_000);
  let broker: TestBroker;
  let operator: RawClient;

  before(async () => {
    broker = await startBroker();
    operator = new RawClient(broker.endpoints);
  });

  after(async () => {
    operator.close();
    await broker.close();
  });

  /** Makes the topic with one queue, and sends to it. */
  async function send(topic: string, ...priorities: number[]): Promise<void> {
    const wish = { name: topic, messageType: "PRIORITY", readQueues: 1, writeQueues: 1 };
    const { status } = await operator.call(UpdateTopic, wish);
    assert.equal(status?.code, Code.OK, status?.message);
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    await Promise.all(
      priorities.map((priority) => producer.send({ topic, priority, body: Buffer.from("x") })),
    );
  }

  function simple(topic: string): SimpleConsumer {
    return new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: `${topic}-group`,
      subscriptions: new Map([[topic, "*"]]),
    });
  }

  /** The priorities of the next messages, taken and acknowledged one by one. */
  async function take(consumer: SimpleConsumer, count: number): Promise<unknown[]> {
    const got: unknown[] = [];
    while (got.length < count) {
      for (const message of await consumer.receive(1, 60_000)) {
        got.push(message.priority);
        await consumer.ack(message);
      }
    }
    return got;
  }

  it("gives what has failed again before what is lower, and after what is higher", async () => {
    await send("failing", 3, 5, 9);
    await using consumer = simple("failing");
    await consumer.startup();
    assert.deepEqual(await take(consumer, 1), [9]);
    const [failed] = await consumer.receive(1, 60_000);
    assert.equal(failed?.priority, 5);
    await consumer.changeInvisibleDuration(failed, 1_000);
    const invisibleUntilMs = Date.now() + 1_100;
    await until("it is visible again", () => Date.now() > invisibleUntilMs, 5_000);
    await send("failing", 7);
    assert.deepEqual(await take(consumer, 3), [7, 5, 3]);
  });

  it("keeps the priority of a dead letter", async () => {
    const name = "dying-group";
    await operator.call(UpdateGroup, { name, retryMaxTimes: 0 });
    await send("dying", 200);
    const consumer = new PushConsumer({
      endpoints: broker.endpoints,
      consumerGroup: name,
      subscriptions: new Map([["dying", "*"]]),
      messageListener: { consume: async () => ConsumeResult.FAILURE },
    });
    await consumer.startup();
    const isDead = async (): Promise<boolean> =>
      (await operator.call(GetTopicStatus, { name: `%DLQ%${name}` })).status?.code === Code.OK;
    await until("it is dead", isDead);
    await using undertaker = simple(`%DLQ%${name}`);
    await undertaker.startup();
    assert.deepEqual(await take(undertaker, 1), [200]);
    await consumer.shutdown();
  });

  it("shows each priority that is in use, and resets the offsets of all", async () => {
    await send("reset", 1, 200, 3_000);
    await using consumer = simple("reset");
    await consumer.startup();
    assert.deepEqual(await take(consumer, 3), [3_000, 200, 1]);
    const { queues } = await operator.call(GetTopicStatus, { name: "reset" });
    assert.deepEqual(
      queues.map(({ queueId, maxOffset }) => [queueId, maxOffset]),
      [
        [0, 0],
        [1, 1],
        [200, 1],
        [255, 1],
      ],
    );
    const place = { group: "reset-group", topic: "reset" };
    const progress = await operator.call(GetConsumerProgress, place);
    assert.deepEqual(
      progress.queues.map(({ queueId, cursor, lag }) => [queueId, cursor, lag]),
      [
        [0, 0, 0],
        [1, 1, 0],
        [200, 1, 0],
        [255, 1, 0],
      ],
    );
    const all = await operator.call(ResetGroupOffset, { ...place, timeMs: 0 });
    assert.deepEqual(
      all.queues.map(({ queueId, before, after }) => [queueId, before, after]),
      [
        [0, 0, 0],
        [1, 1, 0],
        [200, 1, 0],
        [255, 1, 0],
      ],
    );
    assert.deepEqual(await take(consumer, 3), [3_000, 200, 1]);
    await send("reset", 7, 9);
    await operator.call(ResetGroupOffset, { ...place, end: true });
    await send("reset", 8);
    assert.deepEqual(await take(consumer, 1), [8]);
    await operator.call(ResetGroupOffset, { ...place, queueId: 200, offset: 0 });
    assert.deepEqual(await take(consumer, 1), [200]);
    const wrong = await operator.call(ResetGroupOffset, { ...place, queueId: 256, offset: 0 });
    assert.equal(wrong.status?.code, Code.BAD_REQUEST);
    assert.match(wrong.status?.message ?? "", /no queue 256: its readable queues are 0 to 255/);
  });

  it("refuses to be pulled by queue, and to become another type", async () => {
    await send("fixed", 1);
    const messageQueue = { topic: { name: "fixed" }, id: 0, broker: { name: "broker-a" } };
    const { code, text } = await operator.pull({
      group: { name: "pullers" },
      messageQueue,
      offset: 0,
      batchSize: 1,
      filterExpression: { type: 1, expression: "*" },
    }).done;
    assert.equal(code, Code.UNSUPPORTED, text);
    assert.match(text, /fixed is of type PRIORITY: its messages are received/);
    const changed = await operator.call(UpdateTopic, { name: "fixed", messageType: "NORMAL" });
    assert.equal(changed.status?.code, Code.BAD_REQUEST);
    assert.match(changed.status?.message ?? "", /type of fixed may not become NORMAL/);
    const { done } = operator.receive({
      group: { name: "readers" },
      messageQueue,
      filterExpression: { type: 1, expression: "*" },
      batchSize: 32,
      invisibleDuration: { seconds: 60 },
      longPollingTimeout: { seconds: 5 },
    });
    assert.equal((await done).messages.length, 1);
    const options = { endpoints: broker.endpoints, consumerGroup: "pullers" };
    await using puller = new PullConsumer(options);
    await puller.startup();
    await puller.assign(await puller.queues("fixed"));
    await assert.rejects(puller.poll(), { code: "UNSUPPORTED" });
    const subscriptions = new Map([["fixed", "*"]]);
    await using listener = new BroadcastConsumer({
      ...options,
      clientName: "reader",
      subscriptions,
    });
    await listener.startup();
    await assert.rejects(listener.poll(), { code: "UNSUPPORTED" });
  });

  it("is of another type when it is deleted and made anew", async () => {
    await send("remade", 1, 200);
    await operator.call(DeleteTopic, { name: "remade" });
    const made = await operator.call(UpdateTopic, { name: "remade", messageType: "NORMAL" });
    assert.equal(made.status?.code, Code.OK, made.status?.message);
    await using producer = new Producer({ endpoints: broker.endpoints, topics: ["remade"] });
    await producer.startup();
    await producer.send({ topic: "remade", body: Buffer.from("x") });
    await using consumer = simple("remade");
    await consumer.startup();
    assert.deepEqual(await take(consumer, 1), [undefined]);
  });
});
