// Lite topics with the SDK in a real server: a kill, a client that takes a lite topic from another, and the quotas.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ConsumeResult,
  ConsumeResultSuspend,
  LitePushConsumer,
  LiteSimpleConsumer,
  type MessageView,
  Producer,
  SimpleConsumer,
} from "@cometmq/client";
import { type ProgramProcess, run, stopAll } from "./program-process.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const bindTopic = "sessions";

interface Stoppable {
  shutdown(): Promise<void>;
}

describe("lite topics in a real server", function () {
  this.timeout(120_000);
  let folder = "";
  let server: ProgramProcess;
  let address = "";
  let producer: Producer;
  let consumers: Stoppable[] = [];

  async function start(): Promise<void> {
    const port = address === "" ? "0" : (address.split(":").at(-1) ?? "0");
    const ports = ["--grpc-port", port, "--namesrv-port", "0", "--metrics-port", "0"];
    server = run("cometmq", "--data", folder, ...ports);
    ({ grpc: address = "" } = await server.ready());
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-lite-"));
    await start();
    const operator = new RawClient(address);
    const { UpdateTopic, UpdateGroup } = brokerAdminService.methods;
    const topic = await operator.call(UpdateTopic, { name: bindTopic, messageType: "LITE" });
    assert.equal(topic.status?.code, 20_000, topic.status?.message);
    const again = await operator.call(UpdateTopic, { name: bindTopic, messageType: "FIFO" });
    assert.match(again.status?.message ?? "", /may not become or cease to be LITE/);
    const attributes = { "lite.sub.model": "Exclusive", "lite.sub.client.quota": "2" };
    const group = { name: "one-at-a-time", attributes, consumeMessageOrderly: true };
    const made = await operator.call(UpdateGroup, group);
    assert.equal(made.status?.code, 20_000, made.status?.message);
    operator.close();
    producer = new Producer({ endpoints: address, topics: [bindTopic] });
    await producer.startup();
  });

  afterEach(async () => {
    await Promise.all(consumers.map((consumer) => consumer.shutdown()));
    consumers = [];
  });

  after(async () => {
    await producer.shutdown();
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  async function send(liteTopic: string, ...texts: string[]): Promise<void> {
    for (const text of texts) {
      await producer.send({ topic: bindTopic, liteTopic, body: Buffer.from(text) });
    }
  }

  async function push(
    consumerGroup: string,
    consume: (message: MessageView) => ConsumeResult,
  ): Promise<LitePushConsumer> {
    const messageListener = { consume: async (message: MessageView) => consume(message) };
    const options = { endpoints: address, bindTopic, consumerGroup, messageListener };
    const consumer = new LitePushConsumer(options);
    await consumer.startup();
    consumers.push(consumer);
    return consumer;
  }

  it("go on where they were after the server was killed", async () => {
    const seen: string[] = [];
    const options = { endpoints: address, bindTopic, awaitDuration: 5_000 };
    const consumer = new LiteSimpleConsumer({ ...options, consumerGroup: "survivors" });
    await consumer.startup();
    consumers.push(consumer);
    const consume = async (): Promise<void> => {
      while (consumer.isRunning()) {
        // While the server is away both fail; what was in hand then comes again.
        const messages = await consumer.receive(10, 10_000).catch((): MessageView[] => []);
        for (const message of messages) {
          seen.push(`${message.liteTopic} ${message.body.toString()}`);
          await consumer.ack(message).catch(() => {});
        }
      }
    };
    const consuming = consume();
    await consumer.subscribeLite("one");
    await send("one", "a", "b");
    await send("two", "a", "b");
    await until("the first ones", () => seen.length === 2, 20_000);
    await server.stop("SIGKILL");
    await start();
    await send("one", "c");
    await until("the next one", () => seen.at(-1) === "one c", 60_000);
    // What was acknowledged a moment before the kill may come again.
    assert.deepEqual([...new Set(seen)], ["one a", "one b", "one c"]);
    await consumer.subscribeLite("two");
    await until("what waited", () => seen.at(-1) === "two b", 20_000);
    assert.deepEqual([...new Set(seen)].slice(3), ["two a", "two b"]);
    await consumer.shutdown();
    await consuming;
  });

  it("come again in order after a suspension, which counts no attempt", async () => {
    const seen: string[] = [];
    await send("three", "a", "b");
    const consumer = await push("patient", ({ body, deliveryAttempt }) => {
      seen.push(`${body.toString()} ${deliveryAttempt}`);
      return seen.length === 1 ? ConsumeResultSuspend.of(500) : ConsumeResult.SUCCESS;
    });
    await consumer.subscribeLite("three");
    await until("all of them", () => seen.at(-1)?.startsWith("b") === true, 20_000);
    assert.deepEqual(seen, ["a 1", "a 1", "b 1"]);
  });

  it("go to the consumer of an exclusive group that was the last to want them", async () => {
    const seen: string[] = [];
    const listener =
      (name: string) =>
      ({ body }: MessageView): ConsumeResult => {
        seen.push(`${name} ${body.toString()}`);
        return ConsumeResult.SUCCESS;
      };
    const first = await push("one-at-a-time", listener("first"));
    const second = await push("one-at-a-time", listener("second"));
    await first.subscribeLite("four");
    await send("four", "a");
    await until("the first message", () => seen.length === 1, 20_000);
    await second.subscribeLite("four");
    await until("the first consumer to hear of it", () => first.getLiteTopicSet().size === 0);
    await send("four", "b");
    await until("the second message", () => seen.length === 2, 20_000);
    assert.deepEqual(seen, ["first a", "second b"]);
    await second.subscribeLite("five");
    await assert.rejects(second.subscribeLite("six"), { code: "LITE_SUBSCRIPTION_QUOTA_EXCEEDED" });
    await assert.rejects(second.subscribeLite("x".repeat(65)), { code: "ILLEGAL_LITE_TOPIC" });
  });

  it("go on when a message was given up, which is a dead letter with its lite topic", async () => {
    const seen: string[] = [];
    const operator = new RawClient(address);
    const wish = { name: "givers-up", retryMaxTimes: 0, consumeMessageOrderly: true };
    await operator.call(brokerAdminService.methods.UpdateGroup, wish);
    operator.close();
    const consumer = await push("givers-up", ({ body }) => {
      seen.push(body.toString());
      return seen.length === 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
    });
    await consumer.subscribeLite("eight");
    await send("eight", "a", "b");
    await until("the second message", () => seen.length === 2, 20_000);
    assert.deepEqual(seen, ["a", "b"]);
    const undertaker = new SimpleConsumer({
      endpoints: address,
      consumerGroup: "undertaker",
      subscriptions: new Map([["%DLQ%givers-up", "*"]]),
      awaitDuration: 5_000,
    });
    await undertaker.startup();
    consumers.push(undertaker);
    const [dead] = await undertaker.receive();
    assert.equal(dead?.body.toString(), "a");
    assert.equal(dead?.liteTopic, "eight");
  });

  it("are received and settled one by one by a simple consumer", async () => {
    const options = {
      endpoints: address,
      bindTopic,
      consumerGroup: "simple",
      awaitDuration: 5_000,
    };
    const consumer = new LiteSimpleConsumer(options);
    await consumer.startup();
    consumers.push(consumer);
    await consumer.subscribeLite("seven");
    await send("seven", "a", "b");
    const [first, ...rest] = await consumer.receive(1, 10_000);
    assert.equal(first?.body.toString(), "a");
    assert.equal(rest.length, 0);
    assert.equal(first?.liteTopic, "seven");
    await consumer.changeInvisibleDuration(first, 100);
    const again = await consumer.receive(1, 10_000);
    assert.equal(again[0]?.deliveryAttempt, 2);
    for (const message of again) await consumer.ack(message);
    const [next] = await consumer.receive(1, 10_000);
    assert.equal(next?.body.toString(), "b");
    await consumer.unsubscribeLite("seven");
    assert.equal(consumer.getLiteTopicSet().size, 0);
  });
});
