import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BroadcastConsumer, type BroadcastConsumerOptions } from "./broadcast-consumer.ts";
import { ClientError } from "./client-error.ts";
import { FakeBroker, until } from "./testkit/fake-broker.ts";

const topic = "news";
const group = "g";

function coded(code: string): (error: unknown) => boolean {
  return (error) => error instanceof ClientError && error.code === code;
}

function make(broker: FakeBroker, options: Partial<BroadcastConsumerOptions>): BroadcastConsumer {
  return new BroadcastConsumer({
    endpoints: broker.endpoints,
    consumerGroup: group,
    subscriptions: new Map([[topic, "*"]]),
    longPollingTimeout: 1_000,
    initialPosition: "beginning",
    ...options,
  });
}

async function open(
  broker: FakeBroker,
  options: Partial<BroadcastConsumerOptions>,
): Promise<BroadcastConsumer> {
  const consumer = make(broker, options);
  await consumer.startup();
  return consumer;
}

async function pollAll(consumer: BroadcastConsumer, count: number): Promise<string[]> {
  const all: string[] = [];
  while (all.length < count) {
    const messages = await consumer.poll({ timeout: 3_000 });
    assert.ok(messages.length > 0, `only ${all.length} of ${count}`);
    all.push(...messages.map(({ body }) => body.toString()));
  }
  return all.sort();
}

describe("BroadcastConsumer", () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "broadcast-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("gives each instance every message of all queues", async () => {
    using broker = await FakeBroker.start();
    broker.queues.store(topic, 0, ["a", "b"]);
    broker.queues.store(topic, 1, ["c"]);
    await using one = await open(broker, { clientName: "one" });
    await using two = await open(broker, { clientName: "two" });
    assert.deepEqual(await pollAll(one, 3), ["a", "b", "c"]);
    assert.deepEqual(await pollAll(two, 3), ["a", "b", "c"]);
    assert.equal(broker.queues.asked.length, 0, "nobody shares anything");
    assert.equal(broker.settingsReceived[0]?.subscription?.group?.name, group);
  });

  it("keeps its position under its name on the broker", async () => {
    using broker = await FakeBroker.start();
    broker.queues.store(topic, 0, ["a", "b"]);
    const one = await open(broker, { clientName: "one" });
    await pollAll(one, 2);
    await one.shutdown();
    assert.equal(broker.queues.offsets.get(`${group}|one ${topic} 0`), 2);
    broker.queues.store(topic, 0, ["c"]);
    await using again = await open(broker, { clientName: "one" });
    assert.deepEqual(await pollAll(again, 1), ["c"]);
    await using other = await open(broker, { clientName: "other" });
    assert.deepEqual(await pollAll(other, 3), ["a", "b", "c"]);
  });

  it("keeps its position in a file, which is whole at any moment", async () => {
    using broker = await FakeBroker.start();
    const positionFile = join(folder, "positions.json");
    broker.queues.store(topic, 0, ["a", "b"]);
    const one = await open(broker, { positionFile });
    await pollAll(one, 2);
    await one.shutdown();
    assert.deepEqual(broker.queues.commits, []);
    assert.deepEqual(await readdir(folder), ["positions.json"]);
    const content: unknown = JSON.parse(await readFile(positionFile, "utf8"));
    assert.deepEqual(content, {
      version: 1,
      consumerGroup: group,
      positions: [
        { topic, brokerName: "fake-a", queueId: 0, offset: 2 },
        { topic, brokerName: "fake-a", queueId: 1, offset: 0 },
      ],
    });
    broker.queues.store(topic, 0, ["c"]);
    await using again = await open(broker, { positionFile });
    assert.deepEqual(await pollAll(again, 1), ["c"]);
  });

  it("does not begin anew when its file is broken or another's", async () => {
    using broker = await FakeBroker.start();
    const positionFile = join(folder, "positions.json");
    for (const text of [
      "{",
      "[]",
      '{"version":2,"consumerGroup":"g","positions":[]}',
      '{"version":1,"consumerGroup":"h","positions":[]}',
      '{"version":1,"consumerGroup":"g","positions":[{"topic":"t","brokerName":"b","queueId":0,"offset":-1}]}',
    ]) {
      await writeFile(positionFile, text);
      await assert.rejects(open(broker, { positionFile }), coded("BAD_OPTION"), text);
    }
    const nowhere = join(folder, "no", "such", "folder");
    const consumer = await open(broker, { positionFile: nowhere, autoCommit: false });
    broker.queues.store(topic, 0, ["a"]);
    await pollAll(consumer, 1);
    await assert.rejects(consumer.commit(), /ENOENT/);
    await consumer.shutdown();
  });

  it("begins at the end when nothing is said, and misses nothing after that", async () => {
    using broker = await FakeBroker.start();
    broker.queues.store(topic, 0, ["old"]);
    const positionFile = join(folder, "positions.json");
    const options = { positionFile, initialPosition: undefined };
    const one = await open(broker, options);
    assert.deepEqual(await one.poll({ timeout: 100 }), []);
    await one.shutdown();
    broker.queues.store(topic, 0, ["new"]);
    await using again = await open(broker, options);
    assert.deepEqual(await pollAll(again, 1), ["new"]);
  });

  it("reads a queue that came while it was away from its beginning", async () => {
    using broker = await FakeBroker.start();
    using second = await FakeBroker.start({}, { name: "fake-b" });
    const options = { clientName: "one", initialPosition: undefined };
    const one = await open(broker, options);
    assert.deepEqual(await one.poll({ timeout: 100 }), []);
    await one.shutdown();
    broker.routeTo.push({ name: "fake-b", port: second.port });
    second.queues.store(topic, 1, ["missed"]);
    await using again = await open(broker, options);
    assert.deepEqual(await pollAll(again, 1), ["missed"]);
  });

  it("keeps only what is done with when an exception cuts it off", async () => {
    using broker = await FakeBroker.start();
    broker.queues.store(topic, 0, ["a", "b", "c"]);
    const failing = async (): Promise<void> => {
      await using consumer = await open(broker, { clientName: "one" });
      for await (const message of consumer) {
        if (message.body.toString() === "b") throw new Error("the application failed");
      }
    };
    await assert.rejects(failing(), /the application failed/);
    assert.equal(broker.queues.offsets.get(`${group}|one ${topic} 0`), 1);
  });

  it("moves, and says where it is", async () => {
    using broker = await FakeBroker.start();
    broker.queues.store(topic, 0, ["a", "b", "c"]);
    await using consumer = await open(broker, { clientName: "one" });
    await until(() => consumer.queues().length === 2);
    const queue = { topic, brokerName: "fake-a", queueId: 0 };
    await consumer.seek(queue, 2);
    assert.deepEqual(await pollAll(consumer, 1), ["c"]);
    assert.equal(consumer.position(queue), 3);
  });

  it("needs a name or a file, and not both", () => {
    using broker = { endpoints: "127.0.0.1:1", [Symbol.dispose]: () => {} };
    for (const options of [
      {},
      { clientName: "a", positionFile: "b" },
      { clientName: "" },
      { positionFile: "" },
    ]) {
      assert.throws(() => make(broker as FakeBroker, options), coded("BAD_OPTION"));
    }
  });
});
