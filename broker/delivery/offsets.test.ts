import assert from "node:assert/strict";
import { limits, MqError } from "../../base/index.ts";
import type { ResetOutcome } from "./offsets.ts";
import { Gate, settle } from "./testkit/fake-clock.ts";
import { names, replay, Scene } from "./testkit/scene.ts";

const place = { group: "g", topic: "t", queueId: 0 };

async function withMessages(count: number): Promise<Scene> {
  const scene = await Scene.open({ topic: { readQueueNums: 1 } });
  for (let i = 0; i < count; i++) scene.store.send("t", 0);
  return scene;
}

/** Resets the one queue. */
async function reset(scene: Scene, offset: number): Promise<ResetOutcome | undefined> {
  const [outcome] = await scene.delivery.offsets.reset([{ place, offset }]);
  return outcome;
}

/** As MqError of that code. */
function coded(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MqError && error.code === code;
}

describe("the offset of a group on a queue", () => {
  it("is unknown before the group has consumed or set one, and then the cursor", async () => {
    const scene = await withMessages(5);
    assert.equal(scene.delivery.offsets.get(place), undefined);
    await scene.delivery.offsets.commit(place, 3);
    assert.equal(scene.delivery.offsets.get(place), 3);
    assert.deepEqual(names(await scene.receive()), ["0:3", "0:4"]);
    assert.equal(scene.delivery.offsets.get(place), 5);
  });

  it("is in the log when a commit resolves: a crash does not lose it", async () => {
    const scene = await withMessages(5);
    await scene.delivery.offsets.commit(place, 4);
    await scene.crash();
    assert.equal(scene.delivery.offsets.get(place), 4);
    await scene.delivery.offsets.commit(place, 1);
    await scene.crash();
    assert.equal(scene.delivery.offsets.get(place), 1);
    assert.deepEqual(names(await scene.receive({ countMax: 1 })), ["0:1"]);
  });

  it("that is committed forward leaves alone what is pending", async () => {
    const scene = await withMessages(10);
    const [first, second] = await scene.receive({ countMax: 2 });
    assert.ok(first && second);
    await scene.delivery.offsets.commit(place, 8);
    assert.equal(scene.ack(first), "ok");
    assert.equal(scene.ack(first), "ok", "a repeated ack");
    await scene.clock.pass(30_000);
    // Skipped is what nobody had, and nothing else.
    assert.deepEqual(names(await scene.receive()), ["0:1", "0:8", "0:9"]);
  });

  it("that is committed back lets come again what is behind it, and keeps pending what is before", async () => {
    const scene = await withMessages(6);
    const given = await scene.receive();
    await scene.clock.pass(limits.progressWindowMs);
    await scene.delivery.offsets.commit(place, 3);
    assert.deepEqual(
      given.map((message) => scene.ack(message)),
      ["ok", "ok", "ok", "invalid", "invalid", "invalid"],
    );
    const again = await scene.receive();
    assert.deepEqual(names(again), ["0:3", "0:4", "0:5"]);
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [1, 1, 1],
    );
    assert.equal(given[3] && scene.ack(given[3]), "invalid", "it is another's now");
    assert.equal(again[0] && scene.ack(again[0]), "ok");
  });

  it("must be one that the queue has had or will have next: ILLEGAL_OFFSET", async () => {
    const scene = await withMessages(3);
    const { offsets } = scene.delivery;
    for (const offset of [-1, 4, 1.5, Number.NaN]) {
      await assert.rejects(offsets.commit(place, offset), coded("ILLEGAL_OFFSET"));
    }
    await assert.rejects(offsets.commit({ ...place, queueId: 7 }, 1), /0 to 0 are/);
    assert.equal(offsets.get(place), undefined);
    const queue = scene.store.ensureQueue("t", 0);
    scene.store.expire(queue, 2);
    // Late, but no harm: what it names has expired.
    await offsets.commit(place, 1);
    assert.deepEqual(names(await scene.receive()), ["0:2"]);
    await assert.rejects(reset(scene, 1), /offset 1 is not allowed .* 2 to 3 are/);
  });

  it("wakes who waits", async () => {
    const scene = await withMessages(2);
    for (const message of await scene.receive()) scene.ack(message);
    const held = scene.receive({ pollingMs: 20_000 });
    await settle();
    await scene.delivery.offsets.commit(place, 1);
    assert.deepEqual(names(await held), ["0:1"]);
  });

  it("says so when the log does not take it, and is written later all the same", async () => {
    const scene = await withMessages(5);
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    await assert.rejects(scene.delivery.offsets.commit(place, 4), coded("DISK_FULL"));
    assert.deepEqual(replay(scene.store), []);
    scene.store.appendError = undefined;
    await scene.clock.pass(limits.progressRetryDelayMs + limits.progressWindowMs);
    assert.equal(replay(scene.store)[0]?.cursor, 4);
  });

  it("is written once for many who commit while a write is under way", async () => {
    const scene = await withMessages(50);
    const gate = new Gate();
    scene.store.appendGate = gate.opened;
    const commits = Array.from({ length: 50 }, (_unused, offset) =>
      scene.delivery.offsets.commit(place, offset),
    );
    await settle();
    gate.open();
    await Promise.all(commits);
    assert.ok(scene.store.progress.length <= 2, `${scene.store.progress.length} records`);
    assert.equal(replay(scene.store)[0]?.cursor, 49);
  });

  it("is refused when the broker stops", async () => {
    const scene = await withMessages(1);
    await scene.delivery.close();
    await assert.rejects(scene.delivery.offsets.commit(place, 1), coded("SHUTTING_DOWN"));
  });

  it("counts for a group whose start was still being looked up", async () => {
    const scene = await withMessages(5);
    await scene.metadata.updateGroup({ name: "g", attributes: { "consume.from": "1" } });
    const queue = scene.store.ensureQueue("t", 0);
    const gate = new Gate();
    queue.offsetByTime = async () => {
      await gate.opened;
      return 0;
    };
    const held = scene.receive({ pollingMs: 20_000 });
    await settle();
    assert.equal(scene.delivery.offsets.get(place), undefined);
    await scene.delivery.offsets.commit(place, 4);
    gate.open();
    assert.deepEqual(names(await held), ["0:4"]);
    await settle();
    assert.equal(scene.delivery.offsets.get(place), 5);
  });
});

describe("a reset of a group's offset", () => {
  it("drops what is pending, in one progress record, and goes on from there", async () => {
    const scene = await withMessages(10);
    const given = await scene.receive({ countMax: 8 });
    await scene.clock.pass(limits.progressWindowMs);
    const before = scene.store.progress.length;
    assert.deepEqual(await reset(scene, 2), { before: 8, dropped: 8 });
    assert.equal(scene.store.progress.length, before + 1);
    assert.equal(scene.store.progress.at(-1)?.length, 1);
    assert.deepEqual(replay(scene.store)[0], { ...place, cursor: 2, pending: [] });
    assert.ok(given.every((message) => scene.ack(message) === "invalid"));
    assert.ok(given.every((message) => scene.nack(message, 0) === "invalid"));
    assert.equal(names(await scene.receive()).join(), "0:2,0:3,0:4,0:5,0:6,0:7,0:8,0:9");
  });

  it("forward skips what nobody has seen, and what somebody has", async () => {
    const scene = await withMessages(10);
    const [held] = await scene.receive({ countMax: 1, autoRenew: true });
    assert.deepEqual(await reset(scene, 10), { before: 1, dropped: 1 });
    assert.equal(held && scene.ack(held), "invalid");
    scene.delivery.clientGone("c1");
    await scene.clock.pass(60_000);
    assert.deepEqual(await scene.receive(), []);
    assert.equal(scene.delivery.figures().renewed, 0);
    scene.store.send("t", 0);
    assert.deepEqual(names(await scene.receive()), ["0:10"]);
  });

  it("takes a lane off its bound", async () => {
    const scene = await withMessages(0);
    for (let i = 0; i < limits.pendingPerQueueMax + 1; i++) scene.store.sendQuietly("t", 0);
    scene.store.confirm();
    for (let taken = 0; taken < limits.pendingPerQueueMax; )
      taken += (await scene.receive()).length;
    await assert.rejects(scene.receive(), coded("TOO_MANY_REQUESTS"));
    const held = scene.receive({ pollingMs: 1_000, countMax: 1 });
    await settle();
    await reset(scene, limits.pendingPerQueueMax);
    assert.deepEqual(names(await held), [`0:${limits.pendingPerQueueMax}`]);
  });

  it("makes invalid also the handle of a message that was acknowledged before and comes again", async () => {
    const scene = await withMessages(1);
    const [first] = await scene.receive();
    assert.ok(first);
    assert.equal(scene.ack(first), "ok");
    await reset(scene, 0);
    const [second] = await scene.receive();
    assert.notEqual(second?.receiptHandle, first.receiptHandle);
    assert.equal(scene.ack(first), "invalid");
    assert.equal(second && scene.ack(second), "ok");
  });

  it("makes old handles invalid also in a broker that has served before, in the same epoch", async () => {
    const scene = await withMessages(1);
    const [first] = await scene.receive();
    await scene.delivery.close();
    scene.store.forgetFollowers();
    await scene.start();
    await reset(scene, 0);
    const [second] = await scene.receive();
    assert.notEqual(second?.receiptHandle, first?.receiptHandle);
    assert.equal(first && scene.ack(first), "invalid");
  });

  it("does not lose what is handed out again while an older end waits to be written", async () => {
    const scene = await withMessages(2);
    const [first, other] = await scene.receive();
    await scene.clock.pass(limits.progressWindowMs);
    assert.ok(first && other);
    const gate = new Gate();
    scene.store.appendGate = gate.opened;
    scene.nack(other, 20_000);
    await scene.clock.pass(limits.progressWindowMs);
    // A record is being written now: the end of the first message and the reset wait for it.
    assert.equal(scene.ack(first), "ok");
    const resetting = reset(scene, 0);
    assert.deepEqual(names(await scene.receive({ countMax: 1 })), ["0:0"]);
    gate.open();
    await resetting;
    await scene.clock.pass(limits.progressWindowMs);
    await scene.crash();
    await scene.clock.pass(30_000);
    assert.deepEqual(names(await scene.receive()), ["0:0", "0:1"]);
  });

  it("leaves nothing pending in the state when a record was refused and written later", async () => {
    const scene = await withMessages(1);
    await scene.receive();
    await scene.clock.pass(limits.progressWindowMs);
    const gate = new Gate();
    scene.store.appendGate = gate.opened;
    const refused = assert.rejects(reset(scene, 0), coded("DISK_FULL"));
    await settle();
    // Refused while the message is pending again, which is acknowledged before the next try.
    const [again] = await scene.receive();
    scene.store.appendError = new MqError("DISK_FULL", "no space");
    gate.open();
    await refused;
    assert.equal(again && scene.ack(again), "ok");
    scene.store.appendError = undefined;
    await scene.clock.pass(limits.progressRetryDelayMs + limits.progressWindowMs);
    assert.deepEqual(replay(scene.store), [{ ...place, cursor: 1, pending: [] }]);
  });

  it("of several queues is all or nothing, in one record", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 2 } });
    for (let i = 0; i < 4; i++) scene.store.send("t", i % 2);
    await scene.receive();
    await scene.clock.pass(limits.progressWindowMs);
    const other = { ...place, queueId: 1 };
    const { offsets } = scene.delivery;
    const changes = (offset: number): { place: typeof place; offset: number }[] => [
      { place, offset: 1 },
      { place: other, offset },
    ];
    await assert.rejects(offsets.reset(changes(3)), coded("ILLEGAL_OFFSET"));
    assert.deepEqual([offsets.get(place), offsets.get(other)], [2, 2]);
    const before = scene.store.progress.length;
    await offsets.reset(changes(0));
    assert.deepEqual([offsets.get(place), offsets.get(other)], [1, 0]);
    assert.equal(scene.store.progress.length, before + 1);
  });

  it("works on a queue that is read from files, also back", async () => {
    const scene = await withMessages(200);
    scene.store.coolDown();
    for (let batch = await cold(scene); batch.length > 0; batch = await cold(scene)) {
      for (const message of batch) scene.ack(message);
    }
    await reset(scene, 5);
    assert.equal((await cold(scene))[0]?.queueOffset, 5);
    await reset(scene, 150);
    assert.equal((await cold(scene))[0]?.queueOffset, 150);
  });

  async function cold(scene: Scene): ReturnType<Scene["receive"]> {
    const receiving = scene.receive({ pollingMs: 10 });
    await scene.clock.pass(10);
    return await receiving;
  }
});
