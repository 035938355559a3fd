// Delayed messages through a real broker: what a consumer sees of them, and what metrics and a restart make of them.
import assert from "node:assert/strict";
import { Code, messagingService, rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";

const { methods } = messagingService;
const { MessageType } = rocketmq.v2;
const topic = "delayed";

function timestampOf(ms: number): { readonly seconds: number; readonly nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

describe("delayed messages", function () {
  this.timeout(30_000);
  let fixture: BrokerFixture;
  let client: RawClient;

  beforeEach(async () => {
    fixture = await startBroker();
    client = new RawClient(fixture.endpoints);
    const { UpdateTopic } = brokerAdminService.methods;
    await client.call(UpdateTopic, { name: topic, messageType: "DELAY", writeQueues: 2 });
  });

  afterEach(async () => {
    client.close();
    await fixture.close();
  });

  async function send(messageId: string, dueMs: number): Promise<rocketmq.v2.SendResultEntry> {
    const { status, entries } = await client.call(methods.SendMessage, {
      messages: [
        {
          topic: { name: topic },
          userProperties: { color: "red" },
          systemProperties: {
            messageId,
            tag: "tagged",
            keys: ["k"],
            bodyEncoding: 1,
            deliveryTimestamp: timestampOf(dueMs),
          },
          body: Buffer.from(`body of ${messageId}`),
        },
      ],
    });
    const [entry] = entries;
    assert.equal(status?.code, Code.OK, status?.message);
    assert.ok(entry !== undefined);
    return entry;
  }

  async function receive(): Promise<readonly rocketmq.v2.Message[]> {
    const { messages } = await client.receive({
      group: { name: "g" },
      messageQueue: { topic: { name: topic }, id: -1 },
      filterExpression: { type: 1, expression: "tagged" },
      batchSize: 32,
      invisibleDuration: { seconds: 60 },
      longPollingTimeout: { seconds: 10 },
    }).done;
    return messages;
  }

  it("come to a consumer at their time, as what they are", async () => {
    const dueMs = Date.now() + 1_234;
    const entry = await send("a", dueMs);
    assert.deepEqual([entry.messageId, entry.offset], ["a", 0]);
    const [message] = await receive();
    const receivedMs = Date.now();
    const system = message?.systemProperties;
    assert.ok(message !== undefined && system !== null && system !== undefined);
    assert.ok(receivedMs >= dueMs && receivedMs < dueMs + 1_000, `${receivedMs - dueMs} ms late`);
    assert.equal(Buffer.from(message.body).toString(), "body of a");
    assert.deepEqual(message.userProperties, { color: "red" });
    assert.equal(system.messageType, MessageType.DELAY);
    assert.deepEqual(
      [system.messageId, system.tag, system.keys, system.deliveryAttempt, system.queueOffset],
      ["a", "tagged", ["k"], 1, 0],
    );
    const { seconds, nanos } = system.deliveryTimestamp ?? {};
    assert.deepEqual({ seconds, nanos }, timestampOf(dueMs));
    const { seconds: storedSeconds, nanos: storedNanos } = system.storeTimestamp ?? {};
    assert.ok((storedSeconds ?? 0) * 1000 + (storedNanos ?? 0) / 1e6 >= dueMs);
  });

  it("wait through a restart, and count in the metrics", async () => {
    const dueMs = Date.now() + 4_000;
    await send("a", dueMs);
    await send("b", dueMs);
    const { recallHandle } = await send("c", dueMs);
    client.close();
    fixture = await fixture.restart();
    client = new RawClient(fixture.endpoints);
    const waiting = await fixture.broker.metrics.text();
    assert.match(waiting, /rocketmq_timing_messages\{[^}]*topic="delayed"[^}]*\} 3/);
    const { status } = await client.call(methods.RecallMessage, {
      topic: { name: topic },
      recallHandle,
    });
    assert.equal(status?.code, Code.OK, status?.message);
    const ids = new Set<string>();
    while (ids.size < 2) {
      for (const { systemProperties } of await receive()) {
        ids.add(systemProperties?.messageId ?? "");
      }
    }
    assert.ok(Date.now() >= dueMs);
    assert.deepEqual(ids, new Set(["a", "b"]));
    const text = await fixture.broker.metrics.text();
    assert.doesNotMatch(text, /rocketmq_timing_messages\{/);
    assert.match(text, /rocketmq_timer_dequeue_total\{[^}]*\} 2/);
    assert.match(text, /cometmq_timer_recalled_total\{[^}]*\} 1/);
    assert.match(text, /cometmq_timer_lateness_seconds_count\{[^}]*\} 2/);
  });
});
