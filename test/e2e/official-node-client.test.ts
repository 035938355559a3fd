// The published Node.js client of Apache RocketMQ, unchanged, against a broker of ours.
import assert from "node:assert/strict";
import {
  ConsumeResult,
  FilterExpression,
  type ILogger,
  type MessageView,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from "rocketmq-client-nodejs";
// The package has no better door for FilterType.
import definitions from "rocketmq-client-nodejs/proto/apache/rocketmq/v2/definition_pb.js";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const quiet: ILogger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

interface Stoppable {
  shutdown(): Promise<void>;
}

describe("the official Node.js client", function () {
  this.timeout(60_000);
  let fixture: BrokerFixture;
  let clients: Stoppable[] = [];

  before(async () => {
    fixture = await startBroker();
  });

  after(() => fixture.close());

  afterEach(async () => {
    await Promise.all(clients.map((client) => client.shutdown()));
    clients = [];
  });

  function options(): { endpoints: string; namespace: string; logger: ILogger } {
    return { endpoints: fixture.endpoints, namespace: "", logger: quiet };
  }

  async function startProducer(...topics: string[]): Promise<Producer> {
    const producer = new Producer({ ...options(), topics });
    await producer.startup();
    clients.push(producer);
    return producer;
  }

  async function makeDelayTopic(name: string): Promise<void> {
    const admin = new RawClient(fixture.endpoints);
    const messageType = "DELAY";
    const answer = await admin.call(brokerAdminService.methods.UpdateTopic, { name, messageType });
    assert.equal(answer.status?.code, 20_000, answer.status?.message);
    admin.close();
  }

  async function startSimple(
    consumerGroup: string,
    topic: string,
    filter: FilterExpression | string = FilterExpression.SUB_ALL,
  ): Promise<SimpleConsumer> {
    const consumer = new SimpleConsumer({
      ...options(),
      consumerGroup,
      subscriptions: new Map([[topic, filter]]),
      awaitDuration: 5_000,
    });
    await consumer.startup();
    clients.push(consumer);
    return consumer;
  }

  /** Pushes to `listener` until `done`. The client's shutdown waits for its held poll: one more message ends that. */
  async function push(
    consumerGroup: string,
    topic: string,
    listener: (message: MessageView) => ConsumeResult,
    done: () => boolean,
    messageGroup?: string,
  ): Promise<void> {
    let isOver = false;
    const consumer = new PushConsumer({
      ...options(),
      consumerGroup,
      subscriptions: new Map([[topic, FilterExpression.SUB_ALL]]),
      messageListener: {
        consume: async (message: MessageView) =>
          isOver ? ConsumeResult.SUCCESS : listener(message),
      },
    });
    await consumer.startup();
    await until("the listener", done, 30_000);
    isOver = true;
    const stopped = consumer.shutdown();
    if (messageGroup === undefined) await send(topic, 1);
    else {
      const producer = await startProducer(topic);
      await producer.send({ topic, messageGroup, body: Buffer.from("the last one") });
    }
    await stopped;
    // Whatever logger it is given, it opens one of its own, whose timers would keep the process alive.
    const logger: ILogger | undefined = Reflect.get(consumer.getConsumeService(), "logger");
    logger?.close?.();
  }

  async function send(topic: string, count: number, tag = "a"): Promise<Set<string>> {
    const producer = await startProducer(topic);
    const ids = new Set<string>();
    const one = async (index: number): Promise<void> => {
      const receipt = await producer.send({
        topic,
        tag,
        keys: [`key-${index}`],
        properties: new Map([["index", String(index)]]),
        body: Buffer.from(`body ${index}`),
      });
      assert.equal(receipt.transactionId, receipt.messageId);
      ids.add(receipt.messageId);
    };
    for (let index = 0; index < count; index += 50) {
      const indexes = Array.from({ length: Math.min(50, count - index) }, (_, add) => index + add);
      await Promise.all(indexes.map(one));
    }
    assert.equal(ids.size, count);
    return ids;
  }

  it("sends 1,000 messages and receives each once with SimpleConsumer", async () => {
    const sent = await send("simple", 1_000);
    const messages = await drain(await startSimple("simple-group", "simple"), 1_000);
    assert.equal(messages.length, 1_000);
    assert.deepEqual(new Set(messages.map((message) => message.messageId)), sent);
    for (const message of messages) {
      const index = message.properties.get("index");
      assert.equal(message.body.toString(), `body ${index}`);
      assert.deepEqual(message.keys, [`key-${index}`]);
      assert.equal(message.tag, "a");
      assert.equal(message.topic, "simple");
      assert.equal(message.deliveryAttempt, 1);
      assert.ok(message.bornTimestamp !== undefined);
      assert.ok(message.transportDeliveryTimestamp !== undefined);
      assert.notEqual(message.corrupted, true);
    }
  });

  it("receives 1,000 messages with PushConsumer", async () => {
    const sent = await send("push", 1_000);
    const got: string[] = [];
    const listener = (message: MessageView): ConsumeResult => {
      got.push(message.messageId);
      return ConsumeResult.SUCCESS;
    };
    await push("push-group", "push", listener, () => got.length >= 1_000);
    assert.equal(got.length, 1_000);
    assert.deepEqual(new Set(got), sent);
  });

  it("hands a failed push message out again, as a second attempt", async () => {
    await send("failing", 1);
    const attempts: number[] = [];
    const listener = (message: MessageView): ConsumeResult => {
      attempts.push(message.deliveryAttempt ?? 0);
      return attempts.length === 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    };
    await push("failing-group", "failing", listener, () => attempts.length >= 2);
    assert.deepEqual(attempts, [1, 2]);
  });

  it("gives a message back earlier when its invisible time is changed", async () => {
    await send("earlier", 1);
    const consumer = await startSimple("earlier-group", "earlier");
    const [first] = await consumer.receive(1, 60_000);
    assert.ok(first !== undefined);
    await consumer.changeInvisibleDuration(first, 1_000);
    const startMs = Date.now();
    const [second] = await consumer.receive(1, 60_000);
    assert.ok(second !== undefined);
    assert.equal(second.messageId, first.messageId);
    assert.equal(second.deliveryAttempt, 2);
    assert.ok(Date.now() - startMs < 3_000);
    await consumer.ack(second);
  });

  it("moves a message that fails too often to the dead-letter topic", async () => {
    const admin = new RawClient(fixture.endpoints);
    const name = "dead-group";
    const answer = await admin.call(brokerAdminService.methods.UpdateGroup, {
      name,
      retryMaxTimes: 1,
      retryPolicy: { customizedBackoff: { next: [{ seconds: 1 }] } },
    });
    assert.equal(answer.status?.code, 20_000, answer.status?.message);
    admin.close();
    const sent = await send("dead", 1);
    let attempts = 0;
    const listener = (): ConsumeResult => {
      attempts += 1;
      return ConsumeResult.FAILURE;
    };
    await push(name, "dead", listener, () => attempts >= 2);
    const [dead] = await drain(await startSimple("undertaker", `%DLQ%${name}`), 1);
    assert.equal(dead?.messageId, [...sent][0]);
    assert.equal(dead?.body.toString(), "body 0");
    assert.equal(attempts, 2);
  });

  it("keeps the order of message groups with PushConsumer, also past failures", async () => {
    const operator = new RawClient(fixture.endpoints);
    const { UpdateTopic } = brokerAdminService.methods;
    await operator.call(UpdateTopic, { name: "fifo", messageType: "FIFO" });
    operator.close();
    const producer = await startProducer("fifo");
    for (let index = 0; index < 60; index++) {
      const messageGroup = `group ${index % 3}`;
      await producer.send({ topic: "fifo", messageGroup, body: Buffer.from(`${index}`) });
    }
    const got: string[] = [];
    const listener = (message: MessageView): ConsumeResult => {
      const index = message.body.toString();
      assert.equal(message.messageGroup, `group ${Number(index) % 3}`);
      got.push(index);
      const isFirst = got.indexOf(index) === got.length - 1;
      return index === "10" && isFirst ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    };
    await push("fifo-group", "fifo", listener, () => new Set(got).size >= 60, "group 0");
    for (const group of [0, 1, 2]) {
      const own = got.map(Number).filter((index) => index % 3 === group);
      assert.deepEqual(
        own,
        own.toSorted((one, other) => one - other),
      );
    }
    assert.equal(got.filter((index) => index === "10").length, 2, "it failed once");
  });

  it("filters by tag", async () => {
    await send("tags", 20, "red");
    await send("tags", 20, "green");
    await send("tags", 20, "blue");
    const filter = new FilterExpression("red || blue");
    const messages = await drain(await startSimple("tags-group", "tags", filter), 40);
    const tags = messages.map((message) => message.tag);
    assert.deepEqual(new Set(tags), new Set(["blue", "red"]));
    assert.equal(tags.filter((tag) => tag === "red").length, 20);
  });

  it("filters by SQL, and is told at its start what is wrong with an expression", async () => {
    await send("sql", 30, "red");
    await send("sql", 30, "green");
    const filter = new FilterExpression(
      "TAGS = 'red' AND index BETWEEN 5 AND 12",
      definitions.FilterType.SQL,
    );
    const messages = await drain(await startSimple("sql-group", "sql", filter), 8);
    const indexes = messages.map((message) => Number(message.properties.get("index")));
    assert.deepEqual(
      indexes.sort((one, other) => one - other),
      [5, 6, 7, 8, 9, 10, 11, 12],
    );
    assert.ok(messages.every((message) => message.tag === "red"));
    const wrong = new SimpleConsumer({
      ...options(),
      consumerGroup: "sql-group",
      subscriptions: new Map([
        ["sql", new FilterExpression("index > '5'", definitions.FilterType.SQL)],
      ]),
    });
    await assert.rejects(wrong.startup(), /at character 9: > takes numbers and properties/);
    await wrong.shutdown();
  });

  it("delivers delayed messages at their time, and not those that are recalled", async () => {
    const topic = "delayed";
    await makeDelayTopic(topic);
    const producer = await startProducer(topic);
    const consumer = await startSimple("delayed-group", topic);
    const dueAt = new Date(Date.now() + 1_500);
    const kept = await producer.send({
      topic,
      deliveryTimestamp: dueAt,
      body: Buffer.from("kept"),
    });
    const late = await producer.send({ topic, deliveryTimestamp: dueAt, body: Buffer.from("no") });
    const past = await producer.send({
      topic,
      deliveryTimestamp: new Date(Date.now() - 5_000),
      body: Buffer.from("past"),
    });
    assert.notEqual(kept.recallHandle, "");
    assert.equal(past.recallHandle, "");
    const recalled = await producer.recallMessage(topic, late.recallHandle);
    assert.equal(recalled.messageId, late.messageId);
    await assert.rejects(producer.recallMessage(topic, late.recallHandle), /40401/);
    await assert.rejects(producer.recallMessage(topic, `${late.recallHandle}x`), /40013/);

    const [first] = await consumer.receive(1, 60_000);
    assert.equal(first?.body.toString(), "past");
    await consumer.ack(first);
    const [second] = await consumer.receive(1, 60_000);
    const latenessMs = Date.now() - dueAt.getTime();
    assert.equal(second?.messageId, kept.messageId);
    assert.equal(second?.deliveryTimestamp?.getTime(), dueAt.getTime());
    assert.ok(latenessMs >= 0 && latenessMs < 1_000, `late by ${latenessMs} ms`);
    await consumer.ack(second);
    await assert.rejects(producer.recallMessage(topic, kept.recallHandle), /too late.*40401/);
  });

  it("receives the highest priority first", async () => {
    const admin = new RawClient(fixture.endpoints);
    const wish = { name: "urgent", messageType: "PRIORITY" };
    await admin.call(brokerAdminService.methods.UpdateTopic, wish);
    admin.close();
    const producer = await startProducer("urgent");
    for (const priority of [1, 10, 2, 5]) {
      await producer.send({ topic: "urgent", priority, body: Buffer.from("x") });
    }
    // It takes 0 for none: docs/messages/priority.md.
    const none = producer.send({ topic: "urgent", priority: 0, body: Buffer.from("x") });
    await assert.rejects(none, /message type not match/);
    const consumer = await startSimple("urgent-group", "urgent");
    const got: (number | undefined)[] = [];
    while (got.length < 4) {
      for (const message of await consumer.receive(1, 60_000)) {
        got.push(message.priority);
        await consumer.ack(message);
      }
    }
    assert.deepEqual(got, [10, 5, 2, 1]);
  });

  it("gives every group all messages, and shares them out inside a group", async () => {
    const sent = await send("shared", 200);
    const alone = drain(await startSimple("group-one", "shared"), 200);
    const members = [
      await startSimple("group-two", "shared"),
      await startSimple("group-two", "shared"),
    ];
    const got: string[] = [];
    const share = async (member: SimpleConsumer): Promise<void> => {
      while (got.length < 200) {
        const messages = await member.receive(16, 30_000);
        await Promise.all(messages.map((message) => member.ack(message)));
        got.push(...messages.map((message) => message.messageId));
      }
    };
    const shares = members.map(share);
    await Promise.all([alone, Promise.race(shares)]);
    assert.equal(got.length, 200);
    assert.deepEqual(new Set(got), sent);
  });

  it("holds a poll and answers it when a message comes", async () => {
    const producer = await startProducer("held");
    const consumer = await startSimple("held-group", "held");
    const startMs = Date.now();
    const receiving = consumer.receive(1, 30_000);
    await until("the poll", () => consumersOf(fixture, "held-group"));
    await producer.send({ topic: "held", body: Buffer.from("now") });
    const [message] = await receiving;
    assert.ok(message !== undefined);
    assert.equal(message.body.toString(), "now");
    assert.ok(Date.now() - startMs < 3_000);
    await consumer.ack(message);
  });

  it("gives nothing to the held poll of a consumer that closes", async () => {
    const producer = await startProducer("closing");
    const leaving = await startSimple("closing-group", "closing");
    const held = leaving.receive(1, 30_000).catch(() => []);
    await until("the poll", () => consumersOf(fixture, "closing-group"));
    await leaving.shutdown();
    clients = clients.filter((client) => client !== leaving);
    assert.deepEqual(await held, []);
    const staying = await startSimple("closing-group", "closing");
    await producer.send({ topic: "closing", body: Buffer.from("for the other") });
    const startMs = Date.now();
    const [message] = await staying.receive(1, 30_000);
    assert.equal(message?.body.toString(), "for the other");
    assert.ok(Date.now() - startMs < 3_000);
  });

  it("starts with more topics than it can ask for before its settings come", async () => {
    const producer = await startProducer("m1", "m2", "m3", "m4", "m5");
    await producer.send({ topic: "m5", body: Buffer.from("x") });
  });

  it("is told clearly of an unknown topic and an unknown group", async () => {
    const strict = await startBroker({
      autoCreateTopicEnable: "false",
      autoCreateSubscriptionGroup: "false",
    });
    try {
      const endpoints = strict.endpoints;
      const producer = new Producer({ ...options(), endpoints, topics: ["nowhere"] });
      await assert.rejects(producer.startup(), (error: Error) => {
        assert.match(error.message, /route/);
        return true;
      });
      await producer.shutdown();
      const admin = new RawClient(endpoints);
      await admin.call(brokerAdminService.methods.UpdateTopic, { name: "there" });
      admin.close();
      const consumer = new SimpleConsumer({
        ...options(),
        endpoints,
        consumerGroup: "nobody",
        subscriptions: new Map([["there", "*"]]),
      });
      await assert.rejects(consumer.startup(), /nobody/);
      await consumer.shutdown();
    } finally {
      await strict.close();
    }
  });

  it("goes on after a restart of the broker, from where it was", async () => {
    const own = await startBroker();
    const before = fixture;
    fixture = own;
    try {
      const sent = await send("lasting", 50);
      const first = await drain(await startSimple("lasting-group", "lasting"), 20);
      await Promise.all(clients.map((client) => client.shutdown()));
      clients = [];
      fixture = await own.restart();
      const rest = await drain(await startSimple("lasting-group", "lasting"), 50 - first.length);
      const ids = [...first, ...rest].map((message) => message.messageId);
      assert.equal(ids.length, 50);
      assert.deepEqual(new Set(ids), sent);
      await Promise.all(clients.map((client) => client.shutdown()));
      clients = [];
    } finally {
      await fixture.close();
      fixture = before;
    }
  });
});

/** Receives and acknowledges until `count` came. */
async function drain(consumer: SimpleConsumer, count: number): Promise<MessageView[]> {
  const all: MessageView[] = [];
  while (all.length < count) {
    const messages = await consumer.receive(32, 30_000);
    assert.ok(messages.length > 0, `only ${all.length} of ${count} came`);
    await Promise.all(messages.map((message) => consumer.ack(message)));
    all.push(...messages);
  }
  return all;
}

/** Whether a consumer of `group` has asked for messages. */
async function consumersOf(fixture: BrokerFixture, group: string): Promise<boolean> {
  const text = await fixture.broker.metrics.text();
  return (
    /cometmq_held_polls\{[^}]*\} [1-9]/.test(text) && text.includes(`consumer_group="${group}"`)
  );
}
