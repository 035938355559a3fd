import assert from "node:assert/strict";
import { limits, type MqError } from "../../base/index.ts";
import { settle } from "./testkit/fake-clock.ts";
import { names, Scene } from "./testkit/scene.ts";

const failsWith =
  (code: string) =>
  (error: unknown): boolean =>
    (error as MqError).code === code;

describe("delivery: receive and acknowledge", () => {
  it("hands out messages of all queues once, in order within a queue", async () => {
    const scene = await Scene.open();
    for (let i = 0; i < 8; i++) scene.store.send("t", i % 4);
    const first = await scene.receive();
    assert.deepEqual(names(first).sort(), ["0:0", "0:1", "1:0", "1:1", "2:0", "2:1", "3:0", "3:1"]);
    assert.ok(first.every((message) => message.attempt === 1 && message.invisibleMs === 30_000));
    assert.deepEqual(names(await scene.receive()), []);
    for (const message of first) assert.equal(scene.ack(message), "ok");
    await scene.clock.pass(100_000);
    assert.deepEqual(names(await scene.receive()), []);
  });

  it("cuts at countMax and serves queues in turn", async () => {
    const scene = await Scene.open();
    for (let i = 0; i < 40; i++) scene.store.send("t", i % 4);
    const batches = [];
    for (let i = 0; i < 4; i++) batches.push(await scene.receive({ countMax: 5 }));
    assert.deepEqual(
      batches.map((batch) => new Set(batch.map((message) => message.queueId)).size),
      [1, 1, 1, 1],
    );
    assert.equal(new Set(batches.map((batch) => batch[0]?.queueId)).size, 4);
  });

  it("takes the queue id as a hint only", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 3);
    assert.deepEqual(names(await scene.receive({ queueId: 0 })), ["3:0"]);
  });

  it("gives each group everything, and shares within a group", async () => {
    const scene = await Scene.open();
    await scene.metadata.updateGroup({ name: "h" });
    for (let i = 0; i < 10; i++) scene.store.send("t", 0);
    const mine = await scene.receive({ clientId: "c1", countMax: 4 });
    const yours = await scene.receive({ clientId: "c2" });
    assert.equal(mine.length + yours.length, 10);
    assert.equal((await scene.receive({ group: "h" })).length, 10);
  });

  it("refuses an unknown topic or group", async () => {
    const scene = await Scene.open();
    const request = scene.receive();
    await request;
    await scene.metadata.deleteTopic("t");
    const topic = await scene.metadata.updateTopic({ name: "other" });
    const group = await scene.metadata.updateGroup({ name: "g2" });
    await scene.metadata.deleteGroup("g2");
    const base = {
      queueId: -1,
      countMax: 1,
      invisibleMs: 1,
      autoRenew: false,
      filter: { kind: "all" } as const,
      clientId: "c",
      pollingMs: 0,
      signal: new AbortController().signal,
      isClientGone: () => false,
    };
    await assert.rejects(
      scene.delivery.receive({ ...base, group, topic }),
      failsWith("CONSUMER_GROUP_NOT_FOUND"),
    );
    await assert.rejects(
      scene.delivery.receive({ ...base, group, topic: { ...topic, name: "t" } }),
      failsWith("TOPIC_NOT_FOUND"),
    );
  });

  it("acknowledging again is ok, also after the queue went on", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [message] = await scene.receive();
    assert.ok(message);
    assert.equal(scene.ack(message), "ok");
    assert.equal(scene.ack(message), "ok");
    assert.equal(scene.nack(message, 0), "invalid");
    assert.equal(scene.delivery.counters.acknowledged, 1);
  });
});

describe("delivery: visibility, attempts and handles", () => {
  it("hands out again after the invisible time, the attempt counted", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [first] = await scene.receive({ invisibleMs: 10_000 });
    await scene.clock.pass(9_999);
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(1);
    const [second] = await scene.receive();
    assert.equal(second?.attempt, 2);
    assert.ok(first && second);
    assert.equal(scene.ack(first), "invalid");
    assert.equal(scene.ack(second), "ok");
  });

  it("accepts a handle whose time has run out until somebody else gets the message", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [first] = await scene.receive({ invisibleMs: 10_000 });
    await scene.clock.pass(60_000);
    assert.ok(first);
    assert.equal(scene.ack(first), "ok");
    assert.deepEqual(await scene.receive(), []);
  });

  it("a failing message does not hold up the others", async () => {
    const scene = await Scene.open();
    for (let i = 0; i < 3; i++) scene.store.send("t", 0);
    const [bad] = await scene.receive({ countMax: 1 });
    assert.ok(bad);
    scene.nack(bad, 60_000);
    assert.deepEqual(names(await scene.receive()), ["0:1", "0:2"]);
  });

  it("changing visibility gives a new handle and ends the old one", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [first] = await scene.receive();
    assert.ok(first);
    const changed = scene.nack(first, 5_000);
    assert.ok(changed !== "invalid");
    assert.equal(scene.ack(first), "invalid");
    assert.equal(scene.nack(first, 0), "invalid");
    const again = scene.delivery.changeInvisible({
      group: "g",
      topic: "t",
      receiptHandle: changed.handle,
      invisibleMs: 0,
    });
    assert.ok(again !== "invalid");
    const [second] = await scene.receive();
    assert.equal(second?.attempt, 2);
    assert.equal(scene.delivery.ack("g", "t", again.handle), "invalid");
    assert.ok(second);
    assert.equal(scene.ack(second), "ok");
  });

  it("refuses handles that are foreign, altered, guessed or of another group or topic", async () => {
    const scene = await Scene.open();
    await scene.metadata.updateGroup({ name: "h" });
    await scene.metadata.updateTopic({ name: "u" });
    scene.store.send("t", 0);
    scene.store.send("u", 0);
    const [message] = await scene.receive();
    await scene.receive({ group: "h" });
    await scene.receive({ topic: "u" });
    assert.ok(message);
    const handle = message.receiptHandle;
    assert.equal(scene.delivery.ack("h", "t", handle), "invalid");
    assert.equal(scene.delivery.ack("g", "u", handle), "invalid");
    assert.equal(scene.delivery.ack("g", "nowhere", handle), "invalid");
    for (const text of ["", "x", "%%%", handle.slice(1), `${handle}A`, handle.toLowerCase()]) {
      assert.equal(scene.delivery.ack("g", "t", text), "invalid", text);
    }
    const bytes = Buffer.from(handle, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(scene.delivery.ack("g", "t", altered.toString("base64url")), "invalid");
    }
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 1);
    assert.equal(scene.ack(message), "ok");
  });

  it("giving back makes a message visible at once and does not count", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const first = await scene.receive();
    scene.delivery.giveBack(first);
    scene.delivery.giveBack(first);
    const second = await scene.receive();
    assert.equal(second[0]?.attempt, 1);
    scene.delivery.giveBack(first);
    assert.deepEqual(await scene.receive(), []);
    assert.equal(second[0] && scene.ack(second[0]), "ok");
  });

  it("a clock that jumps moves no deadline", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    await scene.receive({ invisibleMs: 10_000 });
    scene.clock.jumpWall(3_600_000);
    assert.deepEqual(await scene.receive(), []);
    scene.clock.jumpWall(-7_200_000);
    await scene.clock.pass(10_000);
    assert.equal((await scene.receive())[0]?.attempt, 2);
  });

  it("bounds what is pending per queue; the cursor waits and goes on", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    const count = limits.pendingPerQueueMax + 40;
    for (let i = 0; i < count; i++) scene.store.sendQuietly("t", 0);
    scene.store.confirm();
    const all = [];
    while (all.length < limits.pendingPerQueueMax) all.push(...(await scene.receive()));
    const refusal = {
      code: "TOO_MANY_REQUESTS",
      message: /20000 messages of one queue of topic "t"/,
    };
    await assert.rejects(scene.receive(), refusal);
    assert.equal(scene.delivery.refusedCount, 1);
    assert.equal(all.length, limits.pendingPerQueueMax);
    assert.equal(scene.delivery.figures().fullLanes, 1);
    assert.equal(scene.delivery.counters.pendingFull, 1);
    const held = scene.receive({ pollingMs: 20_000 });
    await settle();
    assert.ok(all[5]);
    scene.ack(all[5]);
    assert.deepEqual(names(await held), [`0:${limits.pendingPerQueueMax}`]);
    // A held poll waits for its time first: that is the back-off.
    const refused = assert.rejects(scene.receive({ pollingMs: 20_000 }), refusal);
    await scene.clock.pass(19_999);
    assert.equal(scene.delivery.refusedCount, 1);
    await scene.clock.pass(1);
    await refused;
  });
});

function sendAndExpire(scene: Scene, count: number, expired: number): void {
  for (let i = 0; i < count; i++) scene.store.send("t", 0);
  if (expired > 0) scene.store.expire(scene.store.ensureQueue("t", 0), expired);
}

async function startFrom(consumeFrom: "first" | "last" | number): Promise<string[]> {
  const scene = await Scene.open({ group: { consumeFrom } });
  sendAndExpire(scene, 3, 1);
  await scene.clock.pass(1_000);
  scene.store.send("t", 0);
  return names(await scene.receive());
}

describe("delivery: where a group starts", () => {
  it("starts at the oldest message while nothing has expired", async () => {
    const scene = await Scene.open();
    sendAndExpire(scene, 5, 0);
    assert.equal((await scene.receive()).length, 5);
  });

  it("starts at the end when something has expired, and stays there over a restart", async () => {
    const scene = await Scene.open();
    sendAndExpire(scene, 5, 2);
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(100);
    await scene.crash();
    scene.store.send("t", 0);
    assert.deepEqual(names(await scene.receive()), ["0:5"]);
  });

  it("a topic that was deleted and made again has lost nothing", async () => {
    const scene = await Scene.open();
    sendAndExpire(scene, 5, 5);
    scene.metadata.loadFirstOffset("t", 0, 5);
    scene.store.send("t", 0);
    assert.deepEqual(names(await scene.receive()), ["0:5"]);
    assert.equal(scene.delivery.counters.expired, 0);
  });

  it("starts where consume.from says", async () => {
    assert.deepEqual(await startFrom("first"), ["0:1", "0:2", "0:3"]);
    assert.deepEqual(await startFrom("last"), []);
    assert.deepEqual(await startFrom(1_800_000_000_500), ["0:3"]);
  });

  it("a queue that comes later is read from its first message, whatever consume.from says", async () => {
    const scene = await Scene.open({ group: { consumeFrom: "last" }, topic: { readQueueNums: 1 } });
    assert.deepEqual(await scene.receive(), []);
    scene.store.send("t", 0);
    assert.deepEqual(names(await scene.receive()), ["0:0"]);
    scene.store.send("t", 1);
    assert.deepEqual(names(await scene.receive()), []);
    const held = scene.receive({ pollingMs: 5_000 });
    await settle();
    await scene.metadata.updateTopic({ name: "t", readQueueNums: 2 });
    assert.deepEqual(names(await held), ["1:0"]);
  });

  it("goes on at the oldest message when retention overtakes it", async () => {
    const scene = await Scene.open();
    for (let i = 0; i < 10; i++) scene.store.send("t", 0);
    const taken = await scene.receive({ countMax: 2, invisibleMs: 10_000 });
    assert.equal(taken.length, 2);
    scene.store.expire(scene.store.ensureQueue("t", 0), 6);
    assert.deepEqual(names(await scene.receive()), ["0:6", "0:7", "0:8", "0:9"]);
    await scene.clock.pass(10_000);
    assert.deepEqual(await scene.receive(), []);
    assert.equal(scene.delivery.counters.expired, 6);
  });
});

describe("delivery: topics and groups that go", () => {
  for (const kind of ["topic", "group"] as const) {
    it(`deleting a ${kind} ends its polls with the reason and forgets its state`, async () => {
      const scene = await Scene.open();
      scene.store.send("t", 0);
      const [message] = await scene.receive();
      const held = scene.receive({ pollingMs: 20_000 });
      const failed = assert.rejects(
        held,
        failsWith(kind === "topic" ? "TOPIC_NOT_FOUND" : "CONSUMER_GROUP_NOT_FOUND"),
      );
      await settle();
      if (kind === "topic") await scene.metadata.deleteTopic("t");
      else await scene.metadata.deleteGroup("g");
      await failed;
      assert.deepEqual(scene.delivery.progress("g"), []);
      assert.equal(scene.delivery.figures().heldPolls, 0);
      assert.ok(message);
      assert.equal(scene.ack(message), "invalid");
      scene.delivery.giveBack([message]);
      const written = scene.store.progress.length;
      await scene.clock.pass(60_000);
      assert.equal(scene.store.progress.length, written);
    });
  }
});
