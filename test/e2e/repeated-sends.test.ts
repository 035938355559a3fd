// Sends that are repeated because their answer was lost: stored once, by raw calls and by the SDK.
import assert from "node:assert/strict";
import { Producer } from "@cometmq/client";
import { brokerAdminService, messagingService, type rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { openMutableWire } from "./mutable-wire.ts";
import { RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { SendMessage } = messagingService.methods;
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
  return queues.reduce((sum, { maxOffset }) => sum + Number(maxOffset), 0);
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
    assert.equal(await storedOf(fixture), 3);
    assert.equal(await metric(fixture, "cometmq_sends_repeated_total"), 1);
    assert.equal(await metric(fixture, "cometmq_send_window_messages"), 3);
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
