// Lite topics that a client has begun anew: what the state knows of them.
import assert from "node:assert/strict";
import { ackAll, bodies, open, send, subscribe, sync } from "../testkit/lite-scene.ts";

describe("lite topics that were begun anew", () => {
  it("keeps after a second restart what is out since the first one", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    for (let count = 0; count < 3; count++) send(scene, "a");
    await sync(scene, { names: ["a"], start: { from: "first" } });
    await scene.crash();
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await bodies(scene), ["a0", "a1", "a2"]);
    await scene.clock.pass(100);
    await scene.crash();
    await subscribe(scene, "c1", "a");
    await scene.clock.pass(30_000);
    assert.deepEqual(await bodies(scene), ["a0", "a1", "a2"]);
  });

  it("knows after a restart what was acknowledged as soon as it was given", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    for (let count = 0; count < 3; count++) send(scene, "a");
    await sync(scene, { names: ["a"], start: { from: "first" } });
    await ackAll(scene);
    await scene.crash();
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await bodies(scene), []);
  });
});
