// Several messages in one request: what is stored together, and how each is answered.
import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { SendMessage } = messagingService.methods;
const { Code } = rocketmq.v2;

type Properties = rocketmq.v2.ISystemProperties;

function message(
  messageId: string,
  properties: Properties = {},
  parts: rocketmq.v2.IMessage = {},
): rocketmq.v2.IMessage {
  const systemProperties = { messageId, messageType: 1, bodyEncoding: 1, ...properties };
  return { topic: { name: "t" }, body: Buffer.from("x"), ...parts, systemProperties };
}

describe("SendMessage of several messages", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    const attributes = { "message.type": "MIXED" };
    await broker.metadata.updateTopic({ name: "t", writeQueueNums: 4, attributes });
  });

  async function send(
    ...messages: rocketmq.v2.IMessage[]
  ): Promise<rocketmq.v2.SendMessageResponse> {
    const request = SendMessage.request.encode({ messages });
    return SendMessage.response.decode(await broker.unary(SendMessage.path, request));
  }

  function told({ entries }: rocketmq.v2.SendMessageResponse): unknown[] {
    return entries.map(({ status, messageId }) => [messageId, status?.code]);
  }

  function stored(): (readonly [number, string])[][] {
    return broker.appended.map((group) =>
      group.map(({ queueId, systemProperties }) => {
        const { messageId } = rocketmq.v2.SystemProperties.decode(systemProperties);
        return [queueId, messageId] as const;
      }),
    );
  }

  it("stores kinds of all sorts as one atomic group, each answered as its kind is", async () => {
    const deliveryTimestamp = { seconds: broker.clock.now() / 1_000 + 60 };
    const answer = await send(
      message("plain"),
      message("ordered", { messageGroup: "g" }),
      message("late", { deliveryTimestamp }),
      message("half", { messageType: 4 }),
    );
    assert.equal(answer.status?.code, Code.OK, answer.status?.message);
    assert.deepEqual(
      answer.entries.map(({ messageId, status }) => [messageId, status?.code]),
      ["plain", "ordered", "late", "half"].map((id) => [id, Code.OK]),
    );
    const [plain, , late, half] = answer.entries;
    assert.equal(plain?.transactionId, "plain");
    assert.match(late?.recallHandle ?? "", /^t \d+/);
    assert.match(half?.transactionId ?? "", /^half of t at/);
    assert.equal(broker.appended.length, 1);
  });

  it("refuses what goes to the queue of a refused message, and takes the rest: MULTIPLE_RESULTS", async () => {
    const answer = await send(
      message("a", { queueId: 1 }),
      message("b", { queueId: 2 }),
      message("c", { queueId: 1 }, { body: new Uint8Array() }),
      message("d", { queueId: 3 }),
      message("e", { queueId: 1 }),
    );
    assert.deepEqual(
      [answer.status?.code, answer.status?.message],
      [Code.MULTIPLE_RESULTS, "MULTIPLE_RESULTS"],
    );
    const empty = Code.MESSAGE_BODY_EMPTY;
    assert.deepEqual(told(answer), [
      ["a", empty],
      ["b", Code.OK],
      ["c", empty],
      ["d", Code.OK],
      ["e", empty],
    ]);
    const texts = answer.entries.map(({ status }) => status?.message);
    assert.match(texts[0] ?? "", /^message 3 of the request goes to the same queue and is refused/);
    assert.equal(texts[2], "the message body is empty");
    assert.deepEqual(stored(), [
      [
        [2, "b"],
        [3, "d"],
      ],
    ]);
    assert.deepEqual(
      answer.entries.map(({ offset }) => offset),
      [0, 0, 0, 1, 0],
    );
  });

  it("takes or refuses a message group as a whole, in its order", async () => {
    const ordered = (id: string, messageGroup: string, tag = "x"): rocketmq.v2.IMessage =>
      message(id, { messageGroup, messageType: 2, tag });
    const answer = await send(
      ordered("a1", "order-1"),
      ordered("b1", "order-2"),
      ordered("a2", "order-1", "a|b"),
      ordered("b2", "order-2"),
      ordered("a3", "order-1"),
    );
    assert.equal(answer.status?.code, Code.MULTIPLE_RESULTS);
    assert.deepEqual(
      stored().map((group) => group.map(([, id]) => id)),
      [["b1", "b2"]],
    );
  });

  it("refuses a request of which nothing is left by that refusal alone, without entries", async () => {
    for (const bad of [0, 1, 2]) {
      const messages = [0, 1, 2].map((index) =>
        message(`m${index}`, index === bad ? { tag: "a|b" } : {}),
      );
      const answer = await send(...messages);
      assert.equal(answer.status?.code, Code.ILLEGAL_MESSAGE_TAG);
      assert.match(answer.status?.message ?? "", /^the tag "a\|b" holds/);
      assert.deepEqual([answer.entries.length, broker.appended.length], [0, 0]);
    }
  });

  it("says of each message why it is refused when the reasons differ: MULTIPLE_RESULTS", async () => {
    const answer = await send(
      message("a", { queueId: 1, tag: "a|b" }),
      message("b", { queueId: 2 }, { body: new Uint8Array() }),
    );
    assert.equal(answer.status?.code, Code.MULTIPLE_RESULTS);
    assert.deepEqual(told(answer), [
      ["a", Code.ILLEGAL_MESSAGE_TAG],
      ["b", Code.MESSAGE_BODY_EMPTY],
    ]);
    assert.equal(broker.appended.length, 0);
  });

  it("says of those that might have been stored why they are not", async () => {
    broker.appendFailure = new MqError("DISK_FULL", "the disk is full");
    const answer = await send(
      message("a", { queueId: 1 }),
      message("b", { queueId: 2, tag: "a|b" }),
    );
    assert.equal(answer.status?.code, Code.MULTIPLE_RESULTS);
    assert.deepEqual(told(answer), [
      ["a", Code.INTERNAL_SERVER_ERROR],
      ["b", Code.ILLEGAL_MESSAGE_TAG],
    ]);
  });

  it("refuses all of a request that is too long to be judged message by message", async () => {
    const of = (count: number): rocketmq.v2.IMessage[] =>
      Array.from({ length: count }, (_unused, index) =>
        message(`m${index}`, index === 7 ? { queueId: 1, tag: "a|b" } : { queueId: 2 }),
      );
    const all = await send(...of(limits.judgedApartMax + 1));
    assert.equal(all.status?.code, Code.ILLEGAL_MESSAGE_TAG);
    assert.deepEqual([all.entries.length, broker.appended.length], [0, 0]);
    const apart = await send(...of(limits.judgedApartMax));
    assert.equal(apart.status?.code, Code.MULTIPLE_RESULTS);
    assert.equal(broker.appended[0]?.length, limits.judgedApartMax - 1);
  });

  it("counts no held message that is refused for its neighbour", async () => {
    const deliveryTimestamp = { seconds: broker.clock.now() / 1_000 + 60 };
    await send(
      message("late", { queueId: 1, deliveryTimestamp }),
      message("bad", { queueId: 1, tag: "a|b" }),
      message("other", { queueId: 2, deliveryTimestamp }),
    );
    assert.deepEqual(broker.calls, ["admit 1", "settled 1 stored"]);
  });

  it("refuses messages of several topics whatever else is wrong: MESSAGE_CORRUPTED", async () => {
    const answer = await send(
      message("a", { queueId: 1, tag: "a|b" }),
      message("b", { queueId: 2 }),
      message("c", { queueId: 3 }, { topic: { name: "other" } }),
    );
    assert.equal(answer.status?.code, Code.MESSAGE_CORRUPTED);
    assert.match(answer.status?.message ?? "", /topics t and other; send one topic at a time/);
    assert.deepEqual([answer.entries.length, broker.appended.length], [0, 0]);
  });
});
