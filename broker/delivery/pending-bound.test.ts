import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import type { Delivered } from "./request.ts";
import { settle } from "./testkit/fake-clock.ts";
import { names, Scene } from "./testkit/scene.ts";

const few = limits.pendingPerGroupMin;
const total = 5 * few;

async function openScene(): Promise<Scene> {
  const scene = new Scene();
  scene.pendingTotalMax = total;
  await scene.metadata.updateTopic({ name: "t", readQueueNums: 4 });
  await scene.metadata.updateGroup({ name: "g" });
  await scene.metadata.updateGroup({ name: "h" });
  await scene.start();
  for (let i = 0; i < 2 * total; i++) scene.store.sendQuietly("t", i % 4);
  scene.store.confirm();
  return scene;
}

async function take(scene: Scene, group: string, count: number): Promise<Delivered[]> {
  const taken: Delivered[] = [];
  while (taken.length < count) {
    const countMax = Math.min(32, count - taken.length);
    taken.push(...(await scene.receive({ group, countMax })));
  }
  return taken;
}

const refusal = { code: "TOO_MANY_REQUESTS", message: /popInflightTotalThreshold/ };

describe("delivery: the bound of all pending messages", () => {
  it("gives no new messages at the bound, and goes on when anybody has made room", async () => {
    const scene = await openScene();
    const ofH = await take(scene, "h", 2 * few);
    await take(scene, "g", 3 * few);
    assert.equal(scene.delivery.figures().pending, total);
    await assert.rejects(scene.receive(), refusal);
    assert.equal(scene.delivery.refusedTotalCount, 1);
    assert.equal(scene.delivery.refusedCount, 0);
    const held = scene.receive({ pollingMs: 20_000 });
    await settle();
    // Another group makes the room.
    assert.ok(ofH[0] && scene.ack(ofH[0], "h") === "ok");
    await scene.clock.pass(limits.pendingRoomLookMs);
    assert.equal((await held).length, 1);
  });

  it("always lets a group have a few", async () => {
    const scene = await openScene();
    await take(scene, "g", total);
    await assert.rejects(scene.receive(), refusal);
    const taken = await take(scene, "h", few);
    await assert.rejects(scene.receive({ group: "h" }), refusal);
    assert.ok(taken[0] && scene.ack(taken[0], "h") === "ok");
    assert.equal((await scene.receive({ group: "h" })).length, 1);
  });

  it("gives what is due again, and ends what waits for nothing more", async () => {
    const scene = await openScene();
    const taken = await take(scene, "g", total);
    await scene.clock.pass(60_000);
    const again = await scene.receive({ countMax: 32 });
    assert.equal(again.length, 32);
    assert.ok(again.every(({ attempt }) => attempt === 2));
    assert.ok(taken.length === total);
    await scene.metadata.deleteTopic("t");
    assert.equal(scene.delivery.figures().pending, 0);
    assert.equal(scene.delivery.pendingBound.count, 0);
  });
});

describe("delivery: the bound of pending messages in order", () => {
  const inOrder = { topic: { readQueueNums: 1 }, group: { consumeMessageOrderly: true } };

  async function openOrdered(pendingMax: number, ...groups: readonly number[]): Promise<Scene> {
    const scene = await Scene.open({ ...inOrder, pendingMax });
    for (const messageGroupHash of groups) scene.store.sendQuietly("t", 0, { messageGroupHash });
    scene.store.confirm();
    return scene;
  }

  it("holds for messages of a message group that were passed over", async () => {
    const scene = await openOrdered(3, 7, 7, 7, 7, 7, 8);
    const [first] = await scene.receive({ countMax: 1 });
    const [other] = await scene.receive({ countMax: 1 });
    assert.equal(other?.queueOffset, 5);
    assert.ok(first && scene.ack(first) === "ok");
    const next = await scene.receive();
    assert.deepEqual(names(next), ["0:1", "0:2"]);
    assert.equal(scene.delivery.figures().pending, 3);
    const [one, two] = next;
    assert.ok(one && two && scene.ack(one) === "ok");
    assert.deepEqual(await scene.receive(), [], "an earlier one of the message group is out");
    assert.equal(scene.ack(two), "ok");
    assert.deepEqual(names(await scene.receive()), ["0:3", "0:4"]);
  });

  it("lets a poll go on when there is room for what was passed over", async () => {
    const scene = await openOrdered(2, 7, 8, 7, 8, 7);
    const [a] = await scene.receive({ countMax: 1 });
    const [b] = await scene.receive({ countMax: 1 });
    assert.ok(a && b);
    scene.ack(a);
    const [c] = await scene.receive({ countMax: 1 });
    const held = scene.receive({ pollingMs: 20_000 });
    await settle();
    scene.ack(b);
    assert.deepEqual(names(await held), ["0:3"]);
    assert.ok(c && scene.ack(c) === "ok");
    assert.deepEqual(names(await scene.receive()), ["0:4"]);
  });

  it("takes message groups that wait in turn, with room for one message", async () => {
    const scene = await openOrdered(1, 7, 8, 7, 8);
    const taken: string[] = [];
    for (let i = 0; i < 4; i++) {
      const [message] = await scene.receive();
      assert.equal(scene.delivery.figures().pending, 1);
      taken.push(...names(message === undefined ? [] : [message]));
      assert.ok(message && scene.ack(message) === "ok");
    }
    assert.deepEqual(taken, ["0:0", "0:1", "0:2", "0:3"]);
    assert.deepEqual(await scene.receive(), []);
  });
});
