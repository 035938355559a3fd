import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import { carryHeld } from "../held/index.ts";
import { RecordType } from "../store/index.ts";
import { draft, scanAll, send } from "../store/testkit/open-store.ts";
import { TimerScene } from "./testkit/timer-scene.ts";

const hourMs = 3_600_000;
const yearMs = 8_760 * hourMs;

function numbered(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `m${from + index}`);
}

describe("timers", () => {
  let timed: TimerScene;

  beforeEach(async () => {
    timed = await TimerScene.open();
  });

  afterEach(() => timed.stop());

  it("deliver a message when its time has come, and not a millisecond before", async () => {
    const dueMs = timed.nowMs + 500;
    await timed.send("a", dueMs);
    await timed.scene.pass(499, 1);
    assert.deepEqual(await timed.delivered(), []);
    await timed.scene.pass(1, 1);
    assert.deepEqual(await timed.delivered(), ["a"]);
    assert.equal(timed.nowMs, dueMs);
    assert.deepEqual(await timed.scene.all(), []);
    assert.deepEqual(timed.lateness, [0]);
    assert.equal(timed.timers.counters.delivered, 1);
  });

  it("deliver what came later and is due sooner", async () => {
    await timed.send("late", timed.nowMs + 900);
    await timed.send("soon", timed.nowMs + 100);
    await timed.scene.pass(110);
    assert.deepEqual(await timed.delivered(), ["soon"]);
    await timed.scene.pass(800);
    assert.deepEqual(await timed.delivered(), ["soon", "late"]);
  });

  it("deliver a copy with all that the message was", async () => {
    const dueMs = timed.nowMs + 50;
    const given = { queueId: 0, flags: 1, tagHash: 7, messageGroupHash: 9 };
    const entry = await timed.scene.hold("a", dueMs, {
      ...given,
      systemProperties: Buffer.from("system"),
      userProperties: Buffer.from("user"),
    });
    await timed.scene.pass(60);
    const copies = (await scanAll(timed.scene.store)).filter(
      ({ type }) => type === RecordType.deliveredTimer,
    );
    const [copy] = copies;
    assert.equal(copies.length, 1);
    assert.ok(copy !== undefined);
    assert.deepEqual(
      [copy.flags, copy.tagHash, copy.messageGroupHash, copy.queueId, copy.queueOffset],
      [1, 7, 9, 0, 0],
    );
    assert.equal(Buffer.from(copy.systemProperties).toString(), "system");
    assert.equal(Buffer.from(copy.userProperties).toString(), "user");
    assert.equal(copy.storeTimeMs, dueMs);
    assert.equal(entry.dueMs, dueMs);
  });

  it("deliver in the order of sending what is due at the same time", async () => {
    const dueMs = timed.nowMs + 200;
    const texts = numbered(1_500);
    for (let from = 0; from < 1_500; from += 100) {
      await timed.sendAll(texts.slice(from, from + 100), dueMs);
    }
    await timed.scene.pass(400);
    assert.deepEqual(await timed.delivered(), texts);
  });

  it("deliver a burst in groups of bounded size, one after the other", async () => {
    const count = 3 * limits.heldGroupCountMax + 10;
    await timed.sendAll(numbered(count), timed.nowMs + 50);
    await timed.scene.pass(200);
    const records = await scanAll(timed.scene.store);
    const groups = records.filter(({ type }) => type === RecordType.held);
    assert.equal(timed.deliveredCount, count);
    assert.ok(groups.length >= 4, `${groups.length} groups`);
    const sizes: number[] = [];
    let size = 0;
    for (const { type } of records) {
      if (type === RecordType.deliveredTimer) size += 1;
      if (type !== RecordType.held) continue;
      sizes.push(size);
      size = 0;
    }
    assert.ok(Math.max(...sizes) <= limits.heldGroupCountMax);
  });

  it("let sends through between the groups of a burst", async () => {
    const count = 6 * limits.heldGroupCountMax;
    await timed.sendAll(numbered(count), timed.nowMs + 50);
    await timed.scene.until(() => timed.deliveredCount > 0);
    assert.ok(timed.deliveredCount < count);
    await send(timed.scene.store, "between");
    await timed.scene.until(() => timed.deliveredCount === count + 1);
    const place = (await timed.delivered()).indexOf("between");
    assert.ok(place > 0 && place < count, `at ${place}`);
  });

  it("hold only a window in memory, and lose nothing by it", async () => {
    await timed.stop();
    timed = await TimerScene.open({ windowMax: 32 });
    const texts = numbered(600);
    const base = timed.nowMs;
    for (const [index, text] of texts.entries()) {
      await timed.send(text, base + 1_000 + ((index * 7) % 600));
      assert.ok(timed.timers.windowCount <= 33, `${timed.timers.windowCount} in memory`);
    }
    await timed.scene.pass(2_500);
    const delivered = await timed.delivered();
    assert.deepEqual(delivered.toSorted(), texts.toSorted());
    const dues = delivered.map((text) => (Number(text.slice(1)) * 7) % 600);
    assert.deepEqual(
      dues,
      dues.toSorted((one, other) => one - other),
    );
  });

  it("read a message before it is due, so that its time finds it in memory", async () => {
    await timed.stop();
    timed = await TimerScene.open({ store: { tailCacheSizeBytes: 1 } });
    await timed.send("a", timed.nowMs + 3_000);
    for (let index = 0; index < 40; index++) {
      await timed.scene.store.append([draft("x".repeat(50_000), { topic: "other" })]);
    }
    const reads: number[] = [];
    timed.scene.disk.onOperation = ({ kind, path }) => {
      if (kind === "read" && path.includes("/commitlog/")) reads.push(timed.nowMs);
    };
    const dueMs = timed.nowMs + 3_000;
    await timed.scene.pass(1_500);
    assert.deepEqual(reads, []);
    await timed.scene.pass(1_600);
    assert.equal(reads.length, 1);
    assert.ok((reads[0] ?? dueMs) <= dueMs - limits.timerReadAheadMs / 2);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("read a bounded number ahead, and no message is late for that", async () => {
    const laterMs = timed.nowMs + 900;
    const laters = numbered(2 * limits.timerReadAheadCountMax);
    for (let from = 0; from < laters.length; from += 512) {
      await timed.sendAll(laters.slice(from, from + 512), laterMs);
    }
    await timed.scene.pass(100);
    const most = limits.timerReadAheadCountMax + limits.heldGroupCountMax;
    assert.ok(timed.timers.readCount <= most, `${timed.timers.readCount} are in memory`);
    await timed.send("sooner", timed.nowMs + 200);
    await timed.scene.pass(205, 5);
    assert.deepEqual(await timed.delivered(), ["sooner"]);
    assert.ok(timed.timers.readCount <= most, `${timed.timers.readCount} are in memory`);
    await timed.scene.until(() => timed.deliveredCount === laters.length + 1);
    assert.equal(timed.timers.readCount, 0);
  });

  it("keep a bounded number in memory while nothing can be delivered", async () => {
    const most = limits.timerReadAheadCountMax + 2 * limits.heldGroupCountMax;
    for (let from = 0; from < 8; from++) {
      await timed.sendAll(numbered(1_000, from * 1_000), timed.nowMs + 50 + from * 100);
    }
    timed.scene.disk.capacityBytes = 1;
    await timed.scene.pass(4_000, 50);
    assert.ok(timed.timers.readCount <= most, `${timed.timers.readCount} are in memory`);
    timed.scene.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await timed.scene.until(() => timed.deliveredCount === 8_000);
    assert.equal(new Set(await timed.delivered()).size, 8_000);
  });

  it("deliver once what was carried or recalled after it was read", async () => {
    await timed.send("carried", timed.nowMs + 500);
    const recalled = await timed.send("recalled", timed.nowMs + 500);
    await timed.scene.until(() => timed.timers.readCount === 2);
    await carryHeld(timed.scene.held, timed.scene.store.end);
    await timed.timers.recall("t", recalled.handle);
    await timed.scene.pass(600);
    assert.deepEqual(await timed.delivered(), ["carried"]);
    assert.deepEqual([await timed.scene.all(), timed.timers.readCount], [[], 0]);
  });

  it("deliver at once, after a restart, what came due meanwhile, and the rest in its time", async () => {
    for (const loses of [false, true]) {
      await timed.send(`overdue ${loses}`, timed.nowMs + 1_000);
      await timed.send(`early ${loses}`, timed.nowMs + 5_000);
      await timed.timers.close();
      timed.scene.clock.elapse(2_000);
      await timed.restart(loses);
      await timed.scene.pass(50);
      assert.equal((await timed.delivered()).at(-1), `overdue ${loses}`);
      await timed.scene.pass(3_200);
      assert.equal((await timed.delivered()).at(-1), `early ${loses}`);
    }
    assert.equal(timed.deliveredCount, 4);
  });

  it("wait for years", async () => {
    await timed.send("a", timed.nowMs + 10 * yearMs);
    for (let year = 0; year < 9; year++) {
      await timed.timers.close();
      timed.scene.clock.elapse(yearMs);
      await timed.restart(year % 2 === 0);
      await timed.scene.pass(1_500, 500);
    }
    assert.equal(timed.deliveredCount, 0);
    await timed.timers.close();
    timed.scene.clock.elapse(yearMs);
    await timed.restart();
    await timed.scene.pass(50);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("deliver to a queue that there is, when the topic has fewer by then", async () => {
    await timed.scene.state.metadata.updateTopic({
      name: "t",
      writeQueueNums: 4,
      readQueueNums: 4,
    });
    await timed.send("a", timed.nowMs + 100, { queueId: 3 });
    await timed.scene.state.metadata.updateTopic({
      name: "t",
      writeQueueNums: 1,
      readQueueNums: 1,
    });
    await timed.scene.pass(150);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("deliver to the queue of the message group as it is then", async () => {
    const { metadata } = timed.scene.state;
    const queues = (count: number) => ({ writeQueueNums: count, readQueueNums: 8 });
    await metadata.updateTopic({ name: "t", ...queues(4) });
    await timed.send("fewer", timed.nowMs + 100, { queueId: 3, messageGroupHash: 6 });
    await metadata.updateTopic({ name: "t", ...queues(2) });
    await timed.scene.pass(150);
    await timed.send("more", timed.nowMs + 100, { queueId: 0, messageGroupHash: 6 });
    await metadata.updateTopic({ name: "t", ...queues(8) });
    await timed.scene.pass(150);
    const copies = (await scanAll(timed.scene.store)).filter(
      ({ type }) => type === RecordType.deliveredTimer,
    );
    assert.deepEqual(
      copies.map(({ queueId }) => queueId),
      [0, 6],
    );
  });

  it("deliver to a topic that takes no new messages: this one was taken", async () => {
    await timed.send("a", timed.nowMs + 100);
    await timed.scene.state.metadata.updateTopic({ name: "t", readQueueNums: 1, perm: 4 });
    await timed.scene.pass(150);
    assert.deepEqual(await timed.delivered(), ["a"]);
  });

  it("deliver nothing of a deleted topic, also when it is made again", async () => {
    const { metadata } = timed.scene.state;
    await timed.send("old", timed.nowMs + 100);
    await metadata.deleteTopic("t");
    await metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "MIXED" });
    await timed.send("new", timed.nowMs + 100);
    assert.equal(timed.timers.pendingCount, 1);
    await timed.scene.pass(300);
    assert.deepEqual(await timed.delivered(), ["new"]);
    assert.deepEqual(await timed.scene.all(), []);
  });

  it("refuse more than may wait, and count down", async () => {
    timed.pendingMax = 2;
    await timed.sendAll(["a"], timed.nowMs + 100);
    await assert.rejects(timed.sendAll(["b", "c"], timed.nowMs + 100), {
      code: "TOO_MANY_REQUESTS",
      message: /holds 1 delayed messages, at most 2/,
    });
    await timed.sendAll(["b"], timed.nowMs + 100);
    await assert.rejects(timed.send("c", timed.nowMs + 100), { code: "TOO_MANY_REQUESTS" });
    await timed.scene.pass(150);
    await timed.send("c", timed.nowMs + 100);
    assert.deepEqual([timed.timers.pendingCount, timed.timers.counters.accepted], [1, 3]);
    timed.timers.admit(1);
    assert.throws(() => timed.timers.admit(1), { code: "TOO_MANY_REQUESTS" });
    timed.timers.settled(1, "refused");
    timed.timers.admit(1);
  });

  it("try again when the disk was full, once for each message", async () => {
    const { disk, clock } = timed.scene;
    await timed.sendAll(numbered(20), timed.nowMs + 100);
    disk.capacityBytes = 1;
    await timed.scene.pass(2_500, 50);
    assert.equal(timed.deliveredCount, 0);
    assert.ok(timed.timers.counters.failures > 0);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await timed.scene.pass(3_000, 50);
    assert.deepEqual(await timed.delivered(), numbered(20));
    const said = timed.scene.logger.lines.filter(({ message }) => /due messages/.test(message));
    assert.equal(said.length, 1);
    assert.ok(clock.now() > 0);
  });

  it("leave a damaged message alone and deliver the others", async () => {
    await timed.stop();
    timed = await TimerScene.open({ store: { tailCacheSizeBytes: 1, verifySizeBytes: 1 } });
    const dueMs = timed.nowMs + 100;
    const entry = await timed.scene.hold("damaged", dueMs);
    await timed.sendAll(numbered(5), dueMs);
    for (let index = 0; index < 40; index++) {
      await timed.scene.store.append([draft("x".repeat(50_000), { topic: "other" })]);
    }
    await timed.timers.close();
    await timed.scene.stop();
    const path = timed.scene.disk.paths().find((name) => name.includes("/commitlog/")) ?? "";
    const bytes = timed.scene.disk.bytesOf(path);
    bytes.fill(0xee, entry.position + entry.size - 9, entry.position + entry.size);
    timed.scene.disk.put(path, bytes);
    await timed.scene.start();
    timed = TimerScene.over(timed);
    await timed.scene.pass(1_200, 100);
    assert.deepEqual(await timed.delivered(), numbered(5));
    assert.equal(timed.timers.counters.unreadable, 1);
    assert.equal((await timed.scene.all()).length, 1, "it is held still");
  });
});
