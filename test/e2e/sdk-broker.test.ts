// The SDK against a real broker: what is acknowledged is found, also when the broker is killed meanwhile.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  ClientError,
  ConsumeResult,
  type MessageView,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from "@cometmq/client";
import { startBroker, type TestBroker } from "../../testing/index.ts";

const group = "sdk-group";
const program = fileURLToPath(new URL("../../bin/cometmq", import.meta.url));

function bodies(count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => Buffer.from(`message ${index}`));
}

async function sendAll(producer: Producer, topic: string, count: number): Promise<Set<string>> {
  const receipts = await Promise.all(
    bodies(count).map((body, index) =>
      producer.send({ topic, body, keys: [`k${index}`], tag: index % 2 ? "odd" : "even" }),
    ),
  );
  return new Set(receipts.map((receipt) => receipt.messageId));
}

async function receiveAll(
  consumer: SimpleConsumer,
  count: number,
  timeoutMs = 15_000,
): Promise<MessageView[]> {
  const signal = AbortSignal.timeout(timeoutMs);
  const all: MessageView[] = [];
  while (all.length < count) {
    const messages = await consumer.receive(32, 30_000, { signal });
    await Promise.all(messages.map((message) => consumer.ack(message)));
    all.push(...messages);
  }
  return all;
}

describe("the SDK and a broker", () => {
  let broker: TestBroker;
  before(async () => {
    broker = await startBroker();
  });
  after(() => broker.close());

  for (const [name, endpoints] of [
    ["broker", () => broker.endpoints],
    ["NameServer", () => broker.namesrvAddr],
  ] as const) {
    it(`sends and receives 1,000 messages by the address of a ${name}`, async () => {
      const topic = `simple-${name}`;
      await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
      await producer.startup();
      const sent = await sendAll(producer, topic, 1_000);
      assert.equal(sent.size, 1_000);
      await using consumer = new SimpleConsumer({
        endpoints: endpoints(),
        consumerGroup: group,
        subscriptions: new Map([[topic, "*"]]),
      });
      await consumer.startup();
      const received = await receiveAll(consumer, 1_000);
      assert.deepEqual(new Set(received.map((message) => message.messageId)), sent);
      assert.equal(received.length, 1_000, "no duplicates");
      assert.ok(received.every((message) => !message.corrupted && message.deliveryAttempt === 1));
      assert.match(received[0]?.body.toString() ?? "", /^message \d+$/);
    });
  }

  it("stores in order what one producer sends to one queue, batched and one by one", async () => {
    for (const batching of [true, false]) {
      const topic = `batching-${batching}`;
      await using producer = new Producer({
        endpoints: broker.endpoints,
        topics: [topic],
        batching,
      });
      await producer.startup();
      const receipts = await Promise.all(bodies(500).map((body) => producer.send({ topic, body })));
      assert.equal(new Set(receipts.map((receipt) => receipt.messageId)).size, 500);
      assert.ok(receipts.every((receipt) => receipt.offset >= 0));
    }
  });

  it("connects over TLS, and to a self-signed certificate only when told to", async () => {
    const topic = "tls";
    const tls = {
      endpoints: broker.endpoints,
      topics: [topic],
      sslEnabled: true,
      requestTimeout: 2_000,
    };
    await using producer = new Producer({ ...tls, sslRejectUnauthorized: false });
    await producer.startup();
    const body = Buffer.from("secret");
    assert.equal((await producer.send({ topic, body })).messageId.length, 34);
    const strict = new Producer(tls);
    await assert.rejects(strict.startup(), { code: "UNREACHABLE" });
  });

  it("filters by tag", async () => {
    const topic = "tags";
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await using consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: "tags-group",
      subscriptions: new Map([[topic, "odd"]]),
    });
    await producer.startup();
    await sendAll(producer, topic, 100);
    await consumer.startup();
    const received = await receiveAll(consumer, 50);
    assert.ok(received.every((message) => message.tag === "odd"));
  });

  it("pushes every message once to two consumers of a group, and again after a failure", async () => {
    const topic = "push";
    const seen = new Map<string, number>();
    const failedOnce = new Set<string>();
    const consume = (message: MessageView): ConsumeResult => {
      if (Number(message.keys[0]?.slice(1)) % 100 === 0 && !failedOnce.has(message.messageId)) {
        failedOnce.add(message.messageId);
        return ConsumeResult.FAILURE;
      }
      seen.set(message.messageId, (seen.get(message.messageId) ?? 0) + 1);
      return ConsumeResult.SUCCESS;
    };
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const options = {
      endpoints: broker.endpoints,
      consumerGroup: "push-group",
      subscriptions: new Map([[topic, "*"]]),
      messageListener: { consume },
    };
    await using first = new PushConsumer(options);
    await using second = new PushConsumer(options);
    await Promise.all([first.startup(), second.startup()]);
    const sent = await sendAll(producer, topic, 1_000);
    await until(() => seen.size === sent.size, 15_000);
    assert.equal(failedOnce.size, 10);
    assert.ok([...seen.values()].every((count) => count === 1));
  });

  it("a message whose invisible duration was changed comes again with the next attempt", async () => {
    const topic = "again";
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await using consumer = new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: group,
      subscriptions: new Map([[topic, "*"]]),
    });
    await producer.startup();
    await producer.send({ topic, body: Buffer.from("x") });
    await consumer.startup();
    const [message] = await consumer.receive(1, 30_000);
    assert.ok(message);
    await consumer.changeInvisibleDuration(message, 100);
    const [again] = await consumer.receive(1, 30_000);
    assert.equal(again?.messageId, message.messageId);
    assert.equal(again?.deliveryAttempt, 2);
    await assert.rejects(consumer.ack(message), { code: "INVALID_RECEIPT_HANDLE" });
    await consumer.ack(again);
  });

  it("says what is wrong with a message", async () => {
    const topic = "wrong";
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const body = Buffer.from("x");
    const [good, bad] = await Promise.allSettled([
      producer.send({ topic, body }),
      producer.send({ topic, body, properties: new Map([["KEYS", "reserved"]]) }),
    ]);
    assert.equal(good.status, "fulfilled");
    assert.ok(bad.status === "rejected" && bad.reason instanceof ClientError);
    assert.equal(bad.reason.code, "ILLEGAL_MESSAGE_PROPERTY_KEY");
  });
});

/** A broker as a process, on the same ports each time it is started. */
class KillableBroker {
  readonly folder: string = mkdtempSync(join(tmpdir(), "cometmq-sdk-"));
  endpoints = "127.0.0.1:0";
  #child: ChildProcess | undefined;

  async start(): Promise<void> {
    const port = this.endpoints.split(":")[1] ?? "0";
    const ports = ["--grpc-port", port, "--namesrv-port", "0", "--metrics-port", "0"];
    this.#child = spawn(process.execPath, [program, "--data", this.folder, ...ports], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const { stdout } = this.#child;
    assert.ok(stdout);
    for await (const line of createInterface({ input: stdout })) {
      const match = /^ready .*grpc=(\S+)/.exec(line);
      if (match?.[1] === undefined) continue;
      this.endpoints = match[1];
      return;
    }
    throw new Error("the broker did not get ready");
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function until(condition: () => boolean, timeoutMs: number): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!condition()) {
    assert.ok(Date.now() < endMs, `not within ${timeoutMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("the SDK and a broker that is killed with -9 while it is sent to", () => {
  it("settles every send, finds all that was acknowledged, and consumers go on by themselves", async function () {
    this.timeout(60_000);
    const topic = "killed";
    await using broker = new KillableBroker();
    await broker.start();
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    const found = new Set<string>();
    await using consumer = new PushConsumer({
      endpoints: broker.endpoints,
      consumerGroup: group,
      subscriptions: new Map([[topic, "*"]]),
      messageListener: {
        consume: (message) => {
          found.add(message.messageId);
          return ConsumeResult.SUCCESS;
        },
      },
    });
    await producer.startup();
    await consumer.startup();
    const acknowledged = new Set<string>();
    let settled = 0;
    let given = 0;
    const sending = new AbortController();
    const body = Buffer.alloc(256, "x");
    const senders = Array.from({ length: 64 }, async () => {
      while (!sending.signal.aborted) {
        given++;
        try {
          acknowledged.add((await producer.send({ topic, body })).messageId);
        } catch (error) {
          assert.ok(error instanceof ClientError, String(error));
        }
        settled++;
      }
    });
    for (let round = 1; round <= 2; round++) {
      const before = acknowledged.size;
      await until(() => acknowledged.size >= before + 500, 15_000);
      await broker.kill();
      await broker.start();
    }
    const before = acknowledged.size;
    await until(() => acknowledged.size >= before + 500, 15_000);
    sending.abort();
    await Promise.all(senders);
    assert.equal(settled, given);
    await until(() => [...acknowledged].every((id) => found.has(id)), 30_000);
  });
});
