// Timers and a wall clock that is set: docs/messages/delay.md says what they promise.
import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import { TimerScene } from "./testkit/timer-scene.ts";

const dayMs = 86_400_000;

describe("timers and the clock", () => {
  let timed: TimerScene;

  beforeEach(async () => {
    timed = await TimerScene.open();
  });

  afterEach(() => timed.stop());

  it("follow a small step forward within a second", async () => {
    await timed.send("a", timed.nowMs + limits.timerJumpMinMs);
    await timed.scene.pass(100);
    timed.scene.clock.jump(limits.timerJumpMinMs - 100);
    await timed.scene.pass(limits.timerTickMs, 100);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("follow a step back: what is due later by the clock comes later", async () => {
    const dueMs = timed.nowMs + 500;
    await timed.send("a", dueMs);
    timed.scene.clock.jump(-10_000);
    await timed.scene.pass(10_400, 100);
    assert.equal(timed.deliveredCount, 0);
    await timed.scene.pass(200);
    assert.deepEqual(await timed.delivered(), ["a"]);
    assert.ok(timed.nowMs >= dueMs);
  });

  it("do not fire by a clock that is set far ahead, and go on as before meanwhile", async () => {
    await timed.send("soon", timed.nowMs + 2_000);
    await timed.send("tomorrow", timed.nowMs + dayMs);
    timed.scene.clock.jump(30 * dayMs);
    await timed.scene.pass(1_900, 100);
    assert.deepEqual(await timed.delivered(), []);
    await timed.scene.pass(200);
    assert.deepEqual(await timed.delivered(), ["soon"]);
    timed.scene.clock.jump(-30 * dayMs);
    await timed.scene.pass(2 * limits.timerJumpBelievedMs, 500);
    assert.deepEqual(await timed.delivered(), ["soon"], "it was set right in time");
    const lines = timed.scene.logger.lines.map(({ message }) => message);
    assert.deepEqual(lines.filter((line) => line.includes("clock was set forward")).length, 1);
  });

  it("believe a clock that stays ahead, as after the sleep of a machine", async () => {
    await timed.send("tomorrow", timed.nowMs + dayMs);
    timed.scene.clock.jump(2 * dayMs);
    await timed.scene.pass(limits.timerJumpBelievedMs - 1_000, 500);
    assert.deepEqual(await timed.delivered(), []);
    await timed.scene.pass(2 * limits.timerTickMs, 100);
    assert.deepEqual(await timed.delivered(), ["tomorrow"]);
  });

  it("are not stalled by a clock that goes back and comes again", async () => {
    await timed.send("a", timed.nowMs + 5_000);
    timed.scene.clock.jump(-dayMs);
    await timed.scene.pass(2_000, 100);
    timed.scene.clock.jump(dayMs);
    await timed.scene.pass(3_100, 100);
    assert.deepEqual(await timed.delivered(), ["a"]);
    assert.ok((timed.lateness[0] ?? 0) <= limits.timerTickMs, `late by ${timed.lateness[0]} ms`);
  });

  it("take the clock as it is at a start", async () => {
    await timed.send("tomorrow", timed.nowMs + dayMs);
    await timed.timers.close();
    timed.scene.clock.jump(2 * dayMs);
    await timed.restart();
    await timed.scene.pass(50);
    assert.deepEqual(await timed.delivered(), ["tomorrow"]);
  });

  it("deliver nothing twice whatever the clock does", async () => {
    for (let index = 0; index < 40; index++)
      await timed.send(`m${index}`, timed.nowMs + index * 50);
    for (const stepMs of [700, -900, 5_000, -4_000, dayMs, -dayMs, 300]) {
      timed.scene.clock.jump(stepMs);
      await timed.scene.pass(600, 50);
    }
    await timed.scene.pass(10_000, 250);
    const delivered = await timed.delivered();
    assert.equal(delivered.length, 40);
    assert.equal(new Set(delivered).size, 40);
  });
});
