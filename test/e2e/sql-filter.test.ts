// SQL filters from the SDK and from raw gRPC to a broker, and what operators see of consumers that filter differently.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import {
  ConsumeResult,
  FilterExpression,
  FilterType,
  type MessageView,
  Producer,
  PushConsumer,
  SimpleConsumer,
} from "@cometmq/client";
import { startBroker, type TestBroker } from "../../testing/index.ts";
import { mqadmin } from "./mqadmin-run.ts";
import { RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const sql = (expression: string): FilterExpression =>
  new FilterExpression(expression, FilterType.SQL);

describe("SQL filters", function () {
  this.timeout(60_000);
  let broker: TestBroker;

  before(async () => {
    broker = await startBroker();
  });
  after(() => broker.close());

  async function send(topic: string, count: number): Promise<void> {
    await using producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
    const sending = Array.from({ length: count }, (_, n) =>
      producer.send({
        topic,
        tag: n % 2 === 0 ? "even" : "odd",
        properties: new Map([
          ["n", String(n)],
          ["region", n % 5 === 0 ? "eu" : "us"],
        ]),
        body: Buffer.from(String(n)),
      }),
    );
    await Promise.all(sending);
  }

  function simple(topic: string, filter: FilterExpression | string): SimpleConsumer {
    return new SimpleConsumer({
      endpoints: broker.endpoints,
      consumerGroup: `${topic}-group`,
      subscriptions: new Map([[topic, filter]]),
      awaitDuration: 5_000,
    });
  }

  async function take(consumer: SimpleConsumer, count: number): Promise<number[]> {
    const numbers: number[] = [];
    while (numbers.length < count) {
      const messages = await consumer.receive(32, 30_000);
      assert.ok(messages.length > 0, `only ${numbers.length} of ${count} came`);
      await Promise.all(messages.map((message) => consumer.ack(message)));
      numbers.push(...messages.map((message) => Number(message.body.toString())));
    }
    return numbers.sort((one, other) => one - other);
  }

  it("give a SimpleConsumer what matches, and after a change what matches then", async () => {
    const topic = "sql-simple";
    await send(topic, 100);
    await using consumer = simple(topic, sql("region = 'eu' AND n BETWEEN 10 AND 30"));
    await consumer.startup();
    assert.deepEqual(await take(consumer, 5), [10, 15, 20, 25, 30]);
    await consumer.subscribe(topic, sql("TAGS = 'odd' and n > 95"));
    await send(topic, 100);
    assert.deepEqual(await take(consumer, 2), [97, 99], "what was skipped does not come again");
    await consumer.subscribe(topic, "even");
    await send(topic, 10);
    assert.deepEqual(await take(consumer, 5), [0, 2, 4, 6, 8]);
  });

  it("give a PushConsumer what matches, from the moment it has changed its filter", async () => {
    const topic = "sql-push";
    const got: number[] = [];
    const consume = (message: MessageView): ConsumeResult => {
      got.push(Number(message.body.toString()));
      return ConsumeResult.SUCCESS;
    };
    await using consumer = new PushConsumer({
      endpoints: broker.endpoints,
      consumerGroup: "sql-push-group",
      subscriptions: new Map([[topic, sql("n >= 42 AND region <> 'us'")]]),
      messageListener: { consume },
    });
    await send(topic, 50);
    await consumer.startup();
    await until("the message", () => got.length === 1);
    await until("a held poll", async () => (await heldPolls()) === 1);
    // A poll that is held with the old filter would skip these, for good.
    await consumer.subscribe(topic, sql("n = 2 OR n = 41"));
    await send(topic, 42);
    await until("the messages", () => got.length === 3);
    assert.deepEqual(new Set(got), new Set([45, 2, 41]));
  });

  async function heldPolls(): Promise<number> {
    const answer = await fetch(`http://${broker.metricsAddress}/metrics`);
    return Number(/^cometmq_held_polls(?:\{.*\})? (\d+)$/m.exec(await answer.text())?.[1]);
  }

  it("are refused at the start of a consumer, with the place", async () => {
    await using consumer = simple("sql-wrong", sql("n > 5 AND region LIKE 'e%'"));
    await assert.rejects(consumer.startup(), (error: Error & { code?: string }) => {
      assert.equal(error.code, "ILLEGAL_FILTER_EXPRESSION");
      assert.match(error.message, /at character 18: .*there is no LIKE: use CONTAINS/);
      return true;
    });
  });

  it("are refused in a receive, with the place", async () => {
    const client = new RawClient(broker.endpoints);
    const answer = await client.receive({
      group: { name: "sql-raw" },
      messageQueue: { topic: { name: "sql-raw" }, id: -1 },
      batchSize: 1,
      invisibleDuration: { seconds: 30 },
      filterExpression: { type: 2, expression: "n > " },
    }).done;
    client.close();
    assert.equal(answer.code, 40_010);
    assert.match(answer.text, /at character 5: expected a property or a value, found the end/);
  });

  it("that differ within a group are shown by mqadmin consumerConnection", async () => {
    const topic = "sql-differ";
    const args = ["consumerConnection", "-n", broker.namesrvAddr, "-g", `${topic}-group`];
    await using one = simple(topic, sql("n > 5"));
    await one.startup();
    const alone = await mqadmin(...args);
    assert.equal(alone.code, 0, alone.stderr);
    assert.match(alone.stdout, /sql-differ\(SQL: n > 5\)/);
    assert.doesNotMatch(alone.stdout, /subscribe differently/);
    await using other = simple(topic, "n > 5");
    await other.startup();
    const both = await mqadmin(...args);
    assert.match(both.stdout, /subscribe differently: each of them is served by its own/);
    assert.match(both.stdout, /sql-differ\(n > 5\)/);
    const shown: { subscriptionsDiffer: boolean } = JSON.parse(
      (await mqadmin(...args, "--json")).stdout,
    );
    assert.equal(shown.subscriptionsDiffer, true);
  });

  it("are shown by an example of the SDK", async () => {
    const path = fileURLToPath(new URL("../../client-sdk/examples/sql-filter.ts", import.meta.url));
    const child = spawn(process.execPath, ["--import", "tsx", path, broker.endpoints]);
    let printed = "";
    let complaints = "";
    child.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (complaints += chunk.toString()));
    const [code] = await once(child, "close");
    assert.equal(code, 0, printed + complaints);
    assert.match(printed, /^received "eu 1200"$/m);
    assert.match(
      printed,
      /^refused: ILLEGAL_FILTER_EXPRESSION: .* at character 10: > takes numbers/m,
    );
  });
});
