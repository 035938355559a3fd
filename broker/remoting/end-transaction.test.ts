import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { HeldHandles } from "../held/index.ts";
import { type CallOptions, TestBroker } from "./testkit/index.ts";

const { EndTransaction } = messagingService.methods;
const { Code } = rocketmq.v2;

function idOf(brokerName: string): string {
  const half = { kind: "half" as const, dueMs: 0, id: 80 };
  return new HeldHandles(Buffer.alloc(32), brokerName).encode("t", half);
}

describe("EndTransaction", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    await broker.metadata.updateTopic({ name: "t" });
    broker.handles.add(idOf("broker-a"));
  });

  async function end(
    given: rocketmq.v2.IEndTransactionRequest,
    options?: CallOptions,
  ): Promise<number | undefined> {
    const request = EndTransaction.request.encode({
      topic: { name: "t" },
      messageId: "m",
      transactionId: idOf("broker-a"),
      resolution: 1,
      ...given,
    });
    const bytes = await broker.unary(EndTransaction.path, request, options);
    return EndTransaction.response.decode(bytes).status?.code;
  }

  it("commits, rolls back, and takes it that a producer does not know", async () => {
    for (const resolution of [1, 2, 0]) assert.equal(await end({ resolution }), Code.OK);
    assert.deepEqual(
      broker.calls,
      ["commit", "rollback", "undefined"].map((said) => `end t m ${idOf("broker-a")} ${said}`),
    );
  });

  it("does not mind the source: Go, C# and C++ leave it out", async () => {
    for (const source of [0, 1, 2]) assert.equal(await end({ source }), Code.OK);
  });

  it("refuses what is no transaction id: INVALID_TRANSACTION_ID", async () => {
    for (const transactionId of ["", " ", "x", "AQ", "A".repeat(1_000)]) {
      assert.equal(await end({ transactionId }), Code.INVALID_TRANSACTION_ID, transactionId);
    }
    assert.deepEqual(broker.calls, []);
  });

  it("refuses the id of a broker that there is not, and a resolution that there is not", async () => {
    const transactionId = idOf("elsewhere");
    assert.equal(await end({ transactionId }), Code.INVALID_TRANSACTION_ID);
    assert.equal(await end({ resolution: 7 }), Code.BAD_REQUEST);
  });

  it("waits for the master where an acting one is asked: HA_NOT_AVAILABLE", async () => {
    broker.local = { ...broker.parts, transactions: undefined, canSend: false };
    assert.equal(await end({}, { remainingMs: 100 }), Code.HA_NOT_AVAILABLE);
    assert.deepEqual(broker.calls, []);
  });

  it("says what transactions say", async () => {
    assert.ok(broker.parts.transactions !== undefined);
    for (const code of ["INVALID_TRANSACTION_ID", "BAD_REQUEST", "HA_NOT_AVAILABLE"] as const) {
      broker.parts.transactions.end = async () => {
        throw new MqError(code, "so it is");
      };
      assert.equal(await end({}), Code[code]);
    }
  });
});
