// Every promise settles: brokers that are gone, never were, are silent, or answer nonsense.
import assert from "node:assert/strict";
import { status as grpcStatus } from "@grpc/grpc-js";
import { ClientError } from "./client-error.ts";
import { ConsumeResult } from "./consume-result.ts";
import { Producer } from "./producer.ts";
import { PushConsumer } from "./push-consumer.ts";
import { SimpleConsumer } from "./simple-consumer.ts";
import {
  type FakeBehaviour,
  FakeBroker,
  FakeSocketServer,
  GrpcFailure,
  refusedPort,
  until,
} from "./testkit/fake-broker.ts";

const topic = "orders";
const body = Buffer.from("hello");
const requestTimeout = 300;

async function failure(promise: Promise<unknown>, withinMs: number): Promise<ClientError> {
  const startMs = performance.now();
  const error: unknown = await promise.then(
    () => new Error("should have failed"),
    (reason: unknown) => reason,
  );
  assert.ok(performance.now() - startMs < withinMs, `took ${performance.now() - startMs} ms`);
  assert.ok(error instanceof ClientError, String(error));
  return error;
}

async function started(behaviour: FakeBehaviour): Promise<{
  broker: FakeBroker;
  producer: Producer;
  consumer: SimpleConsumer;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const broker = await FakeBroker.start(behaviour);
  const options = { endpoints: broker.endpoints, requestTimeout };
  const producer = new Producer({ ...options, topics: [topic], sendTimeout: 1_500 });
  const consumer = new SimpleConsumer({
    ...options,
    consumerGroup: "g",
    subscriptions: new Map([[topic, "*"]]),
    awaitDuration: 300,
  });
  await Promise.all([producer.startup(), consumer.startup()]);
  return {
    broker,
    producer,
    consumer,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([producer.shutdown(), consumer.shutdown()]);
      broker.stop();
    },
  };
}

function clients(endpoints: string): (Producer | SimpleConsumer | PushConsumer)[] {
  const subscriptions = new Map([[topic, "*"]]);
  const options = { endpoints, requestTimeout };
  return [
    new Producer(options),
    new Producer({ ...options, topics: [topic] }),
    new SimpleConsumer({ ...options, consumerGroup: "g", subscriptions }),
    new PushConsumer({
      ...options,
      consumerGroup: "g",
      subscriptions,
      messageListener: { consume: () => ConsumeResult.SUCCESS },
    }),
  ];
}

/** What start-up fails with, at the same time for each. */
function failures(list: readonly { startup(): Promise<void> }[]): Promise<ClientError[]> {
  return Promise.all(list.map((client) => failure(client.startup(), 2_500)));
}

describe("start-up against what is no broker", () => {
  it("a port that refuses", async () => {
    const endpoints = `127.0.0.1:${await refusedPort()}`;
    for (const error of await failures(clients(endpoints))) {
      assert.equal(error.code, "UNREACHABLE");
      assert.ok(error.message.includes(endpoints), error.message);
    }
  });

  it("a socket that accepts and says nothing", async () => {
    using server = await FakeSocketServer.start(() => {});
    for (const error of await failures(clients(server.endpoints))) {
      assert.ok(["UNREACHABLE", "TIMEOUT"].includes(error.code), error.code);
      assert.ok(error.message.includes(server.endpoints), error.message);
    }
  });

  it("a server that answers garbage", async () => {
    using server = await FakeSocketServer.start((socket) => {
      socket.on("data", () => socket.write("HTTP/1.1 400 what?\r\n\r\nnonsense".repeat(50)));
    });
    for (const error of await failures(clients(server.endpoints))) {
      assert.ok(["UNREACHABLE", "TIMEOUT", "PROTOCOL"].includes(error.code), error.code);
    }
  });

  it("a NameServer that names a broker which is gone", async () => {
    using server = await FakeBroker.start({ nameServer: true });
    server.routeTo = [{ name: "gone", port: await refusedPort() }];
    const [, ...withTopics] = clients(server.endpoints);
    for (const error of await failures(withTopics)) {
      assert.ok(["UNREACHABLE", "TIMEOUT"].includes(error.code), error.code);
    }
  });

  it("a broker that never answers the settings", async () => {
    using broker = await FakeBroker.start({ settings: "silent" });
    const [, ...withTopics] = clients(broker.endpoints);
    for (const error of await failures(withTopics)) {
      assert.equal(error.code, "TIMEOUT");
      assert.match(error.message, /settings/);
    }
  });

  it("a server without such a topic, a route without brokers, a route of broken bytes", async () => {
    using broker = await FakeBroker.start();
    const [, producer, simple, push] = clients(broker.endpoints);
    broker.behaviour.route = () => ({ status: { code: 40_402, message: "no such topic" } });
    assert.match(
      (await failure(producer?.startup() ?? Promise.resolve(), 1_500)).message,
      /TOPIC_NOT_FOUND: .*no such topic.*orders/,
    );
    broker.behaviour.route = (_request, usual) => ({ ...usual, messageQueues: [] });
    assert.equal(
      (await failure(simple?.startup() ?? Promise.resolve(), 1_500)).code,
      "TOPIC_NOT_FOUND",
    );
    broker.behaviour.route = () => Buffer.from([0xff, 0xff, 0xff]);
    assert.equal((await failure(push?.startup() ?? Promise.resolve(), 1_500)).code, "PROTOCOL");
  });

  it("aborted by its signal, or shut down meanwhile", async () => {
    using server = await FakeSocketServer.start(() => {});
    const [first, second] = clients(server.endpoints);
    const controller = new AbortController();
    const starting = first?.startup({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(starting ?? Promise.resolve(), /enough/);
    const other = failure(second?.startup() ?? Promise.resolve(), 1_000);
    await second?.shutdown();
    assert.equal((await other).code, "CLOSED");
  });
});

/** Answers a receive with one frame of these bytes, or none, and ends it. */
function answering(bytes: number[] | undefined): NonNullable<FakeBehaviour["receive"]> {
  return (_request, stream) => {
    if (bytes !== undefined) stream.write(Buffer.from(bytes));
    stream.end();
    return true;
  };
}

describe("a broker that answers nonsense", () => {
  const sendCases: Record<string, FakeBehaviour["send"]> = {
    "broken bytes": () => Buffer.from([0x0a, 0xff]),
    "an empty message": () => Buffer.alloc(0),
    "no status": (_request, usual) => ({ entries: (usual.entries ?? []).map(() => ({})) }),
    "an unknown status": () => ({ status: { code: 12_345, message: "?" }, entries: [] }),
    "no entries": () => ({ status: { code: 20_000 }, entries: [] }),
    "too few entries": (_request, usual) => ({
      ...usual,
      entries: (usual.entries ?? []).slice(0, 2),
    }),
  };
  for (const [name, send] of Object.entries(sendCases)) {
    it(`send: ${name}`, async () => {
      await using it = await started(send === undefined ? {} : { send });
      const sends = [1, 2, 3].map(() => it.producer.send({ topic, body }));
      const errors = await Promise.all(sends.map((one) => failure(one, 3_000)));
      for (const error of errors) assert.equal(error.code, "PROTOCOL", error.message);
    });
  }

  it("send: a gRPC error, silence, a broken connection", async () => {
    const codes = [
      [grpcStatus.INTERNAL, "PROTOCOL"],
      [grpcStatus.UNAUTHENTICATED, "UNAUTHORIZED"],
      [grpcStatus.UNIMPLEMENTED, "UNSUPPORTED"],
    ] as const;
    await using it = await started({});
    for (const [grpc, code] of codes) {
      it.broker.behaviour.send = () => Promise.reject(new GrpcFailure(grpc));
      assert.equal((await failure(it.producer.send({ topic, body }), 3_000)).code, code);
    }
    it.broker.behaviour.send = () => new Promise(() => {});
    assert.equal((await failure(it.producer.send({ topic, body }), 1_500)).code, "TIMEOUT");
    it.broker.behaviour.send = () => {
      it.broker.stop();
      return new Promise(() => {});
    };
    const error = await failure(it.producer.send({ topic, body }), 3_000);
    assert.ok(["UNREACHABLE", "TIMEOUT"].includes(error.code), error.message);
  });

  it("receive: no status, nothing at all, broken bytes, a refusal, silence", async () => {
    await using it = await started({});
    for (const bytes of [undefined, [], [0x12, 0x00], [0x0a, 0x7f]]) {
      it.broker.behaviour.receive = answering(bytes);
      assert.equal((await failure(it.consumer.receive(), 3_000)).code, "PROTOCOL");
    }
    it.broker.behaviour.receive = answering([0x0a, 0x04, 0x08, 0xd3, 0xbb, 0x02]);
    assert.equal((await failure(it.consumer.receive(), 3_000)).code, "CONSUMER_GROUP_NOT_FOUND");
    it.broker.behaviour.receive = () => true;
    assert.equal((await failure(it.consumer.receive(), 2_500)).code, "TIMEOUT");
  });

  it("ack: no status, no entry, a refused entry, and a message that is unknown", async () => {
    await using it = await started({});
    await Promise.all([1, 2, 3, 4].map(() => it.producer.send({ topic, body })));
    const [first, second, third, fourth] = await it.consumer.receive(4);
    assert.ok(first && second && third && fourth);
    it.broker.behaviour.ack = () => ({});
    assert.equal((await failure(it.consumer.ack(first), 3_000)).code, "PROTOCOL");
    it.broker.behaviour.ack = (_request, usual) => ({ ...usual, entries: [] });
    assert.equal((await failure(it.consumer.ack(second), 3_000)).code, "PROTOCOL");
    it.broker.behaviour.ack = (_request, usual) => usual;
    third.receiptHandle = "stale";
    const [stale, good] = await Promise.allSettled([
      it.consumer.ack(third),
      it.consumer.ack(fourth),
    ]);
    assert.equal(stale.status, "rejected");
    assert.equal(stale.status === "rejected" && stale.reason.code, "INVALID_RECEIPT_HANDLE");
    assert.equal(good.status, "fulfilled");
    const changed = it.consumer.changeInvisibleDuration(third, 1_000);
    assert.equal((await failure(changed, 1_000)).code, "INVALID_RECEIPT_HANDLE");
  });

  it("telemetry of broken bytes does not hurt a running client", async () => {
    await using it = await started({});
    it.broker.command({ status: { code: 50_001, message: "nonsense" } });
    it.broker.command({ verifyMessageCommand: { nonce: "n" } });
    it.broker.command({ printThreadStackTraceCommand: { nonce: "n" } });
    const known = it.broker.settingsReceived.length;
    it.broker.command({ reconnectEndpointsCommand: { nonce: "n" } });
    await until(() => it.broker.settingsReceived.length >= known + 2);
    await it.producer.send({ topic, body });
  });
});

describe("a broker that dies", () => {
  it("leaves no promise unsettled: sends, a held receive, acks", async () => {
    await using it = await started({});
    await it.producer.send({ topic, body });
    const [message] = await it.consumer.receive(1, 1_000);
    assert.ok(message);
    const held = failure(it.consumer.receive(), 4_000);
    const sends = Array.from({ length: 500 }, () => it.producer.send({ topic, body }));
    it.broker.stop();
    // It is tried again until others may get the message.
    const acked = failure(it.consumer.ack(message), 4_000);
    const results = await Promise.allSettled(sends);
    assert.equal(results.length, 500);
    for (const result of results) {
      if (result.status === "rejected") assert.ok(result.reason instanceof ClientError);
    }
    assert.ok((await held).retryable);
    assert.ok((await acked).retryable);
  });
});
