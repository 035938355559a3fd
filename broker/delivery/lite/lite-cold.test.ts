// Lite topics whose messages have left memory.
import assert from "node:assert/strict";
import { Gate, settle } from "../testkit/fake-clock.ts";
import { open, poll, send, subscribe, sync, textOf } from "../testkit/lite-scene.ts";

describe("lite topics that have left memory", () => {
  it("reads what has left memory", async () => {
    const scene = await open();
    for (const name of ["a", "b", "a"]) send(scene, name);
    scene.store.coolDown();
    await scene.crash();
    await subscribe(scene, "c1", "a");
    const got: string[] = [];
    while (got.length < 2) {
      const messages = await poll(scene, "c1");
      got.push(...textOf(messages));
      for (const message of messages) scene.ack(message);
    }
    assert.deepEqual(got, ["a0", "a2"]);
  });

  it("starts where a client says only when it knows what there is", async () => {
    const scene = await open();
    for (const name of ["a", "b", "a"]) send(scene, name);
    scene.store.coolDown();
    const queue = scene.store.queue("t", 0);
    assert.ok(queue);
    const gate = new Gate();
    queue.loadGate = gate.opened;
    await scene.crash();
    const synced = sync(scene, { names: ["a", "b"], start: { from: "end" } });
    await settle();
    gate.open();
    await synced;
    send(scene, "b");
    assert.deepEqual(textOf(await poll(scene, "c1")), ["b3"]);
  });

  it("leaves a message alone that is acknowledged while it is read to become a dead letter", async () => {
    const scene = await open();
    send(scene, "a");
    await subscribe(scene, "c1", "a");
    const [message] = await scene.receive();
    assert.ok(message);
    scene.store.coolDown();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const names = { group: "g", topic: "t", messageId: "" };
    const given = scene.delivery.deadLetter({ ...names, receiptHandle: message.receiptHandle });
    await settle();
    assert.equal(scene.ack(message), "ok");
    gate.open();
    assert.equal(await given, "ok");
    await scene.clock.pass(100);
    assert.equal(scene.delivery.counters.deadLettered, 0);
    await scene.crash();
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await scene.receive(), []);
  });

  it("does not take the handle of what waits again since before a restart", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    for (const name of ["a", "b"]) send(scene, name);
    const [first, other] = await scene.receive();
    assert.ok(first && other);
    scene.ack(first);
    scene.ack(other);
    // The cursor moves behind both.
    await scene.clock.pass(60_000);
    await sync(scene, { names: ["a"], start: { from: "first" } });
    scene.store.coolDown();
    const queue = scene.store.queue("t", 0);
    assert.ok(queue);
    const gate = new Gate();
    queue.loadGate = gate.opened;
    await scene.crash();
    const { receiptHandle } = first;
    const wish = { group: "g", topic: "t", messageId: "", receiptHandle };
    assert.equal(await scene.delivery.deadLetter(wish), "invalid");
    gate.open();
    await settle();
    assert.equal(scene.ack(first), "invalid");
    assert.equal(scene.ack(other), "ok");
    await subscribe(scene, "c1", "a", "b");
    assert.deepEqual(textOf(await poll(scene, "c1")), ["a0"]);
  });

  it("gives what it has read before it reads on, of many lite topics", async () => {
    const scene = await open();
    const names = Array.from({ length: 200 }, (_, index) => `topic ${index} `);
    for (const name of names) send(scene, name);
    scene.store.coolDown();
    await scene.crash();
    await subscribe(scene, "c1", ...names);
    assert.equal((await poll(scene, "c1")).length, 32);
    assert.ok(scene.store.coldRecordCount <= 64, `${scene.store.coldRecordCount} were read`);
  });

  it("reads many messages of one lite topic at once, and gives them in their order", async () => {
    const scene = await open();
    for (let count = 0; count < 40; count++) send(scene, "a");
    scene.store.coolDown();
    for (let count = 0; count < 10; count++) send(scene, "a");
    await scene.crash();
    await subscribe(scene, "c1", "a");
    const got: string[] = [];
    for (let polls = 0; polls < 2; polls++) {
      const messages = await poll(scene, "c1");
      got.push(...textOf(messages));
      for (const message of messages) scene.ack(message);
    }
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, index) => `a${index}`),
    );
  });

  for (const { where, size, readCount } of [
    { where: "at once where they lie apart in the log", size: 20_000, readCount: 3 },
    { where: "one after another where they lie together", size: 10, readCount: 1 },
  ]) {
    it(`reads messages of several lite topics ${where}`, async () => {
      const scene = await open();
      for (const name of ["a", "b", "c"]) {
        send(scene, name);
        scene.store.send("t", 0, { body: "x".repeat(size), messageGroupHash: 1 });
      }
      scene.store.coolDown();
      await scene.crash();
      await subscribe(scene, "c1", "a", "b", "c");
      const gate = new Gate();
      scene.store.readGate = gate.opened;
      const waiting = poll(scene, "c1");
      await settle();
      assert.equal(scene.store.coldReadCount, readCount);
      gate.open();
      assert.deepEqual(textOf(await waiting), ["a0", "b2", "c4"]);
    });
  }
});
