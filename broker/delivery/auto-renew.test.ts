import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import { Scene, type TestReceive } from "./testkit/scene.ts";

const renewed: TestReceive = {
  autoRenew: true,
  invisibleMs: limits.invisibleRenewedMs,
  clientId: "pusher",
};
const hourMs = 3_600_000;

describe("delivery: auto-renew", () => {
  it("keeps a message from others while its client lives, under its first handle", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [message] = await scene.receive(renewed);
    for (let minute = 0; minute < 100; minute++) {
      await scene.clock.pass(60_000);
      assert.deepEqual(await scene.receive(), []);
    }
    assert.equal(scene.delivery.figures().renewed, 1);
    assert.equal(scene.delivery.figures().oldestRenewedMs, 6_000_000);
    assert.equal(message && scene.ack(message), "ok");
    assert.equal(scene.delivery.figures().renewed, 0);
  });

  it("ends when the client is no longer alive", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    await scene.receive(renewed);
    scene.dead.add("pusher");
    await scene.clock.pass(59_999);
    assert.deepEqual(await scene.receive(), []);
    await scene.clock.pass(1);
    assert.equal((await scene.receive())[0]?.attempt, 2);
  });

  it("ends at once when the client goes; explicit times of others run on", async () => {
    const scene = await Scene.open();
    await scene.metadata.updateGroup({ name: "h" });
    scene.store.send("t", 0);
    scene.store.send("t", 0);
    await scene.receive({ ...renewed, countMax: 1 });
    await scene.receive({ clientId: "pusher", countMax: 1, invisibleMs: 30_000 });
    await scene.receive({ ...renewed, group: "h" });
    scene.delivery.clientGone("pusher", "g");
    const back = await scene.receive();
    assert.deepEqual(
      back.map((message) => [message.queueOffset, message.attempt]),
      [[0, 2]],
    );
    assert.deepEqual(await scene.receive({ group: "h" }), []);
    scene.delivery.clientGone("pusher");
    assert.equal((await scene.receive({ group: "h" })).length, 2);
    await scene.clock.pass(30_000);
    assert.equal((await scene.receive()).length, 2);
  });

  it("ends at once when the client says goodbye, and what it gives back was no attempt", async () => {
    const scene = await Scene.open();
    await scene.metadata.updateGroup({ name: "g", retryMaxTimes: 0 });
    scene.store.send("t", 0);
    scene.store.send("t", 0);
    const [first] = await scene.receive(renewed);
    const held = scene.receive({ ...renewed, pollingMs: 20_000 });
    scene.delivery.clientLeft("pusher");
    assert.deepEqual(await held, [], "a held poll ends and takes nothing back");
    assert.equal(first && scene.ack(first), "ok", "an acknowledgement that was on its way counts");
    const back = await scene.receive();
    assert.deepEqual(
      back.map((message) => [message.queueOffset, message.attempt]),
      [[1, 1]],
    );
    assert.equal(scene.delivery.counters.deadLettered, 0);
  });

  it("ends after three hours", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    await scene.receive(renewed);
    for (let i = 0; i < 179; i++) {
      await scene.clock.pass(60_000);
      assert.deepEqual(await scene.receive(), []);
    }
    await scene.clock.pass(60_000);
    assert.equal((await scene.receive())[0]?.attempt, 2);
  });

  it("ends with a nack", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [message] = await scene.receive(renewed);
    assert.ok(message);
    scene.nack(message, 5_000);
    await scene.clock.pass(5_000);
    assert.equal((await scene.receive({ invisibleMs: 10_000 }))[0]?.attempt, 2);
    scene.delivery.clientGone("pusher");
    assert.deepEqual(await scene.receive(), []);
  });

  it("costs a held poll no busy waiting", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    await scene.receive(renewed);
    const held = scene.receive({ pollingMs: 20 * hourMs });
    await scene.clock.pass(3 * hourMs);
    assert.equal((await held)[0]?.attempt, 2);
  });

  it("gives a grace after a restart, and keeps the handle valid", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    scene.store.send("t", 0);
    const messages = await scene.receive(renewed);
    await scene.clock.pass(10 * 60_000);
    await scene.crash();
    await scene.clock.pass(limits.renewGraceMs - 1);
    assert.deepEqual(await scene.receive(), []);
    assert.equal(messages[0] && scene.ack(messages[0]), "ok");
    await scene.clock.pass(1);
    const [again] = await scene.receive();
    assert.deepEqual([again?.queueOffset, again?.attempt], [1, 2]);
  });
});
