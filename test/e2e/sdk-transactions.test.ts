// Transactions through a real broker with the SDK: what consumers see, who is asked, and what a restart makes of them.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  type MessageView,
  Producer,
  SimpleConsumer,
  type TransactionChecker,
  TransactionResolution,
} from "@cometmq/client";
import { Code } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, messagingService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const topic = "transactions";
const { COMMIT, ROLLBACK, TRANSACTION_RESOLUTION_UNSPECIFIED: unknown } = TransactionResolution;

async function makeTopic(endpoints: string, name: string, messageType: string): Promise<void> {
  const client = new RawClient(endpoints);
  const wish = { name, messageType, writeQueues: 2, readQueues: 2 };
  const { status } = await client.call(brokerAdminService.methods.UpdateTopic, wish);
  assert.equal(status?.code, 20_000, status?.message);
  client.close();
}

describe("transactions with the SDK", function () {
  this.timeout(30_000);
  let fixture: BrokerFixture;
  let clients: { shutdown(): Promise<void> }[] = [];

  beforeEach(async () => {
    fixture = await startBroker({ transactionTimeOut: "300", transactionCheckInterval: "1000" });
    await makeTopic(fixture.endpoints, topic, "TRANSACTION");
  });

  afterEach(async () => {
    await Promise.all(clients.map((client) => client.shutdown()));
    clients = [];
    await fixture.close();
  });

  async function producerWith(checker: TransactionChecker): Promise<Producer> {
    const producer = new Producer({ endpoints: fixture.endpoints, topics: [topic], checker });
    clients.push(producer);
    await producer.startup();
    return producer;
  }

  function checks(
    answer: (message: MessageView) => TransactionResolution,
  ): TransactionChecker & { readonly asked: MessageView[] } {
    const asked: MessageView[] = [];
    const check = (message: MessageView): TransactionResolution => {
      asked.push(message);
      return answer(message);
    };
    return { asked, check };
  }

  /** Sends a message within a transaction of its own. */
  async function begin(
    producer: Producer,
    text: string,
  ): Promise<ReturnType<Producer["beginTransaction"]>> {
    const transaction = producer.beginTransaction();
    const properties = new Map([["of", text]]);
    await producer.send({ topic, body: Buffer.from(text), tag: "red", properties }, transaction);
    return transaction;
  }

  async function received(count: number): Promise<string[]> {
    const consumer = new SimpleConsumer({
      endpoints: fixture.endpoints,
      consumerGroup: "readers",
      subscriptions: new Map([[topic, "red"]]),
      awaitDuration: 1_000,
    });
    clients.push(consumer);
    await consumer.startup();
    const texts: string[] = [];
    for (let turn = 0; turn < 20 && texts.length < count; turn++) {
      for (const message of await consumer.receive(32, 15_000)) {
        texts.push(message.body.toString());
        await consumer.ack(message);
      }
    }
    return texts.toSorted();
  }

  it("come when they are committed, and not when they are rolled back", async () => {
    const checker = checks(() => unknown);
    const producer = await producerWith(checker);
    const [good, bad] = [await begin(producer, "good"), await begin(producer, "bad")];
    await bad.rollback();
    await good.commit();
    await good.commit();
    await assert.rejects(good.rollback(), { code: "BAD_REQUEST" });
    await assert.rejects(bad.commit(), { code: "BAD_REQUEST" });
    assert.deepEqual(await received(1), ["good"]);
    const last = await begin(producer, "last");
    await last.commit();
    assert.deepEqual(await received(1), ["last"]);
    assert.equal(checker.asked.length, 0);
  });

  it("are asked about when nobody settles them, until it is known", async () => {
    let isKnown = false;
    const checker = checks((message) =>
      isKnown ? (message.properties.get("of") === "good" ? COMMIT : ROLLBACK) : unknown,
    );
    const producer = await producerWith(checker);
    await begin(producer, "good");
    await begin(producer, "bad");
    await until("the first questions", () => checker.asked.length >= 2);
    assert.ok(checker.asked.every(({ corrupted, tag }) => !corrupted && tag === "red"));
    isKnown = true;
    assert.deepEqual(await received(1), ["good"]);
    const { metrics } = fixture.broker;
    let text = "";
    const look = async (): Promise<void> => {
      text = await metrics.text();
    };
    await until("the end of both", () => {
      void look();
      return /rocketmq_rollback_messages_total\{[^}]*\} 1/.test(text);
    });
    assert.match(text, /rocketmq_commit_messages_total\{[^}]*\} 1/);
    assert.match(text, /cometmq_half_messages_total\{[^}]*\} 2/);
    assert.match(text, /cometmq_transaction_checks_total\{[^}]*\} [4-9]/);
    assert.doesNotMatch(text, /rocketmq_half_messages\{/);
  });

  it("are settled by another producer when theirs is gone, over a restart", async () => {
    const first = await producerWith(checks(() => unknown));
    await begin(first, "left");
    await first.shutdown();
    fixture = await fixture.restart();
    await producerWith(checks(() => COMMIT));
    assert.deepEqual(await received(1), ["left"]);
  });

  it("go to a topic for operators when nobody knows their end, to be read and not to be sent to", async () => {
    const given = { transactionTimeOut: "100", transactionCheckMax: "1" };
    await fixture.close();
    fixture = await startBroker({ ...given, transactionCheckInterval: "1000" });
    await makeTopic(fixture.endpoints, topic, "TRANSACTION");
    const producer = await producerWith(checks(() => unknown));
    const transaction = await begin(producer, "lost");
    const givenUp = "TRANS_CHECK_MAX_TIME_TOPIC";
    const reader = new RawClient(fixture.endpoints);
    const { GetTopicStatus } = brokerAdminService.methods;
    await until("it is given up", async () => {
      const { queues } = await reader.call(GetTopicStatus, { name: givenUp });
      return queues.some(({ maxOffset }) => maxOffset > 0);
    });
    const { messages } = await reader.receive({
      group: { name: "undertakers" },
      messageQueue: { topic: { name: givenUp }, id: -1 },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 1,
      invisibleDuration: { seconds: 60 },
      longPollingTimeout: { seconds: 20 },
    }).done;
    const [message] = messages;
    assert.equal(Buffer.from(message?.body ?? []).toString(), "lost");
    const { deadLetterQueue, messageId } = message?.systemProperties ?? {};
    assert.deepEqual([deadLetterQueue?.topic, deadLetterQueue?.messageId], [topic, messageId]);
    await assert.rejects(transaction.commit(), { code: "INVALID_TRANSACTION_ID" });
    const wrong = { topic: { name: givenUp }, body: Buffer.from("x") };
    const { status } = await reader.call(messagingService.methods.SendMessage, {
      messages: [{ ...wrong, systemProperties: { messageId: "1" } }],
    });
    assert.equal(status?.code, Code.FORBIDDEN, status?.message);
    reader.close();
    const text = await fixture.broker.metrics.text();
    assert.match(text, /cometmq_transactions_given_up_total\{[^}]*\} 1/);
  });

  it("need a checker, take one message, and have no delay", async () => {
    const producer = await producerWith(checks(() => unknown));
    const without = new Producer({ endpoints: fixture.endpoints, topics: [topic] });
    clients.push(without);
    await without.startup();
    assert.throws(() => without.beginTransaction(), { code: "BAD_OPTION", message: /checker/ });
    const transaction = producer.beginTransaction();
    await assert.rejects(transaction.commit(), { code: "BAD_OPTION", message: /not been sent/ });
    const message = { topic, body: Buffer.from("a") };
    const conflict = { code: "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE" };
    await assert.rejects(producer.send({ ...message, delay: 50 }, transaction), conflict);
    await assert.rejects(producer.send({ ...message, messageGroup: "g" }, transaction), conflict);
    await producer.send(message, { transaction });
    await assert.rejects(producer.send(message, transaction), { code: "BAD_OPTION" });
    await assert.rejects(without.send(message, producer.beginTransaction()), {
      code: "BAD_OPTION",
    });
    await transaction.rollback();
  });

  it("run as the example shows them", async () => {
    await makeTopic(fixture.endpoints, "order-events", "TRANSACTION");
    const path = fileURLToPath(
      new URL("../../client-sdk/examples/transaction.ts", import.meta.url),
    );
    const child = spawn(process.execPath, ["--import", "tsx", path, fixture.endpoints]);
    let [said, wrong] = ["", ""];
    child.stdout.on("data", (text: Buffer) => {
      said += text.toString();
    });
    child.stderr.on("data", (text: Buffer) => {
      wrong += text.toString();
    });
    const code = await new Promise((resolve) => void child.once("exit", resolve));
    assert.deepEqual([code, wrong], [0, ""]);
    assert.match(said, /received order-1/);
    assert.match(said, /asked about order-3: booked/);
    assert.match(said, /received order-3/);
    assert.doesNotMatch(said, /received order-2/);
  });
});
