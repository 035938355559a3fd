import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { limits, MqError } from "../../../base/index.ts";
import { parseFilter } from "../filter.ts";
import { FakeClock, Gate, settle } from "../testkit/fake-clock.ts";
import type { FakeQueue } from "../testkit/fake-store.ts";
import { Scene } from "../testkit/scene.ts";
import type { Pulled, PullRequest } from "./pulls.ts";

function pull(scene: Scene, offset: number, parts: Partial<PullRequest> = {}): Promise<Pulled> {
  return scene.delivery.pulls.pull({
    group: { name: "g" },
    topic: "t",
    queueId: 0,
    offset,
    countMax: 32,
    filter: parseFilter(1, "*"),
    pollingMs: 0,
    clientId: "c1",
    signal: new AbortController().signal,
    isClientGone: () => false,
    ...parts,
  });
}

/** Offsets that were found, and where to go on. */
function told(pulled: Pulled): readonly [string, number] {
  if (pulled.kind !== "found") return [pulled.kind, pulled.nextOffset];
  return [pulled.messages.map(({ queueOffset }) => queueOffset).join(), pulled.nextOffset];
}

async function withMessages(count: number): Promise<Scene> {
  const scene = await Scene.open({ topic: { readQueueNums: 2 } });
  for (let i = 0; i < count; i++) scene.store.send("t", 0, { tag: i % 2 === 0 ? "even" : "odd" });
  return scene;
}

function queueOf(scene: Scene): FakeQueue {
  return scene.store.ensureQueue("t", 0);
}

describe("reading a queue by offset", () => {
  it("gives consecutive messages from there, as often as asked, and changes nothing", async () => {
    const scene = await withMessages(10);
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(told(await pull(scene, 3, { countMax: 4 })), ["3,4,5,6", 7]);
    }
    assert.deepEqual(told(await pull(scene, 7)), ["7,8,9", 10]);
    assert.deepEqual(scene.delivery.progress("g"), []);
    await scene.clock.pass(1_000);
    assert.equal(scene.store.progress.length, 0);
  });

  it("says at once that there is nothing at the end, when nobody wants to wait", async () => {
    const scene = await withMessages(2);
    assert.deepEqual(told(await pull(scene, 2)), ["nothing", 2]);
    assert.deepEqual(told(await pull(scene, 0, { queueId: 1 })), ["nothing", 0]);
  });

  it("names the nearest offset for one that the queue does not have", async () => {
    const scene = await withMessages(5);
    assert.deepEqual(told(await pull(scene, 6)), ["outside", 5]);
    scene.store.expire(queueOf(scene), 3);
    const pulled = await pull(scene, 1);
    assert.deepEqual(pulled, { kind: "outside", nextOffset: 3, minOffset: 3, endOffset: 5 });
    assert.deepEqual(told(await pull(scene, 3)), ["3,4", 5]);
    assert.deepEqual(told(await pull(scene, 1, { queueId: 1 })), ["outside", 0]);
  });

  it("passes over what the filter does not want, by hash and by text", async () => {
    const scene = await withMessages(6);
    const filter = parseFilter(1, "odd");
    assert.deepEqual(told(await pull(scene, 0, { filter })), ["1,3,5", 6]);
    assert.deepEqual(told(await pull(scene, 0, { filter, countMax: 2 })), ["1,3", 4]);
    // Aa and BB have one hash.
    scene.store.send("t", 0, { tag: "Aa" });
    assert.deepEqual(told(await pull(scene, 6, { filter: parseFilter(1, "BB") })), ["nothing", 7]);
  });

  it("looks at a bounded number of entries before others have their turn", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    const count = limits.receiveScanCountMax * 2 + 10;
    for (let i = 0; i < count; i++) scene.store.sendQuietly("t", 0, { tag: "other" });
    scene.store.sendQuietly("t", 0, { tag: "wanted" });
    scene.store.confirm();
    const filter = parseFilter(1, "wanted");
    assert.deepEqual(told(await pull(scene, 0, { filter })), [
      "nothing",
      limits.receiveScanCountMax,
    ]);
    const pulling = pull(scene, 0, { filter, pollingMs: 1_000 });
    const order: string[] = [];
    const others = setImmediate().then(() => order.push("others"));
    await Promise.all([others, pulling.then(() => order.push("pull"))]);
    assert.deepEqual(order, ["others", "pull"]);
    assert.deepEqual(told(await pulling), [String(count), count + 1]);
  });

  it("is bounded in bytes, but gives a larger message alone", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    const body = "x".repeat(limits.pullSizeBytesMax / 4);
    for (let i = 0; i < 6; i++) scene.store.sendQuietly("t", 0, { body });
    scene.store.sendQuietly("t", 0, { body: "x".repeat(limits.pullSizeBytesMax * 2) });
    scene.store.sendQuietly("t", 0, { body: "y" });
    scene.store.confirm();
    assert.deepEqual(told(await pull(scene, 0)), ["0,1,2", 3]);
    assert.deepEqual(told(await pull(scene, 3)), ["3,4,5", 6]);
    assert.deepEqual(told(await pull(scene, 6)), ["6", 7]);
    assert.deepEqual(told(await pull(scene, 7)), ["7", 8]);
  });
});

describe("a held pull", () => {
  it("ends when a message comes to its queue, and not for others", async () => {
    const scene = await withMessages(1);
    const held = pull(scene, 1, { pollingMs: 20_000 });
    await settle();
    assert.equal(scene.delivery.figures().heldPolls, 1);
    scene.store.send("t", 1);
    await settle();
    assert.equal(scene.delivery.figures().heldPolls, 1);
    scene.store.send("t", 0);
    assert.deepEqual(told(await held), ["1", 2]);
    assert.equal(scene.delivery.figures().heldPolls, 0);
  });

  it("waits on after a message that its filter does not want", async () => {
    const scene = await withMessages(1);
    const held = pull(scene, 1, { pollingMs: 20_000, filter: parseFilter(1, "odd") });
    await settle();
    scene.store.send("t", 0, { tag: "even" });
    await setImmediate();
    assert.equal(scene.delivery.figures().heldPolls, 1);
    scene.store.send("t", 0, { tag: "odd" });
    assert.deepEqual(told(await held), ["2", 3]);
  });

  it("on a queue that has never had a message is woken by the first", async () => {
    const scene = await withMessages(0);
    const held = pull(scene, 0, { pollingMs: 20_000, queueId: 1 });
    await settle();
    scene.store.send("t", 1);
    assert.deepEqual(told(await held), ["0", 1]);
  });

  it("ends with nothing at its deadline, by its signal, with its client, and when the broker stops", async () => {
    const scene = await withMessages(1);
    const calls = new AbortController();
    let isGone = false;
    const late = pull(scene, 1, { pollingMs: 500 });
    const ended = pull(scene, 1, { pollingMs: 20_000, signal: calls.signal });
    const gone = pull(scene, 1, {
      pollingMs: 20_000,
      clientId: "c2",
      isClientGone: () => isGone,
    });
    const last = pull(scene, 1, { pollingMs: 20_000, clientId: "c3" });
    await scene.clock.pass(499);
    calls.abort();
    isGone = true;
    scene.delivery.endPolls("c2");
    assert.deepEqual(told(await ended), ["nothing", 1]);
    assert.deepEqual(told(await gone), ["nothing", 1]);
    assert.equal(scene.delivery.figures().heldPolls, 2);
    await scene.clock.pass(1);
    assert.deepEqual(told(await late), ["nothing", 1]);
    await scene.delivery.close();
    assert.deepEqual(told(await last), ["nothing", 1]);
  });

  it("fails when its topic or its group is deleted", async () => {
    const scene = await withMessages(1);
    await scene.metadata.updateTopic({ name: "other" });
    await scene.metadata.updateGroup({ name: "h" });
    const coded =
      (code: string) =>
      (error: unknown): boolean =>
        error instanceof MqError && error.code === code;
    const held = pull(scene, 1, { pollingMs: 20_000 });
    const group = pull(scene, 1, { pollingMs: 20_000, group: { name: "h" } });
    await settle();
    await scene.metadata.deleteGroup("h");
    await assert.rejects(group, coded("CONSUMER_GROUP_NOT_FOUND"));
    assert.equal(scene.delivery.figures().heldPolls, 1);
    await scene.metadata.deleteTopic("t");
    await assert.rejects(held, coded("TOPIC_NOT_FOUND"));
  });

  it("is told when its place in the queue has expired meanwhile", async () => {
    const scene = await withMessages(3);
    const held = pull(scene, 3, { pollingMs: 20_000 });
    await settle();
    scene.store.sendQuietly("t", 0);
    scene.store.sendQuietly("t", 0);
    scene.store.expire(queueOf(scene), 4);
    scene.store.confirm();
    assert.deepEqual(told(await held), ["outside", 4]);
  });
});

describe("a pull of what is not in memory", () => {
  it("reads it from the files", async () => {
    const scene = await withMessages(100);
    scene.store.coolDown();
    scene.store.send("t", 0);
    assert.deepEqual(told(await pull(scene, 98)), ["98,99,100", 101]);
    assert.equal(scene.store.coldReadCount, 1);
  });

  it("waits for its turn at the disk", async () => {
    const scene = await withMessages(100);
    scene.store.coolDown();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    const pulls = Array.from({ length: 20 }, async (_unused, offset) =>
      told(await pull(scene, offset, { countMax: 1 })),
    );
    await settle();
    assert.equal(scene.store.coldReadCount, limits.pullReadsAtOnceMax);
    gate.open();
    const all = await Promise.all(pulls);
    assert.deepEqual(
      all,
      all.map((_unused, offset) => [String(offset), offset + 1]),
    );
    assert.equal(scene.store.coldReadCount, 20);
  });

  it("fails with what the disk says, and lets others go on", async () => {
    const scene = await withMessages(10);
    scene.store.coolDown();
    scene.store.readError = new MqError("CORRUPT", "broken");
    for (let i = 0; i <= limits.pullReadsAtOnceMax; i++) {
      await assert.rejects(pull(scene, 0), /broken/);
    }
    scene.store.readError = undefined;
    assert.deepEqual(told(await pull(scene, 9)), ["9", 10]);
  });

  it("gives nothing to a client that has gone while it was read", async () => {
    const scene = await withMessages(10);
    scene.store.coolDown();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    let isGone = false;
    const pulling = pull(scene, 2, { isClientGone: () => isGone });
    await settle();
    isGone = true;
    gate.open();
    assert.deepEqual(told(await pulling), ["nothing", 2]);
  });
});

describe("held pulls", () => {
  it("leave nothing behind", async () => {
    const scene = await withMessages(1);
    assert.ok(scene.clock instanceof FakeClock);
    for (let round = 0; round < 3; round++) {
      const held = Array.from({ length: 100 }, () => pull(scene, 1, { pollingMs: 100 }));
      await scene.clock.pass(100);
      await Promise.all(held);
    }
    assert.equal(scene.delivery.figures().heldPolls, 0);
    assert.equal(scene.clock.timerCount, 0);
  });
});
