// Consumers of the SDK that read by offset, against a real broker, and the examples as their readers run them.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  BroadcastConsumer,
  ClientError,
  FilterExpression,
  FilterType,
  Producer,
  PullConsumer,
  SimpleConsumer,
  type TopicQueue,
} from "@cometmq/client";
import { startBroker, type TestBroker } from "../../testing/index.ts";
import { ProgramProcess, stopAll } from "./program-process.ts";

const consumerGroup = "g";

describe("consumers that read by offset, and a broker", function () {
  this.timeout(60_000);
  let broker: TestBroker;

  before(async () => {
    broker = await startBroker();
  });
  after(async () => {
    await stopAll();
    await broker.close();
  });

  /** Sends numbers, one after another. */
  async function send(topic: string, from: number, to: number): Promise<void> {
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    for (let n = from; n < to; n++) {
      const properties = new Map([["n", String(n)]]);
      const tag = n % 2 === 0 ? "even" : "odd";
      await producer.send({ topic, body: Buffer.from(String(n)), tag, properties });
    }
  }

  async function open(
    options: { consumerGroup?: string; autoCommit?: boolean } = {},
  ): Promise<PullConsumer> {
    const consumer = new PullConsumer({
      endpoints: broker.endpoints,
      consumerGroup,
      autoCommit: false,
      ...options,
    });
    await consumer.startup();
    return consumer;
  }

  async function numbers(
    consumer: PullConsumer | BroadcastConsumer,
    count: number,
  ): Promise<number[]> {
    const all: number[] = [];
    while (all.length < count) {
      const messages = await consumer.poll({ timeout: 5_000 });
      assert.ok(messages.length > 0, `only ${all.length} of ${count}`);
      assert.ok(messages.every(({ corrupted }) => !corrupted));
      all.push(...messages.map(({ body }) => Number(body.toString())));
    }
    return all.sort((a, b) => a - b);
  }

  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from }, (_unused, index) => from + index);

  it("reads all queues, goes to ends, offsets and moments, and commits", async () => {
    const topic = "all";
    await send(topic, 0, 40);
    const betweenMs = Date.now();
    await send(topic, 40, 60);
    await using consumer = await open();
    const queues = await consumer.queues(topic);
    assert.equal(queues.length, 8);
    await consumer.assign(queues);
    assert.deepEqual(await numbers(consumer, 60), range(0, 60));
    await consumer.commit();
    for (const queue of queues) {
      const position = consumer.position(queue);
      assert.equal(await consumer.committed(queue), position);
      await consumer.seek(queue, new Date(betweenMs));
    }
    assert.deepEqual(await numbers(consumer, 20), range(40, 60));
    for (const queue of queues) await consumer.seek(queue, "beginning");
    assert.deepEqual(await numbers(consumer, 60), range(0, 60));
    for (const queue of queues) await consumer.seek(queue, "end");
    assert.deepEqual(await consumer.poll({ timeout: 100 }), []);
    await send(topic, 60, 70);
    assert.deepEqual(await numbers(consumer, 10), range(60, 70));
  });

  it("filters by tag and by SQL, and says where a filter is wrong", async () => {
    const topic = "filtered";
    await send(topic, 0, 30);
    await using consumer = await open();
    const queues = await consumer.queues(topic);
    await consumer.assign(queues, "even");
    assert.deepEqual(
      await numbers(consumer, 15),
      range(0, 15).map((n) => 2 * n),
    );
    await consumer.assign([]);
    await consumer.assign(queues, new FilterExpression("n >= 25 AND TAGS = 'odd'", FilterType.SQL));
    assert.deepEqual(await numbers(consumer, 3), [25, 27, 29]);
    await consumer.assign([]);
    await consumer.assign(queues, new FilterExpression("n >=", FilterType.SQL));
    await assert.rejects(
      consumer.poll(),
      (error) => error instanceof ClientError && error.code === "ILLEGAL_FILTER_EXPRESSION",
    );
  });

  it("leaves alone what a consumer of its group holds, and goes on where that is", async () => {
    const topic = "mixed";
    await send(topic, 0, 16);
    await using simple = new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: "mixed",
      subscriptions: new Map([[topic, "*"]]),
    });
    await simple.startup();
    const held = await simple.receive(16, 60_000);
    assert.ok(held.length > 0);
    await using consumer = await open({ consumerGroup: "mixed" });
    const queues = await consumer.queues(topic);
    await consumer.assign(queues);
    await numbers(consumer, 16 - held.length);
    await consumer.commit();
    // What it has is its own still.
    for (const message of held) await simple.ack(message);
    await consumer.commit(queues.map((queue) => ({ queue, offset: 0 })));
    const again = new Set<string>();
    while (again.size < 16) {
      for (const message of await simple.receive(16, 60_000)) {
        again.add(message.messageId);
        await simple.ack(message);
      }
    }
  });

  it("refuses offsets that no queue has", async () => {
    const topic = "refused";
    await send(topic, 0, 1);
    await using consumer = await open();
    const [queue] = await consumer.queues(topic);
    assert.ok(queue !== undefined);
    const code =
      (expected: string) =>
      (error: unknown): boolean =>
        error instanceof ClientError && error.code === expected;
    await assert.rejects(consumer.commit([{ queue, offset: 99 }]), code("ILLEGAL_OFFSET"));
    const none: TopicQueue = { ...queue, queueId: 99 };
    await assert.rejects(consumer.committed(none), code("BAD_REQUEST"));
  });

  it("broadcasts: each instance gets everything, over a restart, with a name or a file", async () => {
    const topic = "broadcast";
    const folder = await mkdtemp(join(tmpdir(), "sdk-broadcast-"));
    const common = {
      endpoints: broker.endpoints,
      consumerGroup: "caches",
      subscriptions: new Map([[topic, "*"]]),
      initialPosition: "beginning",
    } as const;
    const places = [
      { clientName: "north" },
      { clientName: "south" },
      { positionFile: join(folder, "east") },
      { positionFile: join(folder, "west") },
    ];
    for (const [from, to] of [
      [0, 20],
      [20, 30],
    ] as const) {
      await send(topic, from, to);
      await Promise.all(
        places.map(async (place) => {
          const consumer = new BroadcastConsumer({ ...common, ...place });
          await consumer.startup();
          assert.deepEqual(await numbers(consumer, to - from), range(from, to));
          await consumer.shutdown();
        }),
      );
    }
    await rm(folder, { recursive: true });
  });

  it("runs its examples", async () => {
    const run = async (name: string): Promise<string> => {
      const path = fileURLToPath(new URL(`../../client-sdk/examples/${name}.ts`, import.meta.url));
      const args = ["--import", "tsx", path, broker.endpoints];
      const { code, stdout, stderr } = await new ProgramProcess(process.execPath, args).ended;
      assert.equal(code, 0, stdout + stderr);
      return stdout;
    };
    const [pull, broadcast] = await Promise.all([run("pull"), run("broadcast")]);
    assert.match(pull, /^reads 8 queues$/m);
    assert.match(pull, /^read 20 messages$/m);
    assert.match(pull, /^read 20 messages again$/m);
    assert.match(pull, /^queue 0 of [\w-]+ is read up to \d+$/m);
    assert.match(broadcast, /^north has seen 3 prices of 2 articles$/m);
    assert.match(broadcast, /^south has seen 3 prices of 2 articles$/m);
  });
});
