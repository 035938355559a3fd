// Consumers that are slow, dead, or never acknowledge cost the others nothing, and the broker no more than its bounds.
import assert from "node:assert/strict";
import { connect } from "node:http2";
import { Producer, SimpleConsumer } from "@cometmq/client";
import { brokerAdminService, messagingService } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { RawClient, type Received } from "./raw-client.ts";
import { until } from "./waiting.ts";

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

  async function send(topic: string, bodySize = 16): Promise<void> {
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const bodies = Array.from({ length: count }, () => Buffer.alloc(bodySize, "x"));
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

  const wishFor = (topic: string, group: string, batchSize = 32): object => ({
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: 0 },
    filterExpression: { type: 1, expression: "*" },
    batchSize,
    invisibleDuration: { seconds: 300 },
    autoRenew: false,
  });

  const receiveOnce = (topic: string, group: string, batchSize?: number): Promise<Received> =>
    client.receive(wishFor(topic, group, batchSize), 5_000).done;

  /** Asks for messages over a connection of its own, and reads nothing of the answers. Gives what cuts it. */
  function receiveUnread(topic: string, group: string, callCount: number): () => void {
    const method = messagingService.methods.ReceiveMessage;
    const message = Buffer.from(method.request.encode(wishFor(topic, group)));
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    const session = connect(`http://${broker.endpoints}`);
    session.on("error", () => {});
    for (let index = 0; index < callCount; index++) {
      const stream = session.request({
        ":method": "POST",
        ":path": method.path,
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": "60S",
        "x-mq-client-id": "deaf",
        "x-mq-language": "JAVA",
      });
      stream.on("error", () => {});
      stream.end(Buffer.concat([head, message]));
    }
    return () => session.destroy();
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

  it("that takes long over each message, the others of its group get what comes meanwhile", async () => {
    await makeTopic("slow");
    await send("slow");
    await using slow = await started("slow", "partners");
    await using fast = await started("slow", "partners");
    const bySlow = new Set<string>();
    const byFast = new Set<string>();
    while (bySlow.size + byFast.size < count) {
      const [inHand] = await slow.receive(1, 30_000);
      assert.ok(inHand);
      // Its work lasts until the other one has done thirty.
      for (let done = 0; done < 30 && bySlow.size + byFast.size + 1 < count; ) {
        const messages = await fast.receive(10, 30_000);
        assert.notEqual(messages.length, 0);
        for (const message of messages) byFast.add(message.messageId);
        await Promise.all(messages.map((message) => fast.ack(message)));
        done += messages.length;
      }
      await slow.ack(inHand);
      bySlow.add(inHand.messageId);
    }
    assert.ok(byFast.size > 25 * bySlow.size, `${byFast.size} and ${bySlow.size}`);
  });

  it("that does not read its answers, the others get everything, and what it was given when it is gone", async () => {
    const unread = 32;
    await makeTopic("deaf");
    await send("deaf", 20_000);
    const cut = receiveUnread("deaf", "listeners", 1);
    const labels = 'topic="deaf",consumer_group="listeners"';
    await until(
      "messages to be on their way",
      async () => (await metric("rocketmq_consumer_inflight_messages", labels)) === unread,
    );
    assert.equal(await consumeAll("deaf", "others"), count);
    await using consumer = await started("deaf", "listeners");
    const seen = new Set<string>();
    const attempts = new Set<number | undefined>();
    const take = async (): Promise<void> => {
      for (const message of await consumer.receive(32, 30_000)) {
        seen.add(message.messageId);
        attempts.add(message.deliveryAttempt);
        await consumer.ack(message);
      }
    };
    while (seen.size < count - unread) await take();
    assert.equal(seen.size, count - unread);
    cut();
    while (seen.size < count) await take();
    assert.deepEqual([...attempts], [1]);
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
