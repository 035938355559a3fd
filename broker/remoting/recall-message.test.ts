import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { HeldHandles } from "../held/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { RecallMessage } = messagingService.methods;
const { Code } = rocketmq.v2;

function handleOf(brokerName: string): string {
  const timer = { kind: "timer" as const, dueMs: 1_800_000_000_000, id: 80 };
  return new HeldHandles(Buffer.alloc(32), brokerName).encode("t", timer);
}

describe("RecallMessage", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    await broker.metadata.updateTopic({ name: "t" });
  });

  async function recall(
    recallHandle: string,
    topic = "t",
  ): Promise<readonly [code: number | undefined, messageId: string]> {
    const request = RecallMessage.request.encode({ topic: { name: topic }, recallHandle });
    const answer = RecallMessage.response.decode(await broker.unary(RecallMessage.path, request));
    return [answer.status?.code, answer.messageId];
  }

  it("answers with the id of the message", async () => {
    const handle = handleOf("broker-a");
    broker.handles.add(handle);
    assert.deepEqual(await recall(handle), [Code.OK, "recalled"]);
    assert.deepEqual(broker.calls, [`recall t ${handle}`]);
  });

  it("refuses what is no handle, or not one of this topic: INVALID_RECEIPT_HANDLE", async () => {
    for (const handle of ["", "x", "a b", "AQ", handleOf("broker-a"), "A".repeat(1_000)]) {
      assert.deepEqual(await recall(handle), [Code.INVALID_RECEIPT_HANDLE, ""], handle);
    }
  });

  it("refuses the handle of a broker that there is not", async () => {
    assert.deepEqual(await recall(handleOf("elsewhere")), [Code.INVALID_RECEIPT_HANDLE, ""]);
  });

  it("waits for the master where an acting one is asked: HA_NOT_AVAILABLE", async () => {
    const handle = handleOf("broker-a");
    broker.handles.add(handle);
    broker.local = { ...broker.parts, timers: undefined, canSend: false };
    const request = RecallMessage.request.encode({ topic: { name: "t" }, recallHandle: handle });
    const bytes = await broker.unary(RecallMessage.path, request, { remainingMs: 100 });
    assert.equal(RecallMessage.response.decode(bytes).status?.code, Code.HA_NOT_AVAILABLE);
    assert.deepEqual(broker.calls, []);
  });

  it("says what timers say", async () => {
    assert.ok(broker.parts.timers !== undefined);
    for (const code of ["MESSAGE_NOT_FOUND", "TOPIC_NOT_FOUND", "HA_NOT_AVAILABLE"] as const) {
      broker.parts.timers.recall = async () => {
        throw new MqError(code, "so it is");
      };
      assert.deepEqual(await recall(handleOf("broker-a")), [Code[code], ""]);
    }
  });
});
