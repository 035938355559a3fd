// What producers live through while masters die, move, refuse, fall silent or are drained.
import assert from "node:assert/strict";
import type { rocketmq } from "@cometmq/proto";
import { ClientError } from "./client-error.ts";
import { Producer, type ProducerOptions } from "./producer.ts";
import { FakeBroker, FakeSocketServer, ok, refusedPort, until } from "./testkit/fake-broker.ts";
import { QuietWire } from "./testkit/quiet-wire.ts";

const topic = "orders";
const body = Buffer.from("hello");
const notMaster = { status: { code: 50_002, message: "not the master now" }, entries: [] };

async function started(
  endpoints: string,
  options: Partial<ProducerOptions> = {},
): Promise<Producer> {
  const producer = new Producer({ endpoints, topics: [topic], ...options });
  await producer.startup();
  return producer;
}

function nameServer(...brokers: FakeBroker[]): Promise<FakeBroker> {
  return FakeBroker.start({ nameServer: true }).then((server) => {
    server.routeTo = brokers.map(({ name, port }) => ({ name, port }));
    return server;
  });
}

function send(producer: Producer, count: number): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, () => producer.send({ topic, body })));
}

function idOf(request: rocketmq.v2.ISendMessageRequest): string {
  return request.messages?.[0]?.systemProperties?.messageId ?? "";
}

describe("sends during a failover", () => {
  it("leave a broker that is no master any more, and find the new one by the news of a NameServer", async () => {
    const ids = new Set<string>();
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using names = await nameServer(old);
    let refusals = 0;
    let changedAt = 0;
    old.behaviour.send = (request) => {
      ids.add(idOf(request));
      if (++refusals === 6) {
        names.routeTo = [{ name: "fake-a", port: next.port }];
        changedAt = performance.now();
      }
      return notMaster;
    };
    await using producer = await started(names.endpoints, { maxAttempts: 1 });
    const receipt = await producer.send({ topic, body });
    assert.ok(performance.now() - changedAt < 1_000, "the route was asked for soon");
    assert.equal(receipt.endpoints.facade, next.endpoints);
    assert.deepEqual([...ids], [receipt.messageId], "one id over all attempts");
    await send(producer, 20);
    assert.equal(old.batches.length, refusals, "the old master is not called again");
  });

  it("outlive a killed master: none fails, and the gap is short once another one is listed", async () => {
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using names = await nameServer(old);
    await using producer = await started(names.endpoints);
    await send(producer, 10);
    old.stop();
    const during = send(producer, 100);
    const asked = names.headers.length;
    await until(() => names.headers.length >= asked + 8);
    names.routeTo = [{ name: "fake-a", port: next.port }];
    const changedAt = performance.now();
    await during;
    assert.ok(performance.now() - changedAt < 1_000, `${performance.now() - changedAt} ms`);
    assert.equal(
      new Set(next.stored.map(({ message }) => idOf({ messages: [message] }))).size,
      100,
    );
  });

  it("ask other brokers for the route when no named server lives", async () => {
    using names = await FakeBroker.start();
    using a = await FakeBroker.start();
    using b = await FakeBroker.start({}, { name: "fake-b" });
    using moved = await FakeBroker.start();
    const route = [a, b].map(({ name, port }) => ({ name, port }));
    names.routeTo = route;
    b.routeTo = [{ name: "fake-a", port: moved.port }, ...route.slice(1)];
    await using producer = await started(names.endpoints);
    names.stop();
    a.stop();
    for (let round = 0; round < 200 && moved.stored.length === 0; round++) {
      await send(producer, 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.ok(moved.stored.length > 0);
  });

  it("ask each server under its own address, which a broker hands out as its own", async () => {
    const asked: unknown[] = [];
    using broker = await FakeBroker.start();
    using names = await nameServer(broker);
    for (const server of [broker, names]) {
      server.behaviour.route = (request, usual) => {
        asked.push([server.port, request.endpoints?.addresses?.map(({ port }) => port)]);
        return usual;
      };
    }
    await using producer = await started(`${names.endpoints};127.0.0.1:${await refusedPort()}`);
    names.stop();
    broker.behaviour.send = (_request, usual) => (asked.length < 2 ? notMaster : usual);
    await producer.send({ topic, body });
    assert.deepEqual(asked[0], [names.port, [names.port]]);
    assert.deepEqual(asked[1], [broker.port, [broker.port]]);
  });

  it("do not go to the address that only a server without news still names", async () => {
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using fresh = await nameServer(old);
    using stale = await nameServer(old);
    await using producer = await started(`${fresh.endpoints};${stale.endpoints}`);
    old.behaviour.send = () => notMaster;
    fresh.routeTo = [{ name: "fake-a", port: next.port }];
    await send(producer, 1);
    const calls = old.batches.length;
    for (let count = 0; count < 20; count++) await send(producer, 1);
    assert.equal(old.batches.length, calls);
    assert.equal(next.stored.length, 21);
  });

  it("leave a connection that is silent for another broker, within three seconds", async () => {
    using gone = await FakeBroker.start();
    using wire = await QuietWire.open(gone.port);
    using other = await FakeBroker.start({}, { name: "fake-b" });
    using names = await nameServer(other);
    names.routeTo.push({ name: "fake-a", port: wire.port });
    await using producer = await started(names.endpoints);
    await send(producer, 4);
    wire.silence();
    const startMs = performance.now();
    for (let count = 0; count < 6; count++) await send(producer, 5);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs < 2_900, `${tookMs} ms`);
    const before = gone.stored.length;
    wire.restore();
    await until(() => {
      void producer.send({ topic, body });
      return gone.stored.length > before;
    });
  });

  it("a broker that thinks for long about one call is not given up while it answers heartbeats", async () => {
    using broker = await FakeBroker.start({
      send: async (_request, usual) => {
        await new Promise((resolve) => setTimeout(resolve, 2_300));
        return usual;
      },
    });
    await using producer = await started(broker.endpoints, { maxAttempts: 1 });
    await producer.send({ topic, body });
    assert.equal(broker.batches.length, 1);
    assert.ok(broker.heartbeats > 0);
  });

  it("leave a drained master, also when the route is old", async () => {
    using drained = await FakeBroker.start();
    using other = await FakeBroker.start({}, { name: "fake-b" });
    using names = await nameServer(drained, other);
    await using producer = await started(names.endpoints);
    drained.behaviour.send = () => ({
      status: { code: 40_300, message: "takes no messages" },
      entries: [],
    });
    names.routeTo = [
      { name: "fake-a", port: drained.port, permission: 2 },
      { name: "fake-b", port: other.port },
    ];
    for (let count = 0; count < 10; count++) await send(producer, 1);
    assert.equal(other.stored.length, 10);
    assert.ok(drained.batches.length <= 3, "the route was asked for at the first refusal");
  });
});

describe("a message that the master has and no slave", () => {
  const storedAlone: NonNullable<FakeBroker["behaviour"]["send"]> = (_request, usual) => ({
    status: { code: 50_002, message: "no slave" },
    entries: (usual.entries ?? []).map((entry) => ({
      ...entry,
      status: { code: 50_002, message: "no slave" },
    })),
  });

  it("fails with an error that says so, and is not stored there again", async () => {
    using broker = await FakeBroker.start({ send: storedAlone });
    await using producer = await started(broker.endpoints);
    await assert.rejects(producer.send({ topic, body }), (error: ClientError) => {
      assert.equal(error.code, "HA_NOT_AVAILABLE");
      assert.ok(error.stored);
      assert.match(error.message, /master has stored the message.*no slave/);
      return true;
    });
    assert.deepEqual(broker.batches, [1]);
  });

  it("is sent to another broker where there is one", async () => {
    using alone = await FakeBroker.start({ send: storedAlone });
    using good = await FakeBroker.start({}, { name: "fake-b" });
    using names = await nameServer(alone, good);
    await using producer = await started(names.endpoints);
    for (let count = 0; count < 4; count++) await send(producer, 1);
    assert.equal(good.stored.length, 4);
    assert.equal(alone.batches.length, 2, "names take turns");
  });
});

describe("message groups during a failover", () => {
  it("wait for their broker and keep their order, while other messages go on", async () => {
    using a = await FakeBroker.start();
    using moved = await FakeBroker.start();
    using b = await FakeBroker.start({}, { name: "fake-b" });
    using names = await nameServer(a, b);
    await using producer = await started(names.endpoints);
    const sendTo = async (messageGroup: string, text: string): Promise<string> =>
      (await producer.send({ topic, messageGroup, body: Buffer.from(text) })).messageQueue.broker
        .name;
    const groups = Array.from({ length: 16 }, (_, index) => `group ${index}`);
    const homes = await Promise.all(groups.map((one) => sendTo(one, "0")));
    const ofA = groups.filter((_, index) => homes[index] === "fake-a");
    const ofB = groups.filter((_, index) => homes[index] === "fake-b");
    assert.ok(ofA.length > 0 && ofB.length > 0, homes.join());
    a.stop();
    names.routeTo = [{ name: "fake-b", port: b.port }];
    let settled = 0;
    const waiting = ofA.flatMap((one) =>
      ["1", "2", "3"].map((text) => sendTo(one, text).finally(() => settled++)),
    );
    const asked = names.headers.length;
    await until(() => names.headers.length > asked + 5);
    const others = await Promise.all(ofB.map((one) => sendTo(one, "1")));
    assert.deepEqual(new Set(others), new Set(["fake-b"]));
    assert.equal(settled, 0, "those of the dead broker wait");
    names.routeTo = [...names.routeTo, { name: "fake-a", port: moved.port }];
    assert.deepEqual(new Set(await Promise.all(waiting)), new Set(["fake-a"]));
    for (const one of ofA) {
      const texts = moved.stored
        .filter(({ message }) => message.systemProperties?.messageGroup === one)
        .map(({ message }) => Buffer.from(message.body ?? []).toString());
      assert.deepEqual(texts, ["1", "2", "3"]);
    }
  });

  it("say why they wait when their deadline passes", async () => {
    using broker = await FakeBroker.start();
    using names = await nameServer(broker);
    await using producer = await started(names.endpoints, { sendTimeout: 600 });
    broker.stop();
    await assert.rejects(producer.send({ topic, messageGroup: "g", body }), {
      code: "UNREACHABLE",
    });
  });
});

describe("NameServers", () => {
  it("that are dead or silent delay a start by a moment only", async () => {
    using broker = await FakeBroker.start();
    using names = await nameServer(broker);
    using behind = await nameServer(broker);
    using stopped = await QuietWire.open(behind.port);
    using mute = await FakeSocketServer.start(() => {});
    stopped.silence();
    const dead = `127.0.0.1:${await refusedPort()}`;
    const timeOf = async (endpoints: string): Promise<number> => {
      const startMs = performance.now();
      await using producer = await started(endpoints);
      await producer.send({ topic, body });
      return performance.now() - startMs;
    };
    await timeOf(names.endpoints);
    const all = [dead, stopped.endpoints, mute.endpoints, names.endpoints].join(";");
    // The best of several, because other processes of the machine delay a start too.
    const delays: number[] = [];
    for (let round = 0; round < 3; round++) {
      const aloneMs = await timeOf(names.endpoints);
      delays.push((await timeOf(all)) - aloneMs);
    }
    assert.ok(Math.min(...delays) < 250, `${delays.join()} ms`);
  });

  it("that are all down leave running clients with the last known route", async () => {
    using a = await FakeBroker.start();
    using b = await FakeBroker.start({}, { name: "fake-b" });
    using one = await nameServer(a);
    using other = await nameServer(b);
    await using producer = await started(`${one.endpoints};${other.endpoints}`);
    one.stop();
    other.stop();
    // A refusal makes the producer ask, in vain.
    a.behaviour.send = () => notMaster;
    await send(producer, 2);
    delete a.behaviour.send;
    const before = [a.stored.length, b.stored.length];
    await until(() => {
      void producer.send({ topic, body });
      return a.stored.length > (before[0] ?? 0) && b.stored.length > (before[1] ?? 0);
    });
  });
});

describe("a shutdown during a failover", () => {
  it("ends by the deadline of the sends, and settles each of them", async () => {
    using broker = await FakeBroker.start();
    const producer = await started(broker.endpoints, { sendTimeout: 800 });
    broker.stop();
    const sends = Promise.allSettled([1, 2, 3].map(() => producer.send({ topic, body })));
    const startMs = performance.now();
    await producer.shutdown();
    assert.ok(performance.now() - startMs < 1_900);
    for (const result of await sends) {
      assert.ok(result.status === "rejected" && result.reason instanceof ClientError);
      assert.equal(result.reason.code, "UNREACHABLE");
    }
    assert.equal(ok.code, 20_000);
  });
});
