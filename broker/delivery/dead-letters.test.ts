import assert from "node:assert/strict";
import { rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { RecordType } from "../store/index.ts";
import type { Delivered } from "./request.ts";
import { Gate } from "./testkit/fake-clock.ts";
import { names, Scene } from "./testkit/scene.ts";

const dlq = "%DLQ%g";

async function exhaust(scene: Scene): Promise<void> {
  for (let attempt = 1; attempt <= 3; attempt++) {
    const batch = await scene.receive();
    assert.ok(batch.every((message) => message.attempt === attempt));
    for (const message of batch) scene.nack(message, 0);
  }
}

/** Has the one message of the topic delivered a last time, and its invisible time pass. */
async function spend(scene: Scene): Promise<Delivered> {
  for (let attempt = 1; attempt <= 2; attempt++) {
    const [message] = await scene.receive();
    assert.ok(message);
    scene.nack(message, 0);
  }
  const [last] = await scene.receive({ invisibleMs: 10_000 });
  assert.equal(last?.attempt, 3);
  await scene.clock.pass(10_000);
  return last;
}

const threeAttempts = { group: { retryMaxTimes: 2 } };

describe("delivery: dead letters", () => {
  it("copies a message after its last attempt and ends it, in one group of records", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 1, { id: "M1", tag: "a", body: "hello", flags: 5 });
    await exhaust(scene);
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(0);
    assert.equal(scene.delivery.progress("g")[1]?.pendingCount, 0);
    assert.equal(scene.delivery.counters.deadLettered, 1);
    assert.deepEqual(scene.store.groups.at(-1), [RecordType.message, RecordType.progress]);
    const [copy] = await scene.receive({ topic: dlq });
    assert.ok(copy);
    assert.equal(Buffer.from(copy.record.body).toString(), "hello");
    assert.equal(copy.record.flags, 5);
    const properties = rocketmq.v2.SystemProperties.decode(copy.record.systemProperties);
    assert.equal(properties.messageId, "M1");
    assert.equal(properties.tag, "a");
    assert.equal(properties.deadLetterQueue?.topic, "t");
    assert.equal(properties.deadLetterQueue?.messageId, "M1");
    assert.equal(scene.metadata.topic(dlq)?.readQueueNums, 1);
  });

  it("leaves exactly one of the two over a crash at any time", async () => {
    const scene = await Scene.open(threeAttempts);
    for (let i = 0; i < 5; i++) scene.store.send("t", 0);
    await exhaust(scene);
    await scene.clock.pass(100);
    const gate = new Gate();
    scene.store.appendGate = gate.opened;
    assert.deepEqual(await scene.receive(), []);
    scene.store.appendGate = undefined;
    await scene.crash();
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(100);
    assert.equal((await scene.receive({ topic: dlq })).length, 5);
    gate.open();
    await scene.crash();
    assert.deepEqual(await scene.receive(), []);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("refuses what comes while its dead letter is being written: nothing can keep it back then", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 0);
    const dying = await spend(scene);
    const gate = new Gate();
    scene.store.appendGate = gate.opened;
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(0);
    assert.equal(scene.ack(dying), "invalid");
    assert.equal(scene.nack(dying, 0), "invalid");
    assert.equal(scene.delivery.counters.acknowledged, 0);
    gate.open();
    scene.store.appendGate = undefined;
    await scene.clock.pass(100);
    assert.equal((await scene.receive({ topic: dlq })).length, 1);
    assert.equal(scene.delivery.counters.deadLettered, 1);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("refuses an acknowledgement that comes after it, and takes repeated ones of what is done otherwise", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 0);
    const dead = await spend(scene);
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(100);
    assert.equal(scene.ack(dead), "invalid");
    assert.equal(scene.ack(dead), "invalid");
    scene.store.send("t", 0);
    const [other] = await scene.receive();
    assert.ok(other);
    assert.deepEqual([scene.ack(other), scene.ack(other)], ["ok", "ok"]);
    const place = { topic: "t", queueId: 0, queueOffset: 0 };
    assert.equal(scene.delivery.tracking.giveAgain("g", place, 0), "given");
    const [again] = await scene.receive();
    assert.ok(again);
    assert.equal(scene.ack(dead), "invalid");
    assert.deepEqual([scene.ack(again), scene.ack(again)], ["ok", "ok"]);
    assert.equal(scene.ack(dead), "invalid");
  });

  it("lets an acknowledgement win before its dead letter is written", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 0);
    const dying = await spend(scene);
    await scene.clock.pass(100);
    assert.deepEqual(await scene.receive(), []);
    assert.equal(scene.ack(dying), "ok");
    await scene.clock.pass(100);
    assert.deepEqual(await scene.receive({ topic: dlq }), []);
    assert.equal(scene.delivery.counters.deadLettered, 0);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("takes an acknowledgement again when its dead letter could not be written", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 0);
    const dying = await spend(scene);
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(100);
    assert.equal(scene.ack(dying), "ok");
    scene.store.appendError = undefined;
    await scene.clock.pass(10_000);
    assert.deepEqual(await scene.receive({ topic: dlq }), []);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("does not hold up other messages, and is tried again when the disk is full", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 0);
    await exhaust(scene);
    scene.store.send("t", 0);
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    assert.deepEqual(names(await scene.receive()), ["0:1"]);
    await scene.clock.pass(5_000);
    assert.equal(scene.delivery.counters.deadLettered, 0);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 2);
    scene.store.appendError = undefined;
    const held = scene.receive({ pollingMs: 20_000 });
    await scene.clock.pass(20_000);
    await held;
    assert.equal(scene.delivery.counters.deadLettered, 1);
    assert.equal((await scene.receive({ topic: dlq })).length, 1);
  });

  it("takes what the timeout of a flush says as stored: no second copy", async () => {
    const scene = await Scene.open(threeAttempts);
    scene.store.send("t", 0);
    await exhaust(scene);
    await scene.receive();
    const append = scene.store.append.bind(scene.store);
    scene.store.append = async (group) => {
      await append(group);
      throw new MqError("MASTER_PERSISTENCE_TIMEOUT", "slow disk");
    };
    await scene.clock.pass(5_000);
    await scene.receive();
    await scene.clock.pass(5_000);
    assert.equal((await scene.receive({ topic: dlq })).length, 1);
  });

  it("forwards by handle at once; repeating it is ok", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [message] = await scene.receive({ autoRenew: true });
    assert.ok(message);
    const request = {
      group: "g",
      topic: "t",
      receiptHandle: message.receiptHandle,
      messageId: "",
    };
    const outcomes = await Promise.all([
      scene.delivery.deadLetter(request),
      scene.delivery.deadLetter(request),
    ]);
    assert.deepEqual(outcomes, ["ok", "ok"]);
    assert.equal(await scene.delivery.deadLetter(request), "ok");
    assert.equal((await scene.receive({ topic: dlq })).length, 1);
    assert.equal(scene.delivery.figures().renewed, 0);
    assert.equal(
      await scene.delivery.deadLetter({ ...request, receiptHandle: "nonsense" }),
      "invalid",
    );
    assert.equal(await scene.delivery.deadLetter({ ...request, group: "h" }), "invalid");
  });

  it("refuses a handle whose message was handed out again while it was read", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [first] = await scene.receive({ invisibleMs: 10_000 });
    assert.ok(first);
    await scene.clock.pass(10_000);
    scene.store.coolDown();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const receiving = scene.receive({ pollingMs: 5_000 });
    const { receiptHandle } = first;
    const forwarding = scene.delivery.deadLetter({
      group: "g",
      topic: "t",
      receiptHandle,
      messageId: "",
    });
    gate.open();
    const [second] = await receiving;
    assert.ok(second);
    assert.equal(await forwarding, "invalid");
    assert.equal(scene.metadata.topic(dlq), undefined);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 1);
  });

  it("forwards by message id when there is no handle", async () => {
    const scene = await Scene.open();
    for (let i = 0; i < 20; i++) scene.store.send("t", i % 4, { id: `M${i}` });
    await scene.receive();
    scene.store.coolDown();
    const request = { group: "g", topic: "t", receiptHandle: "", messageId: "M13" };
    assert.equal(await scene.delivery.deadLetter(request), "ok");
    const [copy] = await scene.receive({ topic: dlq });
    assert.ok(copy);
    const { messageId } = rocketmq.v2.SystemProperties.decode(copy.record.systemProperties);
    assert.equal(messageId, "M13");
    assert.equal(await scene.delivery.deadLetter({ ...request, messageId: "M99" }), "invalid");
  });

  it("says why forwarding failed, and leaves the message as it was", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [message] = await scene.receive();
    assert.ok(message);
    const { receiptHandle } = message;
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    await assert.rejects(
      scene.delivery.deadLetter({ group: "g", topic: "t", receiptHandle, messageId: "" }),
      (error: MqError) => error.code === "DISK_FULL",
    );
    assert.equal(scene.ack(message), "ok");
  });

  it("moves many at once without more than a few under way", async () => {
    const scene = await Scene.open({ ...threeAttempts, topic: { readQueueNums: 1 } });
    const count = limits.deadLettersUnderWayMax * 3;
    for (let i = 0; i < count; i++) scene.store.send("t", 0);
    for (let attempt = 1; attempt <= 3; attempt++) {
      const all = [];
      while (all.length < count) all.push(...(await scene.receive()));
      for (const message of all) scene.nack(message, 0);
    }
    for (let i = 0; i < 10; i++) {
      assert.deepEqual(await scene.receive(), []);
      await scene.clock.pass(1_000);
    }
    assert.equal(scene.delivery.counters.deadLettered, count);
    let copies = 0;
    for (let batch = await scene.receive({ topic: dlq }); batch.length > 0; ) {
      copies += batch.length;
      batch = await scene.receive({ topic: dlq });
    }
    assert.equal(copies, count);
  });
});
