import assert from "node:assert/strict";
import { HeldHandles } from "../held/index.ts";
import { deferred } from "../store/testkit/open-store.ts";
import { TimerScene } from "./testkit/timer-scene.ts";

const hourMs = 3_600_000;

describe("recalling a delayed message", () => {
  let timed: TimerScene;

  beforeEach(async () => {
    timed = await TimerScene.open();
  });

  afterEach(() => timed.stop());

  async function refused(handle: string, code: string, words: RegExp, topic = "t"): Promise<void> {
    await assert.rejects(timed.timers.recall(topic, handle), { code, message: words });
  }

  it("keeps it from being delivered, and tells its id", async () => {
    const { handle, dueMs } = await timed.send("a", timed.nowMs + 500);
    await timed.send("b", dueMs);
    assert.equal(await timed.timers.recall("t", handle), "id of a");
    assert.equal(timed.timers.pendingCount, 1);
    await timed.scene.pass(1_000);
    assert.deepEqual(await timed.delivered(), ["b"]);
    assert.equal(timed.timers.counters.recalled, 1);
  });

  it("is as good after a restart, without the database, and by another master of the group", async () => {
    const kept = await timed.send("kept", timed.nowMs + hourMs);
    const { handle } = await timed.send("a", timed.nowMs + hourMs);
    await timed.restart(true);
    assert.equal(await timed.timers.recall("t", handle), "id of a");
    timed = await timed.killed(true);
    await refused(handle, "MESSAGE_NOT_FOUND", /recalled already/);
    await timed.timers.close();
    timed.scene.clock.elapse(hourMs);
    await timed.restart();
    await timed.scene.pass(50);
    assert.deepEqual(await timed.delivered(), [kept.text]);
  });

  it("finds a message that is far from being in memory", async () => {
    await timed.stop();
    timed = await TimerScene.open({ windowMax: 4 });
    for (let index = 0; index < 20; index++) await timed.send(`m${index}`, timed.nowMs + 500);
    const { handle } = await timed.send("far", timed.nowMs + 800);
    assert.equal(await timed.timers.recall("t", handle), "id of far");
    await timed.scene.pass(1_000);
    assert.equal(timed.deliveredCount, 20);
  });

  it("is refused the second time", async () => {
    const { handle } = await timed.send("a", timed.nowMs + hourMs);
    await timed.timers.recall("t", handle);
    await refused(handle, "MESSAGE_NOT_FOUND", /recalled already/);
  });

  it("is refused to the slower of two at the same time", async () => {
    const { handle } = await timed.send("a", timed.nowMs + hourMs);
    const both = await Promise.allSettled([
      timed.timers.recall("t", handle),
      timed.timers.recall("t", handle),
    ]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    await refused(handle, "MESSAGE_NOT_FOUND", /recalled already/);
  });

  it("is refused when it is too late", async () => {
    const { handle } = await timed.send("a", timed.nowMs + 100);
    await timed.scene.pass(150);
    await refused(handle, "MESSAGE_NOT_FOUND", /too late/);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("is refused for a handle that nobody gave", async () => {
    const { handle, dueMs } = await timed.send("a", timed.nowMs + hourMs);
    const key = Buffer.alloc(32, 1);
    const forged = new HeldHandles(key, "broker-a").encode("t", { kind: "timer", dueMs, id: 80 });
    const middle = Math.floor(handle.length / 2);
    const altered = `${handle.slice(0, middle)}${handle[middle] === "A" ? "B" : "A"}${handle.slice(middle + 1)}`;
    for (const wrong of [forged, altered, handle.slice(0, -2), `${handle}A`, "", "garbage"]) {
      await refused(wrong, "INVALID_RECEIPT_HANDLE", /recall handle/);
    }
    await timed.scene.state.metadata.updateTopic({ name: "u" });
    await refused(handle, "INVALID_RECEIPT_HANDLE", /another topic/, "u");
    await refused(handle, "TOPIC_NOT_FOUND", /no-such/, "no-such");
    const unknown = timed.timers.handleOf("t", dueMs, 8_000_000);
    await refused(unknown, "MESSAGE_NOT_FOUND", /recalled already/);
    assert.equal(timed.timers.pendingCount, 1);
  });

  it("says of a message whose topic was deleted that it went with it", async () => {
    const { handle } = await timed.send("a", timed.nowMs + hourMs);
    await timed.scene.state.metadata.deleteTopic("t");
    await refused(handle, "TOPIC_NOT_FOUND", /does not exist/);
    await timed.scene.state.metadata.updateTopic({ name: "t" });
    await refused(handle, "MESSAGE_NOT_FOUND", /its topic was deleted/);
  });

  it("waits for a delivery that is under way, and comes too late", async () => {
    const { handle } = await timed.send("a", timed.nowMs + 100);
    const gate = deferred();
    timed.scene.disk.onOperation = ({ kind }) => (kind === "write" ? gate.promise : undefined);
    await timed.scene.pass(200);
    const recalled = refused(handle, "MESSAGE_NOT_FOUND", /too late/);
    await timed.scene.pass(100);
    gate.resolve();
    await timed.scene.pass(100);
    await recalled;
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("holds when the message comes due while the recall is under way", async () => {
    const { handle } = await timed.send("a", timed.nowMs + 100);
    await timed.send("b", timed.nowMs + 150);
    const gate = deferred();
    timed.scene.disk.onOperation = ({ kind }) => (kind === "write" ? gate.promise : undefined);
    const recalled = timed.timers.recall("t", handle);
    await timed.scene.pass(1_000);
    gate.resolve();
    await timed.scene.pass(200);
    assert.equal(await recalled, "id of a");
    assert.deepEqual(await timed.delivered(), ["b"]);
  });

  it("leaves a message that is due to be delivered when it cannot be written", async () => {
    const { handle } = await timed.send("a", timed.nowMs + 100);
    timed.scene.disk.capacityBytes = 1;
    const refusal = refused(handle, "DISK_FULL", /no space/);
    await timed.scene.pass(500, 50);
    await refusal;
    timed.scene.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await timed.scene.pass(3_000, 50);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("works on while messages are carried to the end of the log", async () => {
    const { handle } = await timed.send("a", timed.nowMs + hourMs);
    const { held } = timed.scene;
    const entry = (await timed.scene.all())[0];
    assert.ok(entry !== undefined && held.claim(entry));
    const recalled = timed.timers.recall("t", handle);
    await timed.scene.pass(50);
    held.free(entry);
    await timed.scene.pass(50);
    assert.equal(await recalled, "id of a");
  });
});
