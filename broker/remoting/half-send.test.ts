import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { RecordType } from "../store/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { SendMessage } = messagingService.methods;
const { Code } = rocketmq.v2;

describe("SendMessage of transactional messages", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    for (const type of ["TRANSACTION", "MIXED", "NORMAL", "DELAY"]) {
      const attributes = { "message.type": type };
      await broker.metadata.updateTopic({ name: type.toLowerCase(), attributes });
    }
  });

  function half(
    given: rocketmq.v2.ISystemProperties = {},
    topic = "transaction",
  ): rocketmq.v2.IMessage {
    return {
      topic: { name: topic },
      body: Buffer.from("hello"),
      systemProperties: { messageId: "id", messageType: 4, bodyEncoding: 1, ...given },
    };
  }

  async function send(
    ...messages: rocketmq.v2.IMessage[]
  ): Promise<rocketmq.v2.SendMessageResponse> {
    const request = SendMessage.request.encode({ messages });
    return SendMessage.response.decode(await broker.unary(SendMessage.path, request));
  }

  it("holds a message, and gives the id to end its transaction by", async () => {
    for (const topic of ["transaction", "mixed"]) {
      const { status, entries } = await send(half({}, topic));
      assert.equal(status?.code, Code.OK, status?.message);
      const [entry] = entries;
      const place = topic === "mixed" ? 100 : 0;
      assert.deepEqual(
        [entry?.messageId, entry?.transactionId, entry?.recallHandle],
        ["id", `half of ${topic} at ${place}`, ""],
      );
      const draft = broker.appended.at(-1)?.[0];
      assert.equal(draft?.type, RecordType.halfMessage);
      assert.equal(draft?.dueMs, broker.clock.now() + 6_000);
    }
    assert.deepEqual(broker.calls.slice(0, 2), ["admit 1 halves", "settled 1 halves stored"]);
  });

  it("checks it first when the message says so", async () => {
    await send(half({ orphanedTransactionRecoveryDuration: { seconds: 90 } }));
    assert.equal(broker.appended.at(-1)?.[0]?.dueMs, broker.clock.now() + 90_000);
  });

  it("refuses it where the topic takes other kinds, and one that is to be delayed as well", async () => {
    const delayed = half({ deliveryTimestamp: { seconds: 4_000_000_000 } }, "mixed");
    for (const message of [half({}, "normal"), half({}, "delay"), delayed]) {
      const { status } = await send(message);
      assert.equal(status?.code, Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, status?.message);
    }
    const { status } = await send({
      ...half(),
      systemProperties: { messageId: "id", messageType: 1 },
    });
    assert.equal(status?.code, Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE);
    assert.equal(broker.appended.length, 0);
  });

  it("refuses a recovery time beyond an hour: BAD_REQUEST", async () => {
    const ok = await send(half({ orphanedTransactionRecoveryDuration: { seconds: 3_600 } }));
    assert.equal(ok.status?.code, Code.OK);
    const { status } = await send(
      half({ orphanedTransactionRecoveryDuration: { seconds: 3_601 } }),
    );
    assert.equal(status?.code, Code.BAD_REQUEST);
  });

  it("stores nothing when too many transactions are open", async () => {
    broker.admitFailure = new MqError("TOO_MANY_REQUESTS", "enough");
    const { status } = await send(half());
    assert.deepEqual([status?.code, broker.appended.length], [Code.TOO_MANY_REQUESTS, 0]);
  });

  it("gives the room back when the store refuses", async () => {
    broker.appendFailure = new MqError("HA_NOT_AVAILABLE", "nobody there");
    const { status } = await send(half());
    assert.equal(status?.code, Code.HA_NOT_AVAILABLE);
    assert.deepEqual(broker.calls, ["admit 1 halves", "settled 1 halves refused"]);
  });

  it("takes several kinds in one request to a MIXED topic", async () => {
    const normal = half({ messageType: 1 }, "mixed");
    const later = half({ messageType: 3, deliveryTimestamp: { seconds: 4_000_000_000 } }, "mixed");
    const { status, entries } = await send(normal, half({}, "mixed"), later);
    assert.equal(status?.code, Code.OK, status?.message);
    assert.deepEqual(
      broker.appended.at(-1)?.map(({ type }) => type),
      [RecordType.message, RecordType.halfMessage, RecordType.delayedMessage],
    );
    assert.deepEqual(
      entries.map(({ transactionId, recallHandle }) => [
        transactionId.startsWith("half of"),
        recallHandle !== "",
      ]),
      [
        [false, false],
        [true, false],
        [false, true],
      ],
    );
  });

  it("waits for a master where none are held", async () => {
    broker.local = { ...broker.parts, transactions: undefined };
    const { status } = await send(half());
    assert.equal(status?.code, Code.HA_NOT_AVAILABLE);
  });
});
