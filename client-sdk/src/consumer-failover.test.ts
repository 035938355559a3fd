// What consumers live through while masters die, move, refuse or fall silent.
import assert from "node:assert/strict";
import { ClientError } from "./client-error.ts";
import { ConsumeResult } from "./consume-result.ts";
import type { MessageView } from "./message-view.ts";
import { PushConsumer, type PushConsumerOptions } from "./push-consumer.ts";
import { SimpleConsumer } from "./simple-consumer.ts";
import { FakeBroker, until } from "./testkit/fake-broker.ts";
import { QuietWire } from "./testkit/quiet-wire.ts";

const topic = "orders";
const group = "g";
const subscriptions = new Map([[topic, "*"]]);

function store(broker: FakeBroker, count: number, from = 0): void {
  for (let index = from; index < from + count; index++) {
    broker.store({
      topic: { name: topic },
      body: Buffer.from(`m${index}`),
      systemProperties: { messageId: `id-${index}` },
    });
  }
}

async function nameServer(port: number): Promise<FakeBroker> {
  const server = await FakeBroker.start({ nameServer: true });
  server.routeTo = [{ name: "fake-a", port }];
  return server;
}

function moveTo(names: FakeBroker, broker: FakeBroker): void {
  names.routeTo = [{ name: "fake-a", port: broker.port }];
}

async function simple(names: FakeBroker): Promise<SimpleConsumer> {
  const consumer = new SimpleConsumer({
    endpoints: names.endpoints,
    consumerGroup: group,
    subscriptions,
    awaitDuration: 5_000,
  });
  await consumer.startup();
  return consumer;
}

async function push(
  names: FakeBroker,
  consume: (message: MessageView) => ConsumeResult | Promise<ConsumeResult>,
  options: Partial<PushConsumerOptions> = {},
): Promise<PushConsumer> {
  const consumer = new PushConsumer({
    endpoints: names.endpoints,
    consumerGroup: group,
    subscriptions,
    messageListener: { consume },
    ...options,
  });
  await consumer.startup();
  return consumer;
}

describe("push consumers during a failover", () => {
  it("move to the new master at once when the connection fails, and acknowledge there what they had", async () => {
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using names = await nameServer(old.port);
    store(old, 3);
    const gate = new AbortController();
    const opened = new Promise<void>((resolve) => {
      gate.signal.addEventListener("abort", () => resolve());
    });
    let begun = 0;
    await using consumer = await push(names, async () => {
      begun++;
      await opened;
      return ConsumeResult.SUCCESS;
    });
    await until(() => begun === 3);
    old.stop();
    next.takeOver(old);
    store(next, 2, 3);
    moveTo(names, next);
    const startMs = performance.now();
    await until(() => begun === 5);
    assert.ok(performance.now() - startMs < 1_000, "the new master was polled at once");
    gate.abort();
    await until(() => next.acked.length === 5);
    assert.equal(begun, 5, "nothing came twice");
    assert.ok(consumer.isRunning());
  });

  it("move when the old master says that it is none, and do not ask it in a hurry meanwhile", async () => {
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using names = await nameServer(old.port);
    let polls = 0;
    old.behaviour.receive = (_request, stream) => {
      polls++;
      // Status 50002 as a frame of its own.
      stream.write(Buffer.from([0x0a, 0x04, 0x08, 0xd2, 0x86, 0x03]));
      stream.end();
      return true;
    };
    await using consumer = await push(names, () => ConsumeResult.SUCCESS);
    await until(() => polls >= 4);
    const asked = names.headers.length;
    assert.ok(asked > 1, "the route was asked for again");
    assert.ok(polls < 10, `${polls} polls`);
    store(next, 1);
    moveTo(names, next);
    const startMs = performance.now();
    await until(() => next.acked.length === 1);
    assert.ok(performance.now() - startMs < 1_000);
    void consumer;
  });

  it("find out that a held poll waits on a connection that is dead", async () => {
    using gone = await FakeBroker.start();
    using next = await FakeBroker.start();
    using wire = await QuietWire.open(gone.port);
    using names = await nameServer(wire.port);
    store(gone, 1);
    await using consumer = await push(names, () => ConsumeResult.SUCCESS);
    await until(() => gone.acked.length === 1);
    wire.silence();
    store(next, 1);
    moveTo(names, next);
    await until(() => next.acked.length === 1, 6_000);
    void consumer;
  });

  it("come back to a name that was not listed for a while", async () => {
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using other = await FakeBroker.start({}, { name: "fake-b" });
    using names = await nameServer(old.port);
    const rest = { name: "fake-b", port: other.port };
    names.routeTo.push(rest);
    await using consumer = await push(names, () => ConsumeResult.SUCCESS);
    old.stop();
    names.routeTo = [rest];
    const asked = names.headers.length;
    await until(() => names.headers.length > asked + 4);
    store(next, 1);
    names.routeTo = [rest, { name: "fake-a", port: next.port }];
    await until(() => next.acked.length === 1, 2_000);
    void consumer;
  });

  it("shut down within their bound while an acknowledgement finds no broker", async () => {
    using broker = await FakeBroker.start();
    using names = await nameServer(broker.port);
    store(broker, 1);
    let begun = 0;
    const gate = new AbortController();
    const opened = new Promise<void>((resolve) => {
      gate.signal.addEventListener("abort", () => resolve());
    });
    const consumer = await push(
      names,
      async () => {
        begun++;
        await opened;
        return ConsumeResult.SUCCESS;
      },
      { drainTimeout: 700 },
    );
    await until(() => begun === 1);
    broker.stop();
    gate.abort();
    const startMs = performance.now();
    await consumer.shutdown();
    assert.ok(performance.now() - startMs < 2_000);
  });
});

describe("simple consumers during a failover", () => {
  it("receive from the new master in the call that found the old one gone, and acknowledge there", async () => {
    using old = await FakeBroker.start();
    using next = await FakeBroker.start();
    using names = await nameServer(old.port);
    await using consumer = await simple(names);
    store(old, 1);
    const [first] = await consumer.receive(1);
    assert.ok(first);
    const held = consumer.receive(1);
    old.stop();
    const acked = consumer.ack(first);
    const asked = names.headers.length;
    await until(() => names.headers.length > asked + 3);
    next.takeOver(old);
    store(next, 1, 1);
    moveTo(names, next);
    await acked;
    assert.deepEqual(next.acked, ["id-0"]);
    const [second] = await held;
    assert.equal(second?.messageId, "id-1");
    await consumer.changeInvisibleDuration(second, 1_000);
    assert.deepEqual(next.invisible, [{ messageId: "id-1", ms: 1_000 }]);
  });

  it("give an acknowledgement up when others may get the message", async () => {
    using broker = await FakeBroker.start();
    using names = await nameServer(broker.port);
    await using consumer = await simple(names);
    store(broker, 1);
    const [message] = await consumer.receive(1, 900);
    assert.ok(message);
    broker.stop();
    const startMs = performance.now();
    await assert.rejects(consumer.ack(message), (error: ClientError) => error.retryable);
    const tookMs = performance.now() - startMs;
    assert.ok(tookMs > 500 && tookMs < 2_500, `${tookMs} ms`);
  });
});
