import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import { filterType, parseFilter } from "./filter.ts";
import { Gate, settle } from "./testkit/fake-clock.ts";
import { names, Scene } from "./testkit/scene.ts";

const count = 3_000;

async function coldScene(tag?: (i: number) => string): Promise<Scene> {
  const scene = await Scene.open({ topic: { readQueueNums: 1 } });
  for (let i = 0; i < count; i++) scene.store.sendQuietly("t", 0, tag ? { tag: tag(i) } : {});
  scene.store.confirm();
  scene.store.coolDown();
  return scene;
}

async function drain(scene: Scene, options = {}): Promise<string[]> {
  const all: string[] = [];
  for (let batch = await scene.receive(options); batch.length > 0; ) {
    all.push(...names(batch));
    for (const message of batch) scene.ack(message);
    batch = await scene.receive(options);
  }
  return all;
}

describe("delivery: backlogs that have left memory", () => {
  it("drains in order, in large reads, each record once", async () => {
    const scene = await coldScene();
    const all = await drain(scene);
    assert.deepEqual(
      all,
      Array.from({ length: count }, (_, i) => `0:${i}`),
    );
    assert.equal(scene.store.coldRecordCount, count);
    assert.ok(scene.store.coldReadCount <= Math.ceil(count / limits.readAheadCountMax) + 1);
    assert.equal(scene.delivery.figures().readAheadBytes, 0);
  });

  it("goes over to memory where the tail begins, and reads no file for it", async () => {
    const scene = await coldScene();
    for (let i = 0; i < 100; i++) scene.store.sendQuietly("t", 0);
    scene.store.confirm();
    assert.equal((await drain(scene)).length, count + 100);
    const reads = scene.store.coldReadCount;
    scene.store.send("t", 0);
    assert.equal((await drain(scene)).length, 1);
    assert.equal(scene.store.coldReadCount, reads);
  });

  it("receives at the same time share one read and never a message", async () => {
    const scene = await coldScene();
    const batches = await Promise.all(
      Array.from({ length: 8 }, (_, i) => scene.receive({ clientId: `c${i}`, pollingMs: 5_000 })),
    );
    assert.equal(new Set(batches.flatMap(names)).size, 8 * 32);
    assert.ok(scene.store.coldRecordCount <= 2 * limits.readAheadCountMax);
  });

  it("reads only what a filter lets through", async () => {
    const scene = await coldScene((i) => (i % 100 === 0 ? "a" : "b"));
    const all = await drain(scene, { filter: parseFilter(filterType.tag, "a") });
    assert.equal(all.length, count / 100);
    assert.equal(scene.store.coldRecordCount, count / 100);
    assert.equal(scene.delivery.progress("g")[0]?.cursor, count);
  });

  it("reads again for a consumer with another filter", async () => {
    const scene = await coldScene((i) => (i % 2 === 0 ? "a" : "b"));
    const [first] = await scene.receive({ filter: parseFilter(filterType.tag, "a"), countMax: 1 });
    assert.equal(first?.queueOffset, 0);
    assert.equal((await drain(scene)).length, count - 1);
  });

  it("a failed read hands nothing out; it is tried again and nothing is lost", async () => {
    const scene = await coldScene();
    scene.store.readError = new Error("disk on fire");
    const held = scene.receive({ pollingMs: 20_000 });
    await scene.clock.pass(3_500);
    assert.equal(scene.delivery.progress("g")[0]?.cursor, 0);
    assert.ok(scene.delivery.counters.coldReadFailures >= 3);
    scene.store.readError = undefined;
    await scene.clock.pass(1_000);
    assert.equal((await held)[0]?.queueOffset, 0);
  });

  it("a broken read of one queue does not hold up the others", async () => {
    const scene = await coldScene();
    scene.store.readError = new Error("disk on fire");
    await scene.metadata.updateTopic({ name: "t", readQueueNums: 2 });
    scene.store.send("t", 1);
    assert.deepEqual(names(await scene.receive({ pollingMs: 5_000 })), ["1:0"]);
  });

  it("passes over what expires while it is being read", async () => {
    const scene = await coldScene();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const held = scene.receive({ pollingMs: 5_000 });
    await settle();
    scene.store.expire(scene.store.ensureQueue("t", 0), 40);
    gate.open();
    assert.equal((await held)[0]?.queueOffset, 40);
  });

  it("a client that goes during the read gets nothing, and nothing is taken for it", async () => {
    const scene = await coldScene();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const held = scene.receive({ pollingMs: 5_000 });
    await settle();
    scene.delivery.endPolls("c1");
    assert.deepEqual(await held, []);
    gate.open();
    await settle();
    assert.equal(scene.delivery.progress("g")[0]?.cursor, 0);
  });

  it("reads redeliveries that have left memory; an ack meanwhile counts", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    for (let i = 0; i < 4; i++) scene.store.send("t", 0);
    const taken = await scene.receive({ invisibleMs: 10_000 });
    scene.store.coolDown();
    await scene.clock.pass(10_000);
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const receiving = scene.receive({ pollingMs: 5_000 });
    await settle();
    assert.ok(taken[1]);
    assert.equal(scene.ack(taken[1]), "ok");
    gate.open();
    const again = await receiving;
    assert.deepEqual(names(again), ["0:0", "0:2", "0:3"]);
    assert.ok(again.every((message) => message.attempt === 2));
  });

  it("tries redeliveries again when their read fails", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    scene.store.send("t", 0);
    await scene.receive({ invisibleMs: 10_000 });
    scene.store.coolDown();
    await scene.clock.pass(10_000);
    scene.store.readError = new Error("disk on fire");
    const held = scene.receive({ pollingMs: 20_000 });
    await scene.clock.pass(1_500);
    scene.store.readError = undefined;
    await scene.clock.pass(1_000);
    assert.equal((await held)[0]?.attempt, 2);
  });

  it("waits for a slow read of redeliveries without asking again and again", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    for (let i = 0; i < 100; i++) scene.store.send("t", 0);
    for (let i = 0; i < 4; i++) await scene.receive({ invisibleMs: 10_000 });
    scene.store.coolDown();
    await scene.clock.pass(10_000);
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const held = scene.receive({ pollingMs: 20_000 });
    const before = scene.clock.firedCount;
    await scene.clock.pass(5_000);
    assert.ok(scene.clock.firedCount - before < 5);
    gate.open();
    assert.equal((await held).length, 32);
  });

  it("lets go of what nobody takes", async () => {
    const scene = await coldScene();
    await scene.receive();
    assert.ok(scene.delivery.figures().readAheadBytes > 0);
    await scene.clock.pass(2 * limits.readAheadIdleMs);
    assert.equal(scene.delivery.figures().readAheadBytes, 0);
    assert.equal((await scene.receive())[0]?.queueOffset, 32);
  });

  it("stays within its memory whatever the number of queues", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 200 } });
    const body = "x".repeat(100_000);
    for (let i = 0; i < 1_000; i++) scene.store.sendQuietly("t", i % 200, { body });
    scene.store.confirm();
    scene.store.coolDown();
    let most = 0;
    let got = 0;
    while (got < 1_000) {
      const batch = scene.receive({ pollingMs: 5_000, countMax: 8 });
      await settle();
      most = Math.max(most, scene.delivery.figures().readAheadBytes);
      await scene.clock.pass(0);
      got += (await batch).length;
    }
    assert.ok(most <= limits.readAheadTotalBytesMax + 2 * limits.readAheadSizeBytes, `${most}`);
    assert.equal(scene.delivery.figures().readAheadBytes, 0);
  });
});
