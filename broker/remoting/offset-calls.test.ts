import assert from "node:assert/strict";
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { TestBroker } from "./testkit/index.ts";

const { methods } = messagingService;
const group = { name: "g" };
const topic = { name: "t" };

describe("offsets of groups over the wire", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    await broker.metadata.updateTopic({ name: "t", readQueueNums: 4, writeQueueNums: 4 });
  });

  async function get(id = 3): Promise<rocketmq.v2.GetOffsetResponse> {
    const { path, request, response } = methods.GetOffset;
    const wish = { group, messageQueue: { topic, id } };
    return response.decode(await broker.unary(path, request.encode(wish)));
  }

  async function update(offset: number, id = 3): Promise<rocketmq.v2.UpdateOffsetResponse> {
    const { path, request, response } = methods.UpdateOffset;
    const wish = { group, messageQueue: { topic, id }, offset };
    return response.decode(await broker.unary(path, request.encode(wish)));
  }

  async function query(
    wish: rocketmq.v2.IQueryOffsetRequest,
  ): Promise<rocketmq.v2.QueryOffsetResponse> {
    const { path, request, response } = methods.QueryOffset;
    const all = { messageQueue: { topic, id: 0 }, ...wish };
    return response.decode(await broker.unary(path, request.encode(all)));
  }

  it("gives what was stored, each queue its own, also back", async () => {
    assert.equal((await get()).status?.code, Code.OFFSET_NOT_FOUND);
    for (const offset of [40, 7, 0]) {
      assert.equal((await update(offset)).status?.code, Code.OK);
      const answer = await get();
      assert.deepEqual([answer.status?.code, answer.offset], [Code.OK, offset]);
    }
    assert.equal((await get(2)).status?.code, Code.OFFSET_NOT_FOUND);
    assert.deepEqual([...broker.offsets], [["g t 3", 0]]);
  });

  it("says what keeps an offset from being stored", async () => {
    broker.parts.delivery.offsets.commit = () =>
      Promise.reject(new MqError("DISK_FULL", "no space"));
    const { status } = await update(3);
    assert.equal(status?.code, new MqError("DISK_FULL", "").status);
    assert.match(status?.message ?? "", /no space/);
  });

  it("makes topic and group when that is allowed, and refuses when it is not", async () => {
    const messageQueue = { topic: { name: "new" }, id: 0 };
    const wish = methods.UpdateOffset.request.encode({ group: { name: "fresh" }, messageQueue });
    const codeOf = async (): Promise<number> => {
      const bytes = await broker.unary(methods.UpdateOffset.path, wish);
      return methods.UpdateOffset.response.decode(bytes).status?.code ?? 0;
    };
    assert.equal(await codeOf(), Code.OK);
    assert.ok(broker.metadata.topic("new") !== undefined);
    assert.ok(broker.metadata.group("fresh") !== undefined);
    broker = new TestBroker({ flags: { autoCreateTopicEnable: "false" } });
    assert.equal(await codeOf(), Code.TOPIC_NOT_FOUND);
    broker = new TestBroker({ flags: { autoCreateSubscriptionGroup: "false" } });
    assert.equal(await codeOf(), Code.CONSUMER_GROUP_NOT_FOUND);
  });

  it("is refused for a topic that may not be read: FORBIDDEN", async () => {
    await broker.metadata.updateTopic({ name: "t", perm: 2 });
    assert.equal((await get()).status?.code, Code.FORBIDDEN);
    assert.equal((await update(1)).status?.code, Code.FORBIDDEN);
    assert.equal((await query({})).status?.code, Code.FORBIDDEN);
  });

  it("goes forward at an acting master, and back at a master only", async () => {
    assert.equal((await update(20)).status?.code, Code.OK);
    broker.local = { ...broker.parts, canSend: false };
    assert.equal((await update(30)).status?.code, Code.OK);
    assert.equal((await update(30)).status?.code, Code.OK);
    const { status } = await update(29);
    assert.equal(status?.code, Code.HA_NOT_AVAILABLE);
    assert.match(status?.message ?? "", /30 to 29/);
    assert.equal((await get()).offset, 30);
    assert.equal((await update(1, 2)).status?.code, Code.OK);
  });

  it("finds the beginning, the end and a moment of a queue", async () => {
    assert.equal((await query({ queryOffsetPolicy: 0 })).offset, 10);
    assert.equal((await query({ queryOffsetPolicy: 1 })).offset, 100);
    const timestamp = { seconds: 42, nanos: 0 };
    assert.equal((await query({ queryOffsetPolicy: 2, timestamp })).offset, 42);
    for (const wrong of [{ queryOffsetPolicy: 2 }, { queryOffsetPolicy: 7 }]) {
      assert.equal((await query(wrong)).status?.code, Code.BAD_REQUEST);
    }
  });

  it("names the queues that there are", async () => {
    const { status } = await get(4);
    assert.match(
      status?.message ?? "",
      /topic t has no queue 4 on broker broker-a: .* are 0 to 3$/,
    );
  });
});
