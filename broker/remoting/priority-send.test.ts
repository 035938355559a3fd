// Messages with a priority, as the broker takes them.
import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import type { MqError } from "../../base/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { SendMessage } = messagingService.methods;
const { Code } = rocketmq.v2;

describe("SendMessage with a priority", () => {
  let broker: TestBroker;

  async function send(...priorities: number[]): Promise<rocketmq.v2.SendMessageResponse> {
    const messages = priorities.map((priority) => ({
      topic: { name: "t" },
      body: Buffer.from("x"),
      systemProperties: { messageId: `p${priority}`, messageType: 6, priority, queueId: 1 },
    }));
    const request = SendMessage.request.encode({ messages });
    return SendMessage.response.decode(await broker.unary(SendMessage.path, request));
  }

  beforeEach(async () => {
    broker = new TestBroker();
    const attributes = { "message.type": "PRIORITY" };
    await broker.metadata.updateTopic({ name: "t", writeQueueNums: 4, attributes });
  });

  it("stores it in the queue of its priority, however many queues the topic has", async () => {
    await send(0, 3, 4, 255, 256, 2_147_483_647);
    assert.deepEqual(
      broker.appended.flat().map(({ queueId }) => queueId),
      [0, 3, 4, 255, 255, 255],
    );
  });

  it("refuses one below 0, and with it nothing of another priority: BAD_REQUEST", async () => {
    const { status } = await send(-1);
    assert.equal(status?.code, Code.BAD_REQUEST);
    assert.match(status?.message ?? "", /priority is -1; allowed are whole numbers from 0/);
    const mixed = await send(7, -1, 7);
    assert.equal(mixed.status?.code, Code.MULTIPLE_RESULTS);
    assert.deepEqual(
      mixed.entries.map((entry) => entry.status?.code),
      [Code.OK, Code.BAD_REQUEST, Code.OK],
    );
  });

  it("keeps the type of the topic, whose queues nobody would read: BAD_REQUEST", async () => {
    for (const type of ["NORMAL", "MIXED"]) {
      const attributes = { "message.type": type };
      await assert.rejects(
        broker.metadata.updateTopic({ name: "t", attributes }),
        (error: MqError) =>
          error.code === "BAD_REQUEST" && /type of t may not become/.test(error.message),
      );
    }
    const attributes = { "message.type": "PRIORITY" };
    await broker.metadata.updateTopic({ name: "t", writeQueueNums: 8, attributes });
  });

  it("is not pulled by queue: UNSUPPORTED", async () => {
    const { GetOffset, QueryOffset, UpdateOffset } = messagingService.methods;
    const messageQueue = { topic: { name: "t" }, id: 0 };
    const group = { name: "g" };
    const asked = [
      GetOffset.response.decode(
        await broker.unary(GetOffset.path, GetOffset.request.encode({ group, messageQueue })),
      ),
      UpdateOffset.response.decode(
        await broker.unary(
          UpdateOffset.path,
          UpdateOffset.request.encode({ group, messageQueue, offset: 1 }),
        ),
      ),
      QueryOffset.response.decode(
        await broker.unary(QueryOffset.path, QueryOffset.request.encode({ messageQueue })),
      ),
    ];
    for (const { status } of asked) {
      assert.equal(status?.code, Code.UNSUPPORTED, status?.message);
      assert.match(status?.message ?? "", /topic t is of type PRIORITY/);
    }
  });
});
