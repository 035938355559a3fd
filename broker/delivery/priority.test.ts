// Messages of a PRIORITY topic: the queue id is the priority, and the highest that is ready comes first.
import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import type { GroupDraft } from "../metadata/index.ts";
import { Gate, settle } from "./testkit/fake-clock.ts";
import { names, Scene } from "./testkit/scene.ts";

function open(group: Partial<GroupDraft> = {}): Promise<Scene> {
  return Scene.open({ topic: { readQueueNums: 1, messageType: "PRIORITY" }, group });
}

describe("delivery by priority", () => {
  it("gives the highest priority first, and within one the order of arrival", async () => {
    const scene = await open();
    for (const priority of [1, 5, 0, 10, 5]) scene.store.send("t", priority);
    assert.deepEqual(names(await scene.receive()), ["10:0", "5:0", "5:1", "1:0", "0:0"]);
  });

  it("gives the highest priority whatever queue is asked for", async () => {
    const scene = await open();
    for (const priority of [1, 5, 3]) scene.store.send("t", priority);
    assert.deepEqual(names(await scene.receive({ queueId: 1, countMax: 1 })), ["5:0"]);
    assert.deepEqual(names(await scene.receive({ queueId: 0 })), ["3:0", "1:0"]);
  });

  it("gives one of a high priority at once, before a backlog of a low one, also from files", async () => {
    const scene = await open();
    for (let i = 0; i < 2_000; i++) scene.store.sendQuietly("t", 1);
    scene.store.confirm();
    scene.store.coolDown();
    assert.equal((await scene.receive()).length, 32);
    scene.store.send("t", 9);
    assert.equal(names(await scene.receive())[0], "9:0");
    assert.equal(scene.delivery.figures().pending, 64);
  });

  it("gives what is due again of a high priority before what is new of a low one", async () => {
    const scene = await open();
    scene.store.send("t", 7);
    const [high] = await scene.receive({ invisibleMs: 10_000 });
    assert.ok(high);
    for (let i = 0; i < 3; i++) scene.store.send("t", 3);
    assert.deepEqual(names(await scene.receive({ countMax: 1 })), ["3:0"]);
    scene.nack(high, 1_000);
    await scene.clock.pass(1_000);
    const [again, next] = await scene.receive({ countMax: 2 });
    assert.deepEqual([again?.queueId, again?.attempt], [7, 2]);
    assert.equal(next?.queueId, 3);
  });

  it("gives what is new of a high priority before what is due again of a low one", async () => {
    const scene = await open();
    scene.store.send("t", 2);
    const [low] = await scene.receive();
    assert.ok(low);
    scene.nack(low, 0);
    scene.store.send("t", 4);
    scene.store.send("t", 2);
    assert.deepEqual(names(await scene.receive()), ["4:0", "2:0", "2:1"]);
  });

  it("wakes a held poll with a priority that was never used before", async () => {
    const scene = await open();
    const polled = scene.receive({ pollingMs: 10_000 });
    await settle();
    scene.store.send("t", limits.priorityMax);
    assert.deepEqual(names(await polled), ["255:0"]);
  });

  it("gives no lower priority while a higher one is being read from files", async () => {
    const scene = await open();
    scene.store.send("t", 8);
    scene.store.coolDown();
    scene.store.send("t", 1);
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const polled = scene.receive({ pollingMs: 10_000 });
    await settle();
    scene.store.send("t", 1);
    await settle();
    gate.open();
    assert.deepEqual(names(await polled), ["8:0", "1:0", "1:1"]);
  });

  it("gives a still higher priority at once while one is being read", async () => {
    const scene = await open();
    scene.store.send("t", 8);
    scene.store.coolDown();
    scene.store.readGate = new Promise(() => {});
    const polled = scene.receive({ pollingMs: 10_000 });
    await settle();
    scene.store.send("t", 9);
    assert.deepEqual(names(await polled), ["9:0"]);
  });

  it("gives no lower priority while a redelivery of a higher one is being read", async () => {
    const scene = await open();
    scene.store.send("t", 8);
    const [high] = await scene.receive();
    assert.ok(high);
    scene.store.coolDown();
    scene.nack(high, 0);
    scene.store.send("t", 1);
    const messages = await scene.receive();
    assert.deepEqual(names(messages), ["8:0", "1:0"]);
  });

  it("passes over a priority that cannot be read, until it can", async () => {
    const scene = await open();
    scene.store.send("t", 8);
    scene.store.coolDown();
    scene.store.send("t", 1);
    scene.store.readError = new Error("broken disk");
    const polled = scene.receive({ pollingMs: 60_000 });
    await scene.clock.pass(limits.readRetryDelayMs);
    assert.deepEqual(names(await polled), ["1:0"]);
    scene.store.readError = undefined;
    const rest = scene.receive({ pollingMs: 60_000 });
    await scene.clock.pass(limits.readRetryDelayMs);
    assert.deepEqual(names(await rest), ["8:0"]);
  });

  it("passes over the redelivery of a priority that cannot be read, until it can", async () => {
    const scene = await open();
    scene.store.send("t", 8);
    const [high] = await scene.receive();
    assert.ok(high);
    scene.store.coolDown();
    scene.nack(high, 0);
    scene.store.send("t", 1);
    scene.store.readError = new Error("broken disk");
    assert.deepEqual(names(await scene.receive({ pollingMs: 60_000 })), ["1:0"]);
    scene.store.readError = undefined;
    const rest = scene.receive({ pollingMs: 60_000 });
    await scene.clock.pass(limits.readRetryDelayMs);
    assert.deepEqual(names(await rest), ["8:0"]);
  });

  it("keeps the priorities of what was out over a crash, and counts the attempts", async () => {
    const scene = await open();
    for (const priority of [1, 9, 5]) scene.store.send("t", priority);
    assert.deepEqual(names(await scene.receive({ invisibleMs: 10_000 })), ["9:0", "5:0", "1:0"]);
    await scene.clock.pass(100);
    await scene.crash();
    await scene.clock.pass(10_000);
    const again = await scene.receive();
    assert.deepEqual(names(again), ["9:0", "5:0", "1:0"]);
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [2, 2, 2],
    );
  });

  it("passes over nothing of a priority that is used for the first time while the group is away", async () => {
    const scene = await open({ consumeFrom: "last" });
    assert.deepEqual(names(await scene.receive()), []);
    await scene.clock.pass(100);
    await scene.crash();
    scene.store.send("t", 6);
    assert.deepEqual(names(await scene.receive()), ["6:0"]);
  });

  it("gives each to one consumer of the group, and goes on with lower ones at the pending bound", async () => {
    const scene = await open();
    for (let i = 0; i < limits.pendingPerQueueMax + 1; i++) scene.store.sendQuietly("t", 2);
    scene.store.confirm();
    for (let taken = 0; taken < limits.pendingPerQueueMax; taken += 1_000) {
      await scene.receive({ countMax: 1_000 });
    }
    scene.store.send("t", 1);
    assert.deepEqual(names(await scene.receive()), ["1:0"]);
  });

  it("ignores order within message groups: there are none", async () => {
    const scene = await open({ consumeMessageOrderly: true });
    for (const priority of [3, 3, 4]) scene.store.send("t", priority);
    assert.equal((await scene.receive({ countMax: 2 })).length, 2);
    assert.deepEqual(names(await scene.receive({ clientId: "c2" })), ["3:1"]);
  });

  it("takes over what is pending when the topic becomes one of priorities", async () => {
    const readQueueNums = limits.priorityMax + 100;
    const scene = await Scene.open({ topic: { readQueueNums } });
    const queueIds = [0, 1, 2, limits.priorityMax + 99];
    for (const queueId of queueIds) scene.store.send("t", queueId);
    for (const message of await scene.receive()) scene.nack(message, 0);
    await scene.metadata.updateTopic({ name: "t", readQueueNums, messageType: "PRIORITY" });
    assert.deepEqual(names(await scene.receive()), ["354:0", "2:0", "1:0", "0:0"]);
  });
});
