import assert from "node:assert/strict";
import { messagingService, type rocketmq } from "@cometmq/proto";
import { type CallOptions, TestBroker } from "./testkit/index.ts";

const { AckMessage, ChangeInvisibleDuration, ForwardMessageToDeadLetterQueue } =
  messagingService.methods;
const names = { group: { name: "g" }, topic: { name: "t" } };

function entry(receiptHandle: string): rocketmq.v2.IAckMessageEntry {
  return { messageId: `id of ${receiptHandle}`, receiptHandle };
}

describe("settling a message", () => {
  let broker: TestBroker;

  beforeEach(() => {
    broker = new TestBroker();
    broker.handles.add("h1").add("h2");
  });

  async function ack(
    wish: rocketmq.v2.IAckMessageRequest,
    options?: CallOptions,
  ): Promise<rocketmq.v2.AckMessageResponse> {
    const request = AckMessage.request.encode(wish);
    return AckMessage.response.decode(await broker.unary(AckMessage.path, request, options));
  }

  async function code(
    wish: rocketmq.v2.IAckMessageRequest,
    options?: CallOptions,
  ): Promise<number | undefined> {
    return (await ack(wish, options)).status?.code;
  }

  async function change(
    wish: rocketmq.v2.IChangeInvisibleDurationRequest,
  ): Promise<rocketmq.v2.ChangeInvisibleDurationResponse> {
    const method = ChangeInvisibleDuration;
    const request = method.request.encode({ ...names, receiptHandle: "h1", ...wish });
    return method.response.decode(await broker.unary(method.path, request));
  }

  async function giveUp(
    wish: rocketmq.v2.IForwardMessageToDeadLetterQueueRequest,
  ): Promise<rocketmq.v2.Status | null> {
    const method = ForwardMessageToDeadLetterQueue;
    const request = method.request.encode({ ...names, ...wish });
    return method.response.decode(await broker.unary(method.path, request)).status;
  }

  describe("AckMessage", () => {
    it("acknowledges each entry, in order", async () => {
      const answer = await ack({ ...names, entries: [entry("h1"), entry("h2")] });
      assert.equal(answer.status?.code, 20_000);
      assert.deepEqual(
        answer.entries.map(({ messageId, receiptHandle, status }) => [
          messageId,
          receiptHandle,
          status?.code,
        ]),
        [
          ["id of h1", "h1", 20_000],
          ["id of h2", "h2", 20_000],
        ],
      );
      assert.deepEqual(broker.calls, ["ack g t h1", "ack g t h2"]);
    });

    it("answers a stale handle with INVALID_RECEIPT_HANDLE, which ends the client's retries", async () => {
      const answer = await ack({ ...names, entries: [entry("old")] });
      assert.equal(answer.status?.code, 40_013);
      assert.equal(answer.entries[0]?.status?.code, 40_013);
    });

    it("answers a mix with MULTIPLE_RESULTS", async () => {
      const answer = await ack({ ...names, entries: [entry("h1"), entry("old")] });
      assert.equal(answer.status?.code, 30_000);
      assert.deepEqual(
        answer.entries.map(({ status }) => status?.code),
        [20_000, 40_013],
      );
    });

    it("refuses what cannot be right", async () => {
      const entries = [entry("h1")];
      assert.equal(await code({ ...names, entries: [] }), 40_000);
      assert.equal(await code({ group: { name: "g" }, entries }), 40_002);
      assert.equal(await code({ topic: { name: "t" }, entries }), 40_003);
      assert.equal(await code({ ...names, entries }, { headers: {} }), 40_017);
      assert.deepEqual(broker.calls, []);
      const broken = await broker.unary(AckMessage.path, Uint8Array.of(10, 200, 1));
      assert.equal(AckMessage.response.decode(broken).status?.code, 40_000);
    });
  });

  describe("ChangeInvisibleDuration", () => {
    it("gives the new handle", async () => {
      const answer = await change({ invisibleDuration: { seconds: 2, nanos: 5_000_000 } });
      assert.equal(answer.status?.code, 20_000);
      assert.equal(answer.receiptHandle, "h1+");
      assert.deepEqual(broker.calls, ["change g t h1 2005"]);
    });

    it("takes 0, and tiny values, as Node.js sends them", async () => {
      assert.equal((await change({})).status?.code, 20_000);
      const tiny = await change({ invisibleDuration: { nanos: 1_000_000 } });
      assert.equal(tiny.status?.code, 20_000);
    });

    it("gives the handle back with an error", async () => {
      const long = await change({ invisibleDuration: { seconds: 43_201 } });
      assert.equal(long.status?.code, 40_011);
      assert.match(long.status?.message ?? "", /the invisibleTime is too large/);
      assert.equal(long.receiptHandle, "h1");
      const negative = await change({ invisibleDuration: { seconds: -1 } });
      assert.equal(negative.status?.code, 40_011);
      assert.match(negative.status?.message ?? "", /the invisibleTime is too small/);
      const stale = await change({ receiptHandle: "old" });
      assert.equal(stale.status?.code, 40_013);
      assert.equal(stale.receiptHandle, "old");
    });

    it("checks the names", async () => {
      assert.equal((await change({ topic: { name: "a b" } })).status?.code, 40_002);
      assert.equal((await change({ group: { name: "" } })).status?.code, 40_003);
    });
  });

  describe("ForwardMessageToDeadLetterQueue", () => {
    it("gives up on a message, by handle or by id", async () => {
      const status = await giveUp({ receiptHandle: "h1", messageId: "m" });
      assert.equal(status?.code, 20_000);
      assert.deepEqual(broker.calls, ["deadLetter g t h1 m"]);
      // C++ sends no handle.
      broker.handles.add("");
      assert.equal((await giveUp({ messageId: "m" }))?.code, 20_000);
    });

    it("refuses a stale handle and wrong names", async () => {
      assert.equal((await giveUp({ receiptHandle: "old" }))?.code, 40_013);
      assert.equal((await giveUp({ topic: { name: "a b" } }))?.code, 40_002);
      assert.equal((await giveUp({ group: null }))?.code, 40_003);
    });
  });
});
