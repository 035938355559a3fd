import assert from "node:assert/strict";
import { ClientError } from "./client-error.ts";
import { Producer } from "./producer.ts";
import {
  type FakeBehaviour,
  FakeBroker,
  FakeSocketServer,
  ok,
  refusedPort,
  until,
} from "./testkit/fake-broker.ts";

const topic = "orders";
const body = Buffer.from("hello");

describe("Producer", () => {
  it("sends what is queued together, and gives each message its receipt in order", async () => {
    using broker = await FakeBroker.start();
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const receipts = await Promise.all(
      Array.from({ length: 1_200 }, (_, index) =>
        producer.send({ topic, body: Buffer.from(`m${index}`), tag: "t", keys: [`k${index}`] }),
      ),
    );
    assert.equal(new Set(receipts.map((receipt) => receipt.messageId)).size, 1_200);
    assert.equal(broker.stored.length, 1_200);
    const sent = new Map(
      broker.stored.map(({ message }) => [message.systemProperties?.messageId, message]),
    );
    receipts.forEach((receipt, index) => {
      assert.match(receipt.messageId, /^01[0-9A-F]{32}$/);
      assert.equal(Buffer.from(sent.get(receipt.messageId)?.body ?? []).toString(), `m${index}`);
      assert.equal(receipt.endpoints.facade, broker.endpoints);
    });
    assert.ok(broker.batches.length <= 6, `batches: ${broker.batches.join()}`);
    assert.ok(broker.batches.every((count) => count <= 512));
  });

  it("sends one message a call when batching is off", async () => {
    using broker = await FakeBroker.start();
    await using producer = new Producer({
      endpoints: broker.endpoints,
      topics: [topic],
      batching: false,
    });
    await producer.startup();
    await Promise.all(Array.from({ length: 50 }, () => producer.send({ topic, body })));
    assert.deepEqual(
      broker.batches,
      Array.from({ length: 50 }, () => 1),
    );
  });

  it("settles each message of a request by its own result", async () => {
    using broker = await FakeBroker.start({
      send: (_request, usual) => ({
        status: { code: 30_000, message: "mixed" },
        entries: (usual.entries ?? []).map((entry, index) =>
          index === 1 ? { status: { code: 40_004, message: "bad tag" } } : entry,
        ),
      }),
    });
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const results = await Promise.allSettled([1, 2, 3].map(() => producer.send({ topic, body })));
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    const reason = (results[1] as PromiseRejectedResult).reason as ClientError;
    assert.equal(reason.code, "ILLEGAL_MESSAGE_TAG");
    assert.match(reason.message, /bad tag.*topic orders/);
  });

  it("sends the good neighbours of a message for which a whole request was refused", async () => {
    using broker = await FakeBroker.start({
      send: (request, usual) =>
        (request.messages ?? []).some((message) => message.systemProperties?.tag === "bad")
          ? { status: { code: 40_004, message: "bad tag" }, entries: [] }
          : usual,
    });
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        producer.send({ topic, body, tag: index === 7 ? "bad" : "good" }),
      ),
    );
    assert.deepEqual(
      results.flatMap((result, index) => (result.status === "rejected" ? [index] : [])),
      [7],
    );
    assert.equal(broker.stored.length, 19);
  });

  it("sends those again that were refused for a neighbour, and no others", async () => {
    let takenCount = 0;
    using broker = await FakeBroker.start({
      send: (request, usual) => {
        const messages = request.messages ?? [];
        takenCount += messages.filter(
          ({ systemProperties }) => systemProperties?.priority === 0,
        ).length;
        // As a broker refuses all of one queue for one message.
        const isBad = messages.some((message) => message.systemProperties?.tag === "bad");
        const status = { code: 40_004, message: "bad tag" };
        const priorityOf = (index: number): number =>
          messages[index]?.systemProperties?.priority ?? 0;
        const entries = (usual.entries ?? []).map((entry, index) =>
          isBad && priorityOf(index) === 1 ? { status } : entry,
        );
        return { status: { code: isBad ? 30_000 : 20_000, message: "mixed" }, entries };
      },
    });
    broker.messageTypes = [6];
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) =>
        producer.send({
          topic,
          body,
          priority: index % 2,
          tag: index === 7 ? "bad" : `t${index}`,
        }),
      ),
    );
    assert.deepEqual(
      results.flatMap((result, index) => (result.status === "rejected" ? [index] : [])),
      [7],
    );
    assert.equal(takenCount, 10);
  });

  it("takes the single answer that RocketMQ gives for a batch", async () => {
    using broker = await FakeBroker.start({ answerBatchAsUnit: true });
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const receipts = await Promise.all([1, 2, 3].map(() => producer.send({ topic, body })));
    assert.deepEqual(
      receipts.map((receipt) => receipt.offset),
      [0, 1, 2],
    );
    assert.equal(new Set(receipts.map((receipt) => receipt.messageId)).size, 3);
  });

  it("tries another broker with the same message id", async () => {
    const ids: (string | undefined)[] = [];
    using bad = await FakeBroker.start(
      {
        send: (request) => {
          ids.push(request.messages?.[0]?.systemProperties?.messageId ?? undefined);
          return { status: { code: 50_001, message: "disk full" }, entries: [] };
        },
      },
      { name: "fake-b" },
    );
    using good = await FakeBroker.start();
    good.routeTo = [
      { name: "fake-a", port: good.port },
      { name: "fake-b", port: bad.port },
    ];
    await using producer = new Producer({ endpoints: good.endpoints, topics: [topic] });
    await producer.startup();
    for (let count = 0; count < 4; count++) {
      const receipt = await producer.send({ topic, body });
      assert.equal(receipt.endpoints.facade, good.endpoints);
    }
    assert.equal(good.stored.length, 4);
    const stored = new Set(good.stored.map(({ message }) => message.systemProperties?.messageId));
    assert.ok(ids.length > 0);
    for (const id of ids) assert.ok(stored.has(id));
  });

  it("uses every queue of every broker in turn", async () => {
    const used = new Map<string, number>();
    const behaviour = (name: string): FakeBehaviour => ({
      send: (request, usual) => {
        const queueId = request.messages?.[0]?.systemProperties?.queueId ?? 0;
        used.set(`${name} ${queueId}`, (used.get(`${name} ${queueId}`) ?? 0) + 1);
        return usual;
      },
    });
    using first = await FakeBroker.start(behaviour("a"));
    using second = await FakeBroker.start(behaviour("b"), { name: "fake-b" });
    first.routeTo.push({ name: "fake-b", port: second.port });
    await using producer = new Producer({ endpoints: first.endpoints, topics: [topic] });
    await producer.startup();
    for (let count = 0; count < 8; count++) await producer.send({ topic, body });
    assert.deepEqual(
      Object.fromEntries(used),
      Object.fromEntries(["a 0", "a 1", "b 0", "b 1"].map((key) => [key, 2])),
    );
  });

  it("backs off when told that there are too many requests, and gives up after maxAttempts", async () => {
    const times: number[] = [];
    using broker = await FakeBroker.start({
      settings: {
        publishing: { maxBodySize: 100, validateMessageType: true },
        backoffPolicy: {
          maxAttempts: 3,
          exponentialBackoff: {
            initial: { seconds: 0, nanos: 40_000_000 },
            max: { seconds: 1, nanos: 0 },
            multiplier: 2,
          },
        },
      },
      send: () => {
        times.push(performance.now());
        return { status: { code: 42_900, message: "slow down" }, entries: [] };
      },
    });
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    await assert.rejects(producer.send({ topic, body }), { code: "TOO_MANY_REQUESTS" });
    assert.equal(times.length, 3);
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 38);
    assert.ok((times[2] ?? 0) - (times[1] ?? 0) >= 78);
    await assert.rejects(producer.send({ topic, body: Buffer.alloc(101) }), {
      code: "MESSAGE_BODY_TOO_LARGE",
    });
  });

  it("keeps the order of a message group, one call at a time", async () => {
    let inFlight = 0;
    using broker = await FakeBroker.start({
      send: async (_request, usual) => {
        assert.equal(++inFlight, 1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        inFlight--;
        return usual;
      },
    });
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const sends: Promise<unknown>[] = [];
    for (let round = 0; round < 5; round++) {
      for (let index = 0; index < 60; index++) {
        const text = `${round * 60 + index}`;
        sends.push(producer.send({ topic, messageGroup: "g", body: Buffer.from(text) }));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(sends);
    const order = broker.stored.map(({ message }) =>
      Number(Buffer.from(message.body ?? []).toString()),
    );
    assert.deepEqual(
      order,
      Array.from({ length: 300 }, (_, index) => index),
    );
  });

  it("refuses what no server would take, before it is sent", async () => {
    using broker = await FakeBroker.start();
    broker.messageTypes = [1];
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const refused: [object, string][] = [
      [{ topic: "", body }, "ILLEGAL_TOPIC"],
      [{ topic, body: Buffer.alloc(0) }, "MESSAGE_BODY_EMPTY"],
      [{ topic, body: "text" }, "BAD_REQUEST"],
      [{ topic, body, keys: [" "] }, "ILLEGAL_MESSAGE_KEY"],
      [{ topic, body, tag: "a|b" }, "ILLEGAL_MESSAGE_TAG"],
      [{ topic, body, messageGroup: "g" }, "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE"],
      [{ topic, body, messageGroup: "g", delay: 5 }, "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE"],
      [{ topic, body, messageGroup: " " }, "ILLEGAL_MESSAGE_GROUP"],
      [{ topic, body, priority: -1 }, "BAD_REQUEST"],
      [{ topic, body, priority: 0.5 }, "BAD_REQUEST"],
      [{ topic, body, priority: 2_147_483_648 }, "BAD_REQUEST"],
      [{ topic, body, deliveryTimestamp: new Date(Number.NaN) }, "ILLEGAL_DELIVERY_TIME"],
    ];
    for (const [message, code] of refused) {
      await assert.rejects(producer.send(message as never), { code });
    }
    assert.equal(broker.stored.length, 0);
  });

  it("waits for room in the buffer, or rejects when told to", async () => {
    const gate = new AbortController();
    const opened = new Promise<void>((resolve) => {
      gate.signal.addEventListener("abort", () => resolve());
    });
    using broker = await FakeBroker.start({
      send: async (_request, usual) => {
        await opened;
        return usual;
      },
    });
    const options = { endpoints: broker.endpoints, topics: [topic], maxBufferCount: 2 };
    await using waiting = new Producer({ ...options, bufferTimeout: 50 });
    await using rejecting = new Producer({ ...options, whenBufferFull: "reject" });
    await Promise.all([waiting.startup(), rejecting.startup()]);
    const first = [1, 2].map(() => rejecting.send({ topic, body }));
    await assert.rejects(rejecting.send({ topic, body }), { code: "BUFFER_FULL" });
    const second = [1, 2].map(() => waiting.send({ topic, body }));
    await assert.rejects(waiting.send({ topic, body }), { code: "TIMEOUT" });
    const third = waiting.send({ topic, body });
    gate.abort();
    await Promise.all([...first, ...second, third]);
    assert.equal(broker.stored.length, 5);
  });

  it("rejects at once when the signal is aborted, before and while it is sent", async () => {
    using broker = await FakeBroker.start({ send: () => new Promise(() => {}) });
    await using producer = new Producer({
      endpoints: broker.endpoints,
      topics: [topic],
      requestTimeout: 200,
      maxAttempts: 1,
    });
    await producer.startup();
    const reason = new Error("changed my mind");
    await assert.rejects(
      producer.send({ topic, body }, { signal: AbortSignal.abort(reason) }),
      reason,
    );
    const controller = new AbortController();
    const sending = producer.send({ topic, body }, { signal: controller.signal });
    await until(() => broker.batches.length === 1);
    controller.abort(reason);
    await assert.rejects(sending, reason);
  });

  it("sends what it holds before it shuts down, says good-bye, and refuses later sends", async () => {
    using broker = await FakeBroker.start();
    const producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await assert.rejects(producer.send({ topic, body }), { code: "CLOSED", message: /startup/ });
    await producer.startup();
    assert.ok(producer.isRunning());
    const sends = Promise.all(Array.from({ length: 1000 }, () => producer.send({ topic, body })));
    await Promise.all([producer.shutdown(), producer.shutdown()]);
    await sends;
    assert.equal(broker.stored.length, 1000);
    assert.deepEqual(broker.terminated, [producer.clientId]);
    await assert.rejects(producer.send({ topic, body }), { code: "CLOSED" });
    await assert.rejects(producer.startup(), { code: "CLOSED" });
  });

  it("starts without topics, and tells brokers of the topics it comes to send to", async () => {
    using broker = await FakeBroker.start();
    await using producer = new Producer({ endpoints: broker.endpoints });
    await producer.startup();
    await producer.send({ topic, body });
    await until(() =>
      broker.settingsReceived.some((settings) => settings.publishing?.topics?.[0]?.name === topic),
    );
  });

  it("goes on when its broker was away for a moment: nothing but ids may come twice", async () => {
    using broker = await FakeBroker.start();
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    await producer.send({ topic, body });
    broker.stop();
    const during = Promise.all(Array.from({ length: 100 }, () => producer.send({ topic, body })));
    await new Promise((resolve) => setTimeout(resolve, 300));
    await broker.listen();
    await during;
    await producer.send({ topic, body });
    const ids = new Set(broker.stored.map(({ message }) => message.systemProperties?.messageId));
    assert.equal(ids.size, 102);
  });

  it("carries properties, delay and namespace", async () => {
    using broker = await FakeBroker.start();
    await using producer = new Producer({
      endpoints: broker.endpoints,
      topics: [topic],
      namespace: "ns",
    });
    await producer.startup();
    const properties = new Map([
      ["a", "1"],
      ["ключ", "значение"],
    ]);
    await producer.send({ topic, body, properties, delay: 60_000, keys: ["k1", "k2"], tag: "t" });
    const message = broker.stored[0]?.message;
    assert.deepEqual({ ...message?.topic }, { resourceNamespace: "ns", name: topic });
    assert.deepEqual({ ...message?.userProperties }, Object.fromEntries(properties));
    const system = message?.systemProperties;
    assert.deepEqual(system?.keys, ["k1", "k2"]);
    assert.equal(system?.tag, "t");
    assert.equal(system?.messageType, 3);
    const due = Number(system?.deliveryTimestamp?.seconds) * 1000;
    assert.ok(Math.abs(due - Date.now() - 60_000) < 2_000);
    assert.equal(broker.headers.at(-1)?.get("x-mq-namespace")[0], "ns");
    assert.ok(ok.code === 20_000);
  });

  it("uses the union of what NameServers know, without waiting for a dead one", async () => {
    using first = await FakeBroker.start({}, { name: "fake-a" });
    using second = await FakeBroker.start({}, { name: "fake-b" });
    using one = await FakeBroker.start({ nameServer: true });
    using other = await FakeBroker.start({ nameServer: true });
    one.routeTo = [{ name: "fake-a", port: first.port }];
    other.routeTo = [{ name: "fake-b", port: second.port }];
    using silent = await FakeSocketServer.start(() => {});
    const endpoints = [silent, one, other, { endpoints: `127.0.0.1:${await refusedPort()}` }];
    const startMs = performance.now();
    await using producer = new Producer({
      endpoints: endpoints.map((server) => server.endpoints).join(";"),
      topics: [topic],
    });
    await producer.startup();
    assert.ok(performance.now() - startMs < 2_000, "the silent one was not waited for");
    for (let count = 0; count < 10; count++) await producer.send({ topic, body });
    assert.equal(first.stored.length, 5);
    assert.equal(second.stored.length, 5);
    assert.equal(one.heartbeats + other.heartbeats, 0);
  });

  it("tells every broker who it is, and signs when it has credentials", async () => {
    using broker = await FakeBroker.start();
    const sessionCredentials = { accessKey: "AK", accessSecret: "secret" };
    await using producer = new Producer({
      endpoints: broker.endpoints,
      topics: [topic],
      sessionCredentials,
    });
    await producer.startup();
    await producer.send({ topic, body });
    const [settings] = broker.settingsReceived;
    assert.equal(settings?.clientType, 1);
    assert.equal(settings?.publishing?.topics?.[0]?.name, topic);
    for (const headers of broker.headers) {
      assert.equal(headers.get("x-mq-client-id")[0], producer.clientId);
      assert.match(String(headers.get("authorization")[0]), /^MQv2-HMAC-SHA1 Credential=AK, /);
    }
  });

  it("no send fails when one of two brokers dies, and both are used again when it is back", async () => {
    using first = await FakeBroker.start();
    using second = await FakeBroker.start({}, { name: "fake-b" });
    const both = [
      { name: "fake-a", port: first.port },
      { name: "fake-b", port: second.port },
    ];
    first.routeTo = both;
    second.routeTo = both;
    await using producer = new Producer({ endpoints: first.endpoints, topics: [topic] });
    await producer.startup();
    const send = (count: number): Promise<unknown> =>
      Promise.all(Array.from({ length: count }, () => producer.send({ topic, body })));
    await send(10);
    first.stop();
    for (let round = 0; round < 20; round++) await send(10);
    assert.ok(second.stored.length >= 200);
    await first.listen();
    const before = first.stored.length;
    for (let round = 0; round < 200 && first.stored.length === before; round++) {
      await send(1);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(first.stored.length > before);
  });
});
