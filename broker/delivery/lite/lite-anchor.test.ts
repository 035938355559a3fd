// What stays in the state of lite topics of which a message has become a dead letter.
import assert from "node:assert/strict";
import { ackAll, bodies, open, send, subscribe, textOf } from "../testkit/lite-scene.ts";
import { replay } from "../testkit/scene.ts";

describe("lite topics with a dead letter from before a crash", () => {
  it("give nothing again that was acknowledged, and leave nothing in the state", async () => {
    const scene = await open({ group: { retryMaxTimes: 1 } });
    await subscribe(scene, "c1", "a");
    send(scene, "a");
    assert.deepEqual(await bodies(scene), ["a0"]);
    await scene.clock.pass(30_000);
    send(scene, "a");
    assert.deepEqual(await bodies(scene), ["a0", "a1"]);
    await scene.clock.pass(30_000);
    await bodies(scene);
    await scene.clock.pass(0);
    assert.equal(scene.store.queue("%DLQ%g", 0)?.items.length, 1);
    await scene.crash();
    await subscribe(scene, "c1", "a");
    await scene.clock.pass(30_000);
    const [second] = await scene.receive();
    assert.ok(second !== undefined);
    assert.deepEqual(textOf([second]), ["a1"]);
    scene.ack(second);
    await scene.clock.pass(100);
    send(scene, "a");
    await ackAll(scene);
    // Idle for a while: the cursor comes up.
    await scene.clock.pass(60_000);
    const [lane] = replay(scene.store);
    await scene.crash();
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await bodies(scene), []);
    assert.deepEqual(lane?.pending, []);
  });
});
