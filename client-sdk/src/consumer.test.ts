import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { crc32, deflateSync, gzipSync } from "node:zlib";
import { ConsumeResult, ConsumeResultSuspend } from "./consume-result.ts";
import type { MessageView } from "./message-view.ts";
import { Producer } from "./producer.ts";
import { PushConsumer, type PushConsumerOptions } from "./push-consumer.ts";
import { SimpleConsumer } from "./simple-consumer.ts";
import { FakeBroker, until } from "./testkit/fake-broker.ts";

const topic = "orders";
const group = "g";

function texts(broker: FakeBroker, count: number, from = 0): void {
  for (let index = from; index < from + count; index++) {
    broker.store({
      topic: { name: topic },
      body: Buffer.from(`m${index}`),
      systemProperties: { messageId: `id-${index}`, bodyEncoding: 1 },
    });
  }
}

async function simple(broker: FakeBroker): Promise<SimpleConsumer> {
  const consumer = new SimpleConsumer({
    endpoints: broker.endpoints,
    consumerGroup: group,
    subscriptions: new Map([[topic, "*"]]),
    awaitDuration: 300,
  });
  await consumer.startup();
  return consumer;
}

describe("SimpleConsumer", () => {
  it("receives messages with all their fields and acknowledges them together", async () => {
    using broker = await FakeBroker.start();
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await using consumer = await simple(broker);
    await producer.startup();
    const properties = new Map([["color", "blue"]]);
    const receipt = await producer.send({
      topic,
      body: Buffer.from("hello"),
      tag: "t",
      keys: ["k1", "k2"],
      properties,
    });
    const [message] = await consumer.receive(10, 20_000);
    assert.ok(message);
    assert.equal(message.messageId, receipt.messageId);
    assert.equal(message.topic, topic);
    assert.equal(message.body.toString(), "hello");
    assert.equal(message.getBody().toString(), "hello");
    assert.equal(message.corrupted, false);
    assert.equal(message.getTag(), "t");
    assert.deepEqual(message.getKeys(), ["k1", "k2"]);
    assert.deepEqual(message.getProperties(), properties);
    assert.equal(message.deliveryAttempt, 1);
    assert.equal(message.offset, 0);
    assert.ok(Math.abs((message.bornTimestamp?.getTime() ?? 0) - Date.now()) < 2_000);
    assert.equal(message.transportDeliveryTimestamp?.getTime(), 1_700_000_000_000);
    assert.equal(message.endpoints.facade, broker.endpoints);
    texts(broker, 50);
    const messages = await consumer.receive(100);
    await Promise.all([message, ...messages].map((one) => consumer.ack(one)));
    assert.deepEqual(broker.ackBatches, [51]);
    assert.equal(broker.stored.length, 0);
  });

  it("gives an empty list when nothing came, and is woken by a message", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await simple(broker);
    assert.deepEqual(await consumer.receive(), []);
    const held = consumer.receive();
    texts(broker, 1);
    assert.equal((await held).length, 1);
  });

  it("changes the invisible duration and goes on with the new receipt handle", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await simple(broker);
    texts(broker, 1);
    const [message] = await consumer.receive();
    assert.ok(message);
    const old = message.receiptHandle;
    await consumer.changeInvisibleDuration(message, 1_500);
    assert.notEqual(message.receiptHandle, old);
    assert.deepEqual(broker.invisible, [{ messageId: "id-0", ms: 1_500 }]);
    await consumer.ack(message);
  });

  it("iterates, and gives back at the end what it has not handed out", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await simple(broker);
    texts(broker, 10);
    const seen: string[] = [];
    for await (const message of consumer) {
      seen.push(message.body.toString());
      await consumer.ack(message);
      if (seen.length === 4) break;
    }
    assert.deepEqual(seen, ["m0", "m1", "m2", "m3"]);
    assert.equal(broker.invisible.length, 6);
    assert.ok(broker.invisible.every(({ ms }) => ms === 0));
    assert.equal((await consumer.receive(10)).length, 6);
  });

  it("gives back at shutdown what an iteration has not handed out", async () => {
    using broker = await FakeBroker.start();
    const consumer = await simple(broker);
    texts(broker, 10);
    const seen: string[] = [];
    for await (const message of consumer) {
      seen.push(message.body.toString());
      await consumer.ack(message);
      if (seen.length === 4) await consumer.shutdown();
    }
    assert.deepEqual(seen, ["m0", "m1", "m2", "m3"]);
    assert.deepEqual(
      broker.invisible.map(({ messageId, ms }) => [messageId, ms]),
      ["id-4", "id-5", "id-6", "id-7", "id-8", "id-9"].map((id) => [id, 0]),
    );
  });

  it("iteration ends quietly at the signal and at shutdown; a receive under way is rejected", async () => {
    using broker = await FakeBroker.start();
    const consumer = await simple(broker);
    const controller = new AbortController();
    const first = (async () => {
      for await (const message of consumer.messages({ signal: controller.signal })) void message;
    })();
    controller.abort();
    await first;
    const second = (async () => {
      for await (const message of consumer) void message;
    })();
    const held = assert.rejects(consumer.receive(), { code: "CLOSED" });
    const reason = new Error("no longer");
    const aborted = new AbortController();
    const third = assert.rejects(consumer.receive(1, 10_000, { signal: aborted.signal }), reason);
    aborted.abort(reason);
    await third;
    await consumer.shutdown();
    await Promise.all([second, held]);
    await assert.rejects(consumer.receive(), { code: "CLOSED" });
    assert.deepEqual(broker.terminated, [consumer.clientId]);
  });

  it("takes part in another topic after subscribe", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await simple(broker);
    await consumer.subscribe("other", "a||b");
    consumer.unsubscribe(topic);
    broker.store({ topic: { name: "other" }, body: Buffer.from("x"), systemProperties: {} });
    assert.equal((await consumer.receive()).length, 1);
    await until(() =>
      broker.settingsReceived.some((settings) =>
        settings.subscription?.subscriptions?.some(
          (entry) => entry.expression?.expression === "a||b",
        ),
      ),
    );
  });

  it("checks digests and unpacks bodies", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await simple(broker);
    const body = Buffer.from("some body that is long enough to be packed, packed, packed");
    const packed = gzipSync(body);
    const md5 = createHash("md5").update(packed).digest("hex").toUpperCase();
    const sha1 = createHash("sha1").update(body).digest("hex").toUpperCase();
    const cases = [
      { body: packed, bodyEncoding: 2, bodyDigest: { type: 2, checksum: md5 } },
      { body, bodyEncoding: 1, bodyDigest: { type: 3, checksum: sha1 } },
      { body, bodyDigest: { type: 1, checksum: crc32(body).toString(16).toUpperCase() } },
      { body, bodyDigest: { type: 1, checksum: crc32(body).toString(16).padStart(12, "0") } },
      { body, bodyDigest: { type: 1, checksum: String(crc32(body)) } },
      { body: deflateSync(body), bodyEncoding: 2 },
      { body },
      { body, bodyDigest: { type: 2, checksum: md5 } },
      { body, bodyDigest: { type: 1, checksum: "12345678" } },
      { body, bodyEncoding: 2 },
    ];
    for (const { body: bytes, ...systemProperties } of cases) {
      broker.store({ topic: { name: topic }, body: bytes, systemProperties });
    }
    const messages = await consumer.receive(32);
    assert.deepEqual(
      messages.map((message) => message.corrupted),
      [false, false, false, false, false, false, false, true, true, true],
    );
    for (const message of messages) assert.deepEqual(message.body, body);
  });

  it("refuses options and arguments out of range", async () => {
    const subscriptions = new Map([[topic, "*"]]);
    const good = { endpoints: "127.0.0.1:1", consumerGroup: group, subscriptions };
    for (const bad of [
      { endpoints: "" },
      { endpoints: "http://x:1" },
      { endpoints: "x:99999" },
      { consumerGroup: "" },
      { subscriptions: new Map() },
      { awaitDuration: 1 },
      { requestTimeout: -1 },
    ]) {
      assert.throws(() => new SimpleConsumer({ ...good, ...bad }), { code: "BAD_OPTION" });
    }
    using broker = await FakeBroker.start();
    await using consumer = await simple(broker);
    await assert.rejects(consumer.receive(0), { code: "BAD_OPTION" });
    await assert.rejects(consumer.receive(1, 0), { code: "BAD_OPTION" });
  });
});

async function push(
  broker: FakeBroker,
  consume: (message: MessageView) => ConsumeResult | Promise<ConsumeResult>,
  options: Partial<PushConsumerOptions> = {},
): Promise<PushConsumer> {
  const consumer = new PushConsumer({
    endpoints: broker.endpoints,
    consumerGroup: group,
    subscriptions: new Map([[topic, "*"]]),
    messageListener: { consume },
    ...options,
  });
  await consumer.startup();
  return consumer;
}

describe("PushConsumer", () => {
  it("consumes everything with bounded concurrency and acknowledges it", async () => {
    using broker = await FakeBroker.start();
    texts(broker, 200);
    let active = 0;
    let activeMax = 0;
    const seen = new Set<string>();
    await using consumer = await push(
      broker,
      async (message) => {
        activeMax = Math.max(activeMax, ++active);
        await new Promise((resolve) => setImmediate(resolve));
        active--;
        seen.add(message.messageId);
        return ConsumeResult.SUCCESS;
      },
      { concurrency: 5 },
    );
    await until(() => broker.acked.length === 200);
    assert.equal(seen.size, 200);
    assert.ok(activeMax <= 5, `${activeMax}`);
    assert.ok(consumer.isRunning());
  });

  it("lets failed messages come again after the server's back-off, and suspended ones when they say", async () => {
    using broker = await FakeBroker.start({
      settings: {
        subscription: { receiveBatchSize: 8, longPollingTimeout: { seconds: 1, nanos: 0 } },
        backoffPolicy: {
          maxAttempts: 5,
          customizedBackoff: {
            next: [
              { seconds: 0, nanos: 30_000_000 },
              { seconds: 0, nanos: 60_000_000 },
            ],
          },
        },
      },
    });
    texts(broker, 3);
    const attempts = new Map<string, number[]>();
    await using consumer = await push(broker, (message) => {
      const attempt = message.deliveryAttempt ?? 0;
      attempts.set(message.messageId, [...(attempts.get(message.messageId) ?? []), attempt]);
      if (attempt >= 3) return ConsumeResult.SUCCESS;
      if (message.messageId === "id-1") throw new Error("oops");
      return message.messageId === "id-2" ? ConsumeResultSuspend.of(77) : ConsumeResult.FAILURE;
    });
    await until(() => broker.acked.length === 3);
    for (const list of attempts.values()) assert.deepEqual(list, [1, 2, 3]);
    const delays = (id: string): number[] =>
      broker.invisible.filter((one) => one.messageId === id).map((one) => one.ms);
    assert.deepEqual(delays("id-0"), [30, 60]);
    assert.deepEqual(delays("id-1"), [30, 60]);
    assert.deepEqual(delays("id-2"), [77, 77]);
    void consumer;
  });

  it("does not show corrupted messages", async () => {
    using broker = await FakeBroker.start();
    broker.store({
      topic: { name: topic },
      body: Buffer.from("x"),
      systemProperties: { messageId: "bad", bodyDigest: { type: 2, checksum: "00" } },
    });
    let shown = 0;
    await using consumer = await push(broker, () => {
      shown++;
      return ConsumeResult.SUCCESS;
    });
    await until(() => broker.invisible.length === 1);
    assert.equal(shown, 0);
    void consumer;
  });

  it("asks for no more than its cache may hold", async () => {
    using broker = await FakeBroker.start();
    texts(broker, 100);
    const gate = new AbortController();
    const opened = new Promise<void>((resolve) => {
      gate.signal.addEventListener("abort", () => resolve());
    });
    await using consumer = await push(
      broker,
      async () => {
        await opened;
        return ConsumeResult.SUCCESS;
      },
      { maxCacheMessageCount: 10 },
    );
    await until(() => broker.stored.filter((one) => one.attempt > 0).length === 10);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(broker.stored.filter((one) => one.attempt > 0).length, 10);
    gate.abort();
    await until(() => broker.acked.length === 100);
    void consumer;
  });

  it("finishes what it has taken before it shuts down, quickly though a poll is held", async () => {
    using broker = await FakeBroker.start();
    texts(broker, 20);
    let begun = 0;
    let finished = 0;
    const consumer = await push(broker, async () => {
      begun++;
      await new Promise((resolve) => setTimeout(resolve, 100));
      finished++;
      return ConsumeResult.SUCCESS;
    });
    await until(() => begun > 0);
    const startMs = performance.now();
    await consumer.shutdown();
    assert.ok(performance.now() - startMs < 1_500);
    assert.equal(finished, 20);
    assert.equal(broker.acked.length, 20);
    assert.deepEqual(broker.terminated, [consumer.clientId]);
  });

  it("gives back at shutdown what it has not begun with, before what is in work is done", async () => {
    using broker = await FakeBroker.start();
    texts(broker, 10);
    const finish = new AbortController();
    const finished = new Promise<void>((resolve) => {
      finish.signal.addEventListener("abort", () => resolve());
    });
    const begun: string[] = [];
    const listen = async (message: MessageView): Promise<ConsumeResult> => {
      begun.push(message.messageId);
      await finished;
      return ConsumeResult.SUCCESS;
    };
    const consumer = await push(broker, listen, { concurrency: 2 });
    // All of them have come in one answer.
    await until(() => begun.length === 2);
    const shutdown = consumer.shutdown();
    await until(() => broker.invisible.length === 8);
    assert.equal(broker.acked.length, 0);
    assert.ok(
      broker.invisible.every(({ messageId, ms }) => ms === 0 && !begun.includes(messageId)),
    );
    finish.abort();
    await shutdown;
    assert.deepEqual(begun, ["id-0", "id-1"]);
    assert.equal(broker.acked.length, 2);
  });

  it("in order, gives a failing message and those behind it back at shutdown", async () => {
    using broker = await FakeBroker.start({
      settings: {
        subscription: { fifo: true, receiveBatchSize: 32 },
        backoffPolicy: { maxAttempts: 3, customizedBackoff: { next: [{ seconds: 20 }] } },
      },
    });
    texts(broker, 5);
    let tries = 0;
    const consumer = await push(broker, () => {
      tries++;
      return ConsumeResult.FAILURE;
    });
    await until(() => tries > 0);
    await consumer.shutdown();
    assert.deepEqual(broker.invisible.map(({ messageId }) => messageId).sort(), [
      "id-0",
      "id-1",
      "id-2",
      "id-3",
      "id-4",
    ]);
    assert.equal(broker.acked.length, 0);
  });

  it("goes on by itself after its broker was away", async () => {
    using broker = await FakeBroker.start();
    texts(broker, 5);
    await using consumer = await push(broker, () => ConsumeResult.SUCCESS);
    await until(() => broker.acked.length === 5);
    broker.stop();
    await new Promise((resolve) => setTimeout(resolve, 200));
    texts(broker, 5, 5);
    await broker.listen();
    await until(() => broker.acked.length === 10);
    void consumer;
  });

  it("keeps the order of a message group when the group is served in order; dead letters after the last attempt", async () => {
    using broker = await FakeBroker.start({
      settings: {
        subscription: { fifo: true, receiveBatchSize: 32 },
        backoffPolicy: {
          maxAttempts: 3,
          customizedBackoff: { next: [{ seconds: 0, nanos: 5_000_000 }] },
        },
      },
    });
    for (let index = 0; index < 20; index++) {
      broker.store({
        topic: { name: topic },
        body: Buffer.from("x"),
        systemProperties: { messageId: `${index}`, messageGroup: `g${index % 2}` },
      });
    }
    const seen: number[] = [];
    await using consumer = await push(broker, async (message) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (message.messageId === "4") return ConsumeResult.FAILURE;
      seen.push(Number(message.messageId));
      return ConsumeResult.SUCCESS;
    });
    await until(() => broker.acked.length === 19 && broker.deadLettered.length === 1);
    for (const parity of [0, 1]) {
      const order = seen.filter((index) => index % 2 === parity);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
    }
    assert.deepEqual(broker.deadLettered, ["4"]);
    void consumer;
  });
});
