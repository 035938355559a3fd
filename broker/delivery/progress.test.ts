import assert from "node:assert/strict";
import { type LogFields, limits, MqError, silentLogger } from "../../base/index.ts";
import { Gate, settle } from "./testkit/fake-clock.ts";
import { names, replay, Scene } from "./testkit/scene.ts";

describe("delivery: progress in the log", () => {
  it("writes once for all changes of a moment, absolute values only", async () => {
    const scene = await Scene.open();
    for (let i = 0; i < 40; i++) scene.store.send("t", i % 4);
    for (const message of (await scene.receive({ countMax: 20 })).slice(0, 15)) scene.ack(message);
    assert.equal(scene.store.progress.length, 0);
    await scene.clock.pass(limits.progressWindowMs);
    assert.equal(scene.store.progress.length, 1);
    const changes = scene.store.progress[0] ?? [];
    assert.equal(changes.length, 4);
    assert.equal(changes.flatMap((change) => change.upserts).length, 5);
    // What came and went within the moment is not written at all.
    assert.equal(changes.flatMap((change) => change.removals).length, 0);
    await scene.clock.pass(10_000);
    assert.equal(scene.store.progress.length, 1);
  });

  it("survives a crash but for the last moment", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    for (let i = 0; i < 10; i++) scene.store.send("t", 0);
    const old = await scene.receive({ countMax: 4 });
    assert.ok(old[0] && old[1] && old[2]);
    scene.ack(old[0]);
    const changed = scene.nack(old[2], 5_000);
    await scene.clock.pass(limits.progressWindowMs);
    scene.ack(old[1]);
    const lost = await scene.receive({ countMax: 1 });
    await scene.crash();
    // 1 was acknowledged, but that was lost; its handle is good still.
    assert.equal(scene.ack(old[1]), "ok");
    // 4 was handed out, but that was lost: it is not known to be delivered.
    assert.ok(lost[0]);
    assert.equal(scene.ack(lost[0]), "invalid");
    const after = await scene.receive();
    assert.deepEqual(names(after), ["0:4", "0:5", "0:6", "0:7", "0:8", "0:9"]);
    assert.equal(after[0]?.attempt, 1);
    // The handle that was lost does not fit the delivery of now.
    assert.equal(scene.ack(lost[0]), "invalid");
    await scene.clock.pass(5_000);
    const [third] = await scene.receive();
    assert.deepEqual([third?.queueOffset, third?.attempt], [2, 2]);
    assert.ok(changed !== "invalid");
    assert.equal(scene.delivery.ack("g", "t", changed.handle), "invalid");
  });

  it("writes the rest when it closes", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [message] = await scene.receive();
    await scene.delivery.close();
    assert.equal(replay(scene.store)[0]?.cursor, 1);
    await scene.crash();
    assert.equal(message && scene.ack(message), "ok");
  });

  it("goes on when the disk is full, says so once, and writes everything later", async () => {
    const scene = await Scene.open();
    const lines: string[] = [];
    const say = (text: string, fields?: LogFields): void => {
      lines.push(`${text} ${fields?.["code"] ?? ""}`);
    };
    scene.logger = { ...silentLogger, warn: say, info: say };
    await scene.start();
    for (let i = 0; i < 100; i++) scene.store.send("t", 0);
    await scene.receive({ countMax: 10 });
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    await scene.clock.pass(5_000);
    const more = await scene.receive({ countMax: 10 });
    assert.equal(more.length, 10);
    for (const message of more.slice(0, 5)) scene.ack(message);
    await scene.clock.pass(5_000);
    assert.equal(scene.store.progress.length, 0);
    assert.ok(scene.delivery.counters.progressFailures > 5);
    scene.store.appendError = undefined;
    await scene.clock.pass(2_000);
    const [state] = replay(scene.store);
    assert.equal(state?.cursor, 20);
    assert.equal(state?.pending.length, 15);
    assert.deepEqual(
      lines.map((line) => /DISK_FULL|again$/.exec(line.trim())?.[0]),
      ["DISK_FULL", "again"],
    );
  });

  it("is written again when the disk was late with it, and took it back when that was full", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    scene.store.send("t", 0);
    const [message] = await scene.receive();
    assert.ok(message);
    await scene.clock.pass(limits.progressWindowMs);
    scene.ack(message);
    scene.store.appendError = new MqError("MASTER_PERSISTENCE_TIMEOUT", "late");
    await scene.clock.pass(limits.progressWindowMs);
    scene.store.appendError = undefined;
    await scene.clock.pass(limits.progressRetryDelayMs + limits.progressWindowMs);
    assert.deepEqual(replay(scene.store)[0]?.pending, []);
  });

  it("does not grow while nothing can be written", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    for (let i = 0; i < 20_000; i++) scene.store.sendQuietly("t", 0);
    scene.store.confirm();
    for (let batch = await scene.receive(); batch.length > 0; batch = await scene.receive()) {
      for (const message of batch) scene.ack(message);
    }
    await scene.clock.pass(2_000);
    scene.store.appendError = undefined;
    await scene.clock.pass(2_000);
    assert.deepEqual(replay(scene.store)[0], {
      group: "g",
      topic: "t",
      queueId: 0,
      cursor: 20_000,
      pending: [],
    });
  });

  it("keeps changes made while a write is under way, and what a failed write held", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    for (let i = 0; i < 10; i++) scene.store.send("t", 0);
    const first = await scene.receive({ countMax: 4 });
    const gate = new Gate();
    scene.store.appendGate = gate.opened;
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    await scene.clock.pass(limits.progressWindowMs);
    assert.ok(first[0]);
    scene.ack(first[0]);
    await scene.receive({ countMax: 2 });
    gate.open();
    await settle();
    scene.store.appendError = undefined;
    await scene.clock.pass(limits.progressRetryDelayMs + limits.progressWindowMs);
    const [state] = replay(scene.store);
    assert.equal(state?.cursor, 6);
    assert.deepEqual(
      state?.pending.map((entry) => entry.offset),
      [1, 2, 3, 4, 5],
    );
  });

  it("splits what is large into several records of one group", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 4 } });
    for (let i = 0; i < 30_000; i++) scene.store.sendQuietly("t", i % 4);
    scene.store.confirm();
    let batch = await scene.receive();
    while (batch.length > 0) batch = await scene.receive();
    await scene.clock.pass(limits.progressWindowMs);
    assert.equal(scene.store.groups.length, 1);
    assert.ok((scene.store.groups[0]?.length ?? 0) > 1);
    assert.equal(replay(scene.store).flatMap((lane) => lane.pending).length, 30_000);
  });

  it("is idle when nothing happens", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 100 } });
    await scene.receive();
    await scene.clock.pass(1_000);
    assert.equal(scene.clock.timerCount, 0);
  });

  it("a time far ahead in the log does not hide a message for longer than is allowed", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    scene.clock.jumpWall(400 * 86_400_000);
    await scene.crash();
    await scene.receive();
    await scene.clock.pass(100);
    scene.clock.jumpWall(-400 * 86_400_000);
    await scene.crash();
    await scene.clock.pass(limits.invisibleMaxMs);
    assert.equal((await scene.receive())[0]?.attempt, 2);
  });
});
