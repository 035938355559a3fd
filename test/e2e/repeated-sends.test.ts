// Sends that are repeated because their answer was lost: stored once, by raw calls and by the SDK.
import assert from "node:assert/strict";
import { Producer } from "@cometmq/client";
import { brokerAdminService, messagingService, type rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { openMutableWire } from "./mutable-wire.ts";
import { RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { EndTransaction, SendMessage } = messagingService.methods;
const topic = "orders";

function message(number: number, body = "paid", queueId = 0): rocketmq.v2.IMessage {
  return {
    topic: { name: topic },
    body: Buffer.from(body),
    systemProperties: {
      messageId: `01${String(number).padStart(32, "0")}`,
      messageType: 1,
      queueId,
      bornTimestamp: { seconds: 1_700_000_000 + queueId },
    },
  };
}

async function storedOf({ endpoints }: BrokerFixture): Promise<number> {
  const client = new RawClient(endpoints);
  const { queues } = await client.call(brokerAdminService.methods.GetTopicStatus, { name: topic });
  client.close();
  return queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
}

async function metric({ broker }: BrokerFixture, name: string): Promise<number> {
  const page = await fetch(`http://127.0.0.1:${broker.metricsPort}/metrics`);
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, "m").exec(await page.text())?.[1]);
}

describe("repeated sends", () => {
  let fixture: BrokerFixture;

  beforeEach(async () => {
    fixture = await startBroker();
  });

  afterEach(async () => {
    await fixture.close();
  });

  async function send(
    ...messages: rocketmq.v2.IMessage[]
  ): Promise<rocketmq.v2.SendMessageResponse> {
    const client = new RawClient(fixture.endpoints);
    try {
      return await client.call(SendMessage, { messages });
    } finally {
      client.close();
    }
  }

  async function makeTopic(messageType: string): Promise<void> {
    const client = new RawClient(fixture.endpoints);
    await client.call(brokerAdminService.methods.UpdateTopic, { name: topic, messageType });
    client.close();
  }

  it("gives the first one's offset, also after a restart, and counts them", async () => {
    await send(message(1, "paid", 3));
    const first = await send(message(2, "paid", 3));
    assert.equal(first.entries[0]?.offset, 1);
    const again = await send(message(2, "paid", 5));
    assert.deepEqual(again.entries, first.entries);
    fixture = await fixture.restart();
    const later = await send(message(2, "paid", 6), message(3, "paid", 3));
    assert.equal(later.status?.code, 20_000, later.status?.message);
    assert.deepEqual(
      later.entries.map(({ offset }) => offset),
      [1, 2],
    );
    const other = await send(message(2, "not paid", 3));
    assert.equal(other.status?.code, 40_009);
    assert.match(other.status?.message ?? "", /another body/);
    assert.equal(other.entries.length, 0);
    const twins = await send(message(4, "paid", 3), message(5), message(4, "paid", 3));
    assert.deepEqual([twins.status?.code, twins.entries.length], [40_009, 0]);
    assert.match(twins.status?.message ?? "", /two messages/);
    assert.equal(await storedOf(fixture), 3);
    assert.equal(await metric(fixture, "cometmq_sends_repeated_total"), 1);
    assert.equal(await metric(fixture, "cometmq_send_window_messages"), 3);
  });

  it("holds a repeated delayed message once, with the same recall handle, also when its time has come", async () => {
    await makeTopic("DELAY");
    const dueMs = Date.now() + 2_000;
    const seconds = Math.floor(dueMs / 1000);
    const { systemProperties, ...rest } = message(7);
    const delayed = {
      ...rest,
      systemProperties: {
        ...systemProperties,
        messageType: 3,
        deliveryTimestamp: { seconds, nanos: (dueMs % 1000) * 1_000_000 },
      },
    };
    const first = await send(delayed);
    assert.equal(first.status?.code, 20_000, first.status?.message);
    assert.match(first.entries[0]?.recallHandle ?? "", /./);
    assert.deepEqual(await send(delayed), first);
    await until("it is delivered", async () => (await storedOf(fixture)) === 1);
    const late = await send(delayed);
    assert.equal(late.status?.code, 20_000, late.status?.message);
    assert.equal(await storedOf(fixture), 1);
  });

  it("keeps a repeated half message once, with the same transaction id, over a restart", async () => {
    await makeTopic("TRANSACTION");
    const { systemProperties, ...rest } = message(8);
    const half = { ...rest, systemProperties: { ...systemProperties, messageType: 4 } };
    const first = await send(half);
    assert.equal(first.status?.code, 20_000, first.status?.message);
    assert.deepEqual(await send(half), first);
    fixture = await fixture.restart();
    assert.deepEqual(await send(half), first);
    assert.equal(await metric(fixture, "cometmq_sends_repeated_total"), 1);
  });

  it("takes what a commit has made of a half message for no send, also after a restart", async () => {
    await makeTopic("TRANSACTION");
    const { systemProperties, ...rest } = message(9);
    const half = { ...rest, systemProperties: { ...systemProperties, messageType: 4 } };
    const first = await send(half);
    const transactionId = first.entries[0]?.transactionId ?? "";
    const client = new RawClient(fixture.endpoints);
    const end = { topic: { name: topic }, transactionId, resolution: 1 };
    const { status } = await client.call(EndTransaction, end);
    client.close();
    assert.equal(status?.code, 20_000, status?.message);
    fixture = await fixture.restart();
    assert.equal(await storedOf(fixture), 1);
    assert.equal(await metric(fixture, "cometmq_send_window_messages"), 1);
    assert.deepEqual(await send(half), first);
  });

  it("looks at no id when it is switched off, and at any when told so", async () => {
    const sendTwice = async (flags: Readonly<Record<string, string>>, messageId: string) => {
      await fixture.close();
      fixture = await startBroker(flags);
      const { systemProperties, ...rest } = message(1);
      const again = { ...rest, systemProperties: { ...systemProperties, messageId } };
      await send(again);
      await send(again);
      return await storedOf(fixture);
    };
    assert.equal(await sendTwice({ sendWindowCount: "0" }, `01${"0".repeat(32)}`), 2);
    assert.equal(await sendTwice({}, "order-1"), 2);
    assert.equal(await sendTwice({ sendWindowAnyId: "true" }, "order-1"), 1);
  });

  it("stores once what the SDK sends again after it has lost the answer", async () => {
    const wire = await openMutableWire(Number(fixture.endpoints.split(":")[1]));
    const producer = new Producer({ endpoints: wire.endpoints, topics: [topic] });
    try {
      await producer.startup();
      await producer.send({ topic, body: Buffer.from("first") });
      assert.equal(await storedOf(fixture), 1);
      wire.mute();
      const sending = producer.send({ topic, body: Buffer.from("second") });
      await until("the message is stored", async () => (await storedOf(fixture)) === 2);
      wire.cut();
      const receipt = await sending;
      assert.match(receipt.messageId, /^01/);
      assert.equal(await storedOf(fixture), 2);
    } finally {
      await producer.shutdown();
      wire.close();
    }
  });
});
