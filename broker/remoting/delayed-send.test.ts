import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { type RecordDraft, RecordType } from "../store/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { SendMessage } = messagingService.methods;
const { Code, MessageType } = rocketmq.v2;

describe("SendMessage of delayed messages", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    await makeTopics();
  });

  async function makeTopics(): Promise<void> {
    for (const type of ["DELAY", "MIXED"]) {
      const attributes = { "message.type": type };
      await broker.metadata.updateTopic({ name: type.toLowerCase(), attributes });
    }
  }

  function delayed(
    deliveryMs: number,
    given: rocketmq.v2.ISystemProperties = {},
    topic = "delay",
  ): rocketmq.v2.IMessage {
    const deliveryTimestamp = {
      seconds: Math.floor(deliveryMs / 1000),
      nanos: (((deliveryMs % 1000) + 1000) % 1000) * 1e6,
    };
    return {
      topic: { name: topic },
      body: Buffer.from("hello"),
      systemProperties: {
        messageId: "id",
        messageType: 3,
        bodyEncoding: 1,
        bornTimestamp: { seconds: 1 },
        deliveryTimestamp,
        ...given,
      },
    };
  }

  async function send(
    ...messages: rocketmq.v2.IMessage[]
  ): Promise<rocketmq.v2.SendMessageResponse> {
    const request = SendMessage.request.encode({ messages });
    return SendMessage.response.decode(await broker.unary(SendMessage.path, request));
  }

  async function refused(
    message: rocketmq.v2.IMessage,
    code: number,
    words: RegExp,
  ): Promise<void> {
    const { status, entries } = await send(message);
    assert.equal(status?.code, code, status?.message);
    assert.match(status?.message ?? "", words);
    assert.deepEqual([entries.length, broker.appended.length], [0, 0]);
  }

  function lastDraft(): RecordDraft {
    const draft = broker.appended.at(-1)?.at(-1);
    assert.ok(draft !== undefined);
    return draft;
  }

  function typeIn({ systemProperties }: RecordDraft): number {
    return rocketmq.v2.SystemProperties.decode(systemProperties).messageType;
  }

  it("holds a message until its time, and gives the right to recall it", async () => {
    const dueMs = broker.clock.now() + 1_234;
    const { status, entries } = await send(delayed(dueMs));
    assert.equal(status?.code, Code.OK, status?.message);
    assert.deepEqual([entries[0]?.recallHandle, entries[0]?.messageId], [`delay ${dueMs} 0`, "id"]);
    const { type, dueMs: heldUntilMs, topic } = lastDraft();
    assert.deepEqual([type, heldUntilMs, topic], [RecordType.delayedMessage, dueMs, "delay"]);
    assert.deepEqual(broker.calls, ["admit 1", "settled 1 stored"]);
  });

  it("delivers a message at once whose time has come, still as a delayed one", async () => {
    for (const behindMs of [0, 1, 86_400_000, broker.clock.now() + 5_000]) {
      const { entries } = await send(delayed(broker.clock.now() - behindMs));
      assert.equal(entries[0]?.recallHandle, "");
      const { type, dueMs } = lastDraft();
      assert.deepEqual([type, dueMs], [RecordType.message, undefined]);
      assert.equal(typeIn(lastDraft()), MessageType.DELAY);
    }
  });

  it("stores the type DELAY, whatever the sender calls it", async () => {
    const dueMs = broker.clock.now() + 1_000;
    for (const messageType of [0, 1, 2, 3]) {
      await send(delayed(dueMs, { messageType }));
      assert.equal(typeIn(lastDraft()), MessageType.DELAY, `sent as ${messageType}`);
    }
  });

  it("takes the delivery time before the message group", async () => {
    const dueMs = broker.clock.now() + 1_000;
    const { status } = await send(delayed(dueMs, { messageGroup: "g", messageType: 2 }));
    assert.equal(status?.code, Code.OK, status?.message);
    assert.deepEqual([lastDraft().type, typeIn(lastDraft())], [RecordType.delayedMessage, 3]);
  });

  it("cuts a time to the millisecond", async () => {
    const deliveryTimestamp = { seconds: 4_000_000_000, nanos: 1_999_999 };
    await send(delayed(0, { deliveryTimestamp }));
    assert.equal(lastDraft().dueMs, 4_000_000_000_001);
  });

  it("takes several messages of one request, each with its own time", async () => {
    const nowMs = broker.clock.now();
    const { entries } = await send(
      delayed(nowMs + 10, {}, "mixed"),
      delayed(nowMs - 10, {}, "mixed"),
      {
        ...delayed(0, {}, "mixed"),
        systemProperties: { messageId: "plain", messageType: 1 },
      },
      delayed(nowMs + 20, {}, "mixed"),
    );
    assert.deepEqual(
      entries.map(({ recallHandle }) => recallHandle),
      [`mixed ${nowMs + 10} 0`, "", "", `mixed ${nowMs + 20} 300`],
    );
    assert.deepEqual(
      broker.appended[0]?.map(({ type }) => type),
      [
        RecordType.delayedMessage,
        RecordType.message,
        RecordType.message,
        RecordType.delayedMessage,
      ],
    );
    assert.deepEqual(broker.calls, ["admit 2", "settled 2 stored"]);
  });

  it("takes any time up to the year 9999 when there is no limit", async () => {
    for (const dueMs of [broker.clock.now() + 50 * 31_557_600_000, 253_402_300_799_999]) {
      const { status } = await send(delayed(dueMs));
      assert.equal(status?.code, Code.OK, status?.message);
      assert.equal(lastDraft().dueMs, dueMs);
    }
  });

  it("refuses a time outside the years of a timestamp: ILLEGAL_DELIVERY_TIME", async () => {
    // Python's documentation says milliseconds, the field takes seconds.
    await refused(delayed(1.7e15), Code.ILLEGAL_DELIVERY_TIME, /counts seconds/);
    await refused(delayed(253_402_300_800_000), Code.ILLEGAL_DELIVERY_TIME, /1 to 9999/);
    await refused(delayed(-62_135_596_800_001), Code.ILLEGAL_DELIVERY_TIME, /1 to 9999/);
  });

  it("refuses a time beyond timerMaxDelaySec: ILLEGAL_DELIVERY_TIME", async () => {
    broker = new TestBroker({ flags: { timerMaxDelaySec: "60" } });
    await makeTopics();
    const nowMs = broker.clock.now();
    await refused(delayed(nowMs + 60_001), Code.ILLEGAL_DELIVERY_TIME, /61 s ahead, at most 60 s/);
    const { status } = await send(delayed(nowMs + 60_000));
    assert.equal(status?.code, Code.OK, status?.message);
  });

  it("refuses more than may wait: TOO_MANY_REQUESTS", async () => {
    broker.admitFailure = new MqError("TOO_MANY_REQUESTS", "too many wait");
    await refused(delayed(broker.clock.now() + 1_000), Code.TOO_MANY_REQUESTS, /too many wait/);
    broker.admitFailure = undefined;
  });

  it("counts a message no more that was not stored", async () => {
    broker.appendFailure = new MqError("DISK_FULL", "full");
    await send(delayed(broker.clock.now() + 1_000));
    assert.deepEqual(broker.calls, ["admit 1", "settled 1 refused"]);
  });

  it("goes to DELAY and MIXED topics only", async () => {
    await broker.metadata.updateTopic({ name: "normal" });
    const late = delayed(broker.clock.now() + 1_000, {}, "normal");
    await refused(late, Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, /is of type DELAY/);
    const plain = { ...delayed(0), systemProperties: { messageId: "x" } };
    await refused(plain, Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE, /accepts DELAY/);
  });

  it("is not taken where no timers run", async () => {
    broker.local = { ...broker.parts, timers: undefined };
    await refused(delayed(broker.clock.now() + 1), Code.HA_NOT_AVAILABLE, /no delayed messages/);
  });

  it("is routed to queues that accept DELAY", async () => {
    const { QueryRoute } = messagingService.methods;
    const types = async (name: string): Promise<readonly number[] | undefined> => {
      const request = QueryRoute.request.encode({ topic: { name } });
      const answer = QueryRoute.response.decode(await broker.unary(QueryRoute.path, request));
      return answer.messageQueues[0]?.acceptMessageTypes;
    };
    assert.deepEqual(await types("delay"), [MessageType.DELAY]);
    assert.ok((await types("mixed"))?.includes(MessageType.DELAY));
  });
});
