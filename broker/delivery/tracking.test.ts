// Where one message stands with each group, and messages that a group gets again.
import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import type { Delivered } from "./request.ts";
import { names, Scene } from "./testkit/scene.ts";

const [a, b] = [11, 22];

function open(
  options: {
    readonly orderly?: boolean;
    readonly retryMaxTimes?: number;
    readonly pendingMax?: number;
  } = {},
) {
  const { orderly = false, retryMaxTimes = 16, ...rest } = options;
  return Scene.open({
    topic: { readQueueNums: 1 },
    group: { consumeMessageOrderly: orderly, retryMaxTimes },
    ...rest,
  });
}

function at(queueOffset: number) {
  return { topic: "t", queueId: 0, queueOffset };
}

function standing(scene: Scene, queueOffset: number) {
  return scene.delivery.tracking.standings(at(queueOffset)).get("g");
}

function giveAgain(scene: Scene, queueOffset: number, hash = 0) {
  return scene.delivery.tracking.giveAgain("g", at(queueOffset), hash);
}

function only(messages: readonly Delivered[]): Delivered {
  const [message] = messages;
  assert.ok(message !== undefined && messages.length === 1);
  return message;
}

describe("delivery: one message", () => {
  it("stands with each group that has progress: waiting, invisible, visible again, done", async () => {
    const scene = await open();
    await scene.metadata.updateGroup({ name: "h" });
    scene.store.send("t", 0);
    assert.equal(scene.delivery.tracking.standings(at(0)).size, 0);
    const given = only(await scene.receive({ clientId: "c7", invisibleMs: 5_000 }));
    const nowMs = scene.clock.now();
    const invisible = {
      kind: "invisible",
      attempt: 1,
      visibleAtMs: nowMs + 5_000,
      deliveredAtMs: nowMs,
      clientId: "c7",
      isRenewed: false,
    };
    assert.deepEqual([...scene.delivery.tracking.standings(at(0))], [["g", invisible]]);
    assert.deepEqual(standing(scene, 1), { kind: "waiting" });
    await scene.receive({ group: "h", autoRenew: true });
    const ofH = scene.delivery.tracking.standings(at(0)).get("h");
    assert.ok(ofH?.kind === "invisible" && ofH.isRenewed);
    await scene.clock.pass(5_000);
    assert.deepEqual(standing(scene, 0), { kind: "visible again", attempt: 1 });
    const again = only(await scene.receive());
    assert.equal(scene.ack(given), "invalid");
    assert.equal(scene.ack(again), "ok");
    assert.deepEqual(standing(scene, 0), { kind: "done" });
  });

  it("waits for its message group while an earlier one is out", async () => {
    const scene = await open({ orderly: true });
    for (const messageGroupHash of [a, a, b]) scene.store.send("t", 0, { messageGroupHash });
    await scene.receive({ countMax: 1 });
    assert.deepEqual(names(await scene.receive({ clientId: "c2" })), ["0:2"]);
    assert.deepEqual(standing(scene, 1), { kind: "waiting for its message group" });
  });

  it("comes again with fresh attempts, and no handle of before fits it", async () => {
    const scene = await open();
    scene.store.send("t", 0);
    const first = only(await scene.receive());
    scene.ack(first);
    assert.equal(giveAgain(scene, 0), "given");
    assert.equal(giveAgain(scene, 0), "not done");
    assert.equal(scene.delivery.counters.givenAgain, 1);
    assert.deepEqual(standing(scene, 0), { kind: "visible again", attempt: 0 });
    assert.equal(scene.ack(first), "invalid");
    const second = only(await scene.receive());
    assert.equal(second.attempt, 1);
    assert.equal(scene.ack(first), "invalid");
    assert.equal(giveAgain(scene, 0), "not done");
    assert.equal(scene.ack(second), "ok");
    assert.deepEqual(await scene.receive(), []);
  });

  it("is not given again to a group that has as much in hand as it may have", async () => {
    const scene = await open({ pendingMax: 1 });
    scene.store.send("t", 0);
    scene.ack(only(await scene.receive()));
    scene.store.send("t", 0);
    only(await scene.receive());
    const refusal = { code: "TOO_MANY_REQUESTS", message: /"g" has 1 messages .*popInflight/ };
    assert.throws(() => giveAgain(scene, 0), refusal);
  });

  it("ends a held poll when it is given again", async () => {
    const scene = await open();
    scene.store.send("t", 0);
    scene.ack(only(await scene.receive()));
    const polled = scene.receive({ pollingMs: 5_000 });
    await scene.clock.pass(10);
    giveAgain(scene, 0);
    assert.deepEqual(names(await polled), ["0:0"]);
  });

  for (const isWritten of [true, false]) {
    it(`comes again after a crash once that is written, also when its end was ${isWritten ? "" : "not "}in the log`, async () => {
      const scene = await open();
      scene.store.send("t", 0);
      scene.store.send("t", 0);
      const [one, two] = await scene.receive();
      assert.ok(one && two);
      await scene.clock.pass(limits.progressWindowMs);
      scene.ack(one);
      scene.ack(two);
      if (isWritten) await scene.clock.pass(limits.progressWindowMs);
      giveAgain(scene, 0);
      await scene.delivery.tracking.written();
      await scene.crash();
      assert.deepEqual(names(await scene.receive()), ["0:0"]);
    });
  }

  it("holds back the rest of its message group in an ordered group, over a crash too, and nothing that is done comes with it", async () => {
    const scene = await open({ orderly: true });
    for (const messageGroupHash of [a, b, a]) scene.store.send("t", 0, { messageGroupHash });
    for (const message of await scene.receive()) scene.ack(message);
    for (const message of await scene.receive()) scene.ack(message);
    assert.equal(giveAgain(scene, 0, a), "given");
    scene.store.send("t", 0, { messageGroupHash: a });
    await scene.delivery.tracking.written();
    await scene.crash();
    const again = only(await scene.receive({ countMax: 1 }));
    assert.deepEqual(names([again]), ["0:0"]);
    assert.deepEqual(await scene.receive({ clientId: "c2" }), []);
    assert.equal(scene.ack(again), "ok");
    assert.deepEqual(names(await scene.receive({ clientId: "c2" })), ["0:3"]);
  });

  it("holds back the rest of its message group also when nobody has received since the start", async () => {
    const scene = await open({ orderly: true });
    scene.store.send("t", 0, { messageGroupHash: a });
    scene.ack(only(await scene.receive()));
    await scene.clock.pass(limits.progressWindowMs);
    await scene.crash();
    assert.equal(giveAgain(scene, 0, a), "given");
    scene.store.send("t", 0, { messageGroupHash: a });
    const again = only(await scene.receive({ countMax: 1 }));
    assert.deepEqual(names([again]), ["0:0"]);
    assert.deepEqual(await scene.receive({ clientId: "c2" }), []);
  });

  it("comes before those of its message group that are out", async () => {
    const scene = await open({ orderly: true });
    for (const messageGroupHash of [a, a]) scene.store.send("t", 0, { messageGroupHash });
    scene.ack(only(await scene.receive({ countMax: 1 })));
    const second = only(await scene.receive({ invisibleMs: 5_000 }));
    assert.equal(giveAgain(scene, 0, a), "given");
    assert.deepEqual(await scene.receive({ clientId: "c2" }), []);
    await scene.clock.pass(5_000);
    assert.deepEqual(names(await scene.receive({ clientId: "c2" })), ["0:0", "0:1"]);
    assert.equal(scene.ack(second), "invalid");
  });

  it("comes again with its priority, also when nobody has received since the start", async () => {
    const scene = await Scene.open({ topic: { attributes: { "message.type": "PRIORITY" } } });
    scene.store.send("t", 9);
    const place = { topic: "t", queueId: 9, queueOffset: 0 };
    scene.ack(only(await scene.receive()));
    await scene.clock.pass(limits.progressWindowMs);
    await scene.crash();
    for (const priority of [3, 20]) scene.store.send("t", priority);
    assert.equal(scene.delivery.tracking.giveAgain("g", place, 0), "given");
    const messages = [...(await scene.receive()), ...(await scene.receive())];
    assert.deepEqual(names(messages), ["20:0", "9:0", "3:0"]);
  });

  it("is not given again where the group has no place, or has it before it", async () => {
    const scene = await open();
    scene.store.send("t", 0);
    assert.equal(giveAgain(scene, 0), "no progress");
    scene.ack(only(await scene.receive()));
    scene.store.send("t", 0);
    assert.equal(giveAgain(scene, 1), "not done");
  });
});
