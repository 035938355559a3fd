// Order within message groups, case by case; ordered-model.test.ts has the random schedules.
import assert from "node:assert/strict";
import { limits } from "../../../base/index.ts";
import type { Delivered } from "../request.ts";
import { names, replay, Scene } from "../testkit/scene.ts";
import { messageGroupHash, queueOfMessageGroup } from "./message-group-hash.ts";

const [a, b, c] = [11, 22, 33];

function open(
  group: { readonly retryMaxTimes?: number } = {},
  bound: { readonly pendingMax?: number; readonly pendingTotalMax?: number } = {},
): Promise<Scene> {
  return Scene.open({
    ...bound,
    topic: { readQueueNums: 1 },
    group: { consumeMessageOrderly: true, ...group },
  });
}

function send(scene: Scene, ...groups: readonly number[]): void {
  for (const messageGroupHash of groups) scene.store.sendQuietly("t", 0, { messageGroupHash });
  scene.store.confirm();
}

/** Queue offsets. */
function offsets(messages: readonly Delivered[]): number[] {
  return messages.map(({ queueOffset }) => queueOffset);
}

describe("delivery: order within message groups", () => {
  it("gives one receive consecutive messages of a group, and nobody else any until they are done", async () => {
    const scene = await open();
    send(scene, a, a, b, a);
    const first = await scene.receive({ countMax: 2 });
    assert.deepEqual(offsets(first), [0, 1]);
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), [2]);
    const [one, two] = first;
    assert.ok(one && two);
    assert.equal(scene.ack(one), "ok");
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), []);
    assert.equal(scene.ack(two), "ok");
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), [3]);
  });

  it("wakes a held poll when the group goes on", async () => {
    const scene = await open();
    send(scene, a, a);
    const [one] = await scene.receive({ countMax: 1 });
    const polled = scene.receive({ pollingMs: 5_000, clientId: "c2" });
    await scene.clock.pass(1_000);
    assert.ok(one);
    scene.ack(one);
    assert.deepEqual(offsets(await polled), [1]);
  });

  it("gives again in order what a dead consumer held, once its time is over", async () => {
    const scene = await open();
    send(scene, a, a, a);
    assert.deepEqual(offsets(await scene.receive({ countMax: 2, invisibleMs: 10_000 })), [0, 1]);
    await scene.clock.pass(9_999);
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), []);
    await scene.clock.pass(1);
    const again = await scene.receive({ clientId: "c2" });
    assert.deepEqual(offsets(again), [0, 1, 2]);
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [2, 2, 1],
    );
  });

  it("waits for all that is held of a group, also when one of it is given back early", async () => {
    const scene = await open();
    send(scene, a, a);
    const [one, two] = await scene.receive({ invisibleMs: 10_000 });
    assert.ok(one && two);
    scene.nack(one, 0);
    assert.deepEqual(offsets(await scene.receive()), []);
    scene.ack(two);
    assert.deepEqual(offsets(await scene.receive()), [0]);
  });

  it("treats what has no message group as one, queue by queue", async () => {
    const scene = await open();
    send(scene, 0, 0);
    const first = await scene.receive({ countMax: 1 });
    assert.deepEqual(offsets(first), [0]);
    assert.deepEqual(offsets(await scene.receive()), []);
  });

  it("moves a message to the dead-letter topic after its last delivery, and the group goes on", async () => {
    const scene = await open({ retryMaxTimes: 1 });
    send(scene, a, a);
    for (const attempt of [1, 2]) {
      const [one, ...others] = await scene.receive({ countMax: 1 });
      assert.equal(one?.attempt, attempt);
      assert.equal(others.length, 0);
      assert.ok(one);
      scene.nack(one, 0);
    }
    assert.deepEqual(offsets(await scene.receive({ pollingMs: 1_000 })), [1]);
    assert.equal(scene.store.queue("%DLQ%g", 0)?.items.length, 1);
  });

  it("finds another group's message behind ten times the pending bound of a locked one", async () => {
    const scene = await open();
    const backlog = 10 * limits.pendingPerQueueMax;
    for (let sent = 0; sent < backlog; sent++) {
      scene.store.sendQuietly("t", 0, { messageGroupHash: a });
    }
    send(scene, b);
    assert.deepEqual(offsets(await scene.receive({ countMax: 1 })), [0]);
    const receiving = scene.receive({ clientId: "c2", pollingMs: 1_000 });
    await scene.clock.pass(0);
    assert.deepEqual(offsets(await receiving), [backlog]);
    const [lane] = scene.delivery.progress("g");
    assert.equal(lane?.pendingCount, 2);
    assert.equal(lane?.lag, backlog - 1);
    assert.equal(lane?.doneOffset, 0);
  }).timeout(20_000);

  for (const bound of [{ pendingMax: 100 }, { pendingTotalMax: 100 }]) {
    it(`gives one of a message group that was passed over at the bound: ${Object.keys(bound)[0]}`, async () => {
      const scene = await open({}, bound);
      const hashes = Array.from({ length: 10 }, (_, index) => index + 1);
      for (let sent = 0; sent < 40; sent++) send(scene, ...hashes);
      const first = await scene.receive({ countMax: 10 });
      assert.deepEqual(await scene.receive({ clientId: "c2" }), []);
      for (const message of first) scene.ack(message);
      const counts = new Map<number, number>();
      for (let receives = 0; receives < 20; receives++) {
        for (const { queueOffset } of await scene.receive({ clientId: `c${receives}` })) {
          counts.set(queueOffset % 10, (counts.get(queueOffset % 10) ?? 0) + 1);
        }
      }
      // Three whole receives, what is left to 100, and then one of each.
      assert.deepEqual([...counts.values()], [32, 32, 32, 4, 1, 1, 1, 1, 1, 1]);
      assert.equal(scene.delivery.pendingBound.count, 106);
    });
  }

  it("drains a backlog of one group in order, from files too", async () => {
    const scene = await open();
    send(scene, ...Array.from({ length: 300 }, (_, index) => (index % 3 === 0 ? b : a)));
    const held = await scene.receive({ countMax: 1 });
    assert.deepEqual(offsets(held), [0]);
    const rest = await scene.receive({ countMax: 1, clientId: "c2" });
    await scene.receive({ clientId: "c3" });
    scene.store.coolDown();
    scene.ack(rest[0] ?? assert.fail());
    const seen: number[] = [];
    for (let quiet = 0; quiet < 3; ) {
      const receiving = scene.receive({ clientId: "c2", pollingMs: 10 });
      await scene.clock.pass(10);
      const batch = await receiving;
      for (const message of batch) scene.ack(message);
      seen.push(...offsets(batch));
      quiet = batch.length === 0 ? quiet + 1 : 0;
    }
    const expected = Array.from({ length: 300 }, (_, index) => index);
    assert.deepEqual(
      seen,
      expected.filter((offset) => offset % 3 !== 0 && offset !== 1),
    );
  });

  it("goes on after a restart with what was passed over, and with nothing that is done", async () => {
    const scene = await open();
    send(scene, a, a, b, a, c);
    const [one] = await scene.receive({ countMax: 1 });
    const others = await scene.receive({ clientId: "c2" });
    assert.deepEqual(offsets(others), [2, 4]);
    assert.ok(one);
    scene.ack(one);
    for (const other of others) scene.ack(other);
    await scene.clock.pass(100);
    await scene.crash();
    const after = await scene.receive();
    assert.deepEqual(offsets(after), [1, 3]);
    for (const message of after) scene.ack(message);
    await scene.clock.pass(100);
    assert.deepEqual(
      replay(scene.store).map(({ cursor, pending }) => [cursor, pending.length]),
      [[5, 0]],
    );
  });

  it("refuses the handle of a message that it has forgotten to have handed out", async () => {
    const scene = await open();
    send(scene, a, a);
    const [one] = await scene.receive({ countMax: 1 });
    // Passes over the second one, which is what the log knows of it.
    await scene.receive({ clientId: "c2" });
    await scene.clock.pass(100);
    assert.ok(one);
    scene.ack(one);
    const [two] = await scene.receive({ clientId: "c2" });
    assert.equal(two?.queueOffset, 1);
    await scene.crash();
    assert.ok(two);
    assert.equal(scene.ack(two), "invalid");
    scene.store.coolDown();
    assert.equal(scene.ack(two), "invalid");
    assert.equal(scene.ack(one), "ok");
    await scene.clock.pass(30_000);
    const receiving = scene.receive({ pollingMs: 100 });
    await scene.clock.pass(100);
    assert.deepEqual(offsets(await receiving), [1]);
  });

  it("keeps the order that was begun when the group is made unordered, and only that", async () => {
    const scene = await open();
    send(scene, a, a, b);
    const [one] = await scene.receive({ countMax: 1 });
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), [2]);
    await scene.metadata.updateGroup({ name: "g", consumeMessageOrderly: false });
    assert.deepEqual(offsets(await scene.receive()), []);
    assert.ok(one);
    scene.ack(one);
    const [two] = await scene.receive();
    assert.equal(two?.queueOffset, 1);
    assert.ok(two);
    scene.ack(two);
    send(scene, a, a);
    assert.equal((await scene.receive({ countMax: 1 })).length, 1);
    assert.equal((await scene.receive({ countMax: 1 })).length, 1);
  });

  it("holds back what is handed out after the group was made ordered", async () => {
    const scene = await open();
    await scene.metadata.updateGroup({ name: "g", consumeMessageOrderly: false });
    send(scene, a, a, a);
    assert.deepEqual(offsets(await scene.receive({ countMax: 1 })), [0]);
    await scene.metadata.updateGroup({ name: "g", consumeMessageOrderly: true });
    const [two] = await scene.receive({ countMax: 1 });
    assert.equal(two?.queueOffset, 1);
    assert.deepEqual(offsets(await scene.receive()), []);
    assert.ok(two);
    scene.ack(two);
    assert.deepEqual(offsets(await scene.receive()), [2]);
  });

  it("renews all of a group for a client that lives, and gives all of it when the client is gone", async () => {
    const scene = await open();
    send(scene, a, a);
    const wish = { autoRenew: true, invisibleMs: limits.invisibleRenewedMs };
    assert.deepEqual(offsets(await scene.receive(wish)), [0, 1]);
    await scene.clock.pass(3 * limits.invisibleRenewedMs);
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), []);
    scene.delivery.clientGone("c1");
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), [0, 1]);
  });
});

describe("delivery: an attempt that is repeated", () => {
  it("gets the same messages with the same handles, and no attempt is counted", async () => {
    const scene = await open();
    send(scene, a, a, b);
    const first = await scene.receive({ countMax: 2, attemptId: "one" });
    const again = await scene.receive({ countMax: 2, attemptId: "one" });
    assert.deepEqual(
      again.map(({ receiptHandle, attempt }) => [receiptHandle, attempt]),
      first.map(({ receiptHandle }) => [receiptHandle, 1]),
    );
    assert.deepEqual(offsets(await scene.receive({ attemptId: "two" })), [2]);
  });

  it("gets them from files, too, and invisible anew", async () => {
    const scene = await open();
    send(scene, a);
    await scene.receive({ attemptId: "one", invisibleMs: 10_000 });
    scene.store.coolDown();
    await scene.clock.pass(9_000);
    assert.equal((await scene.receive({ attemptId: "one", invisibleMs: 10_000 })).length, 1);
    await scene.clock.pass(9_000);
    assert.equal((await scene.receive({ clientId: "c2" })).length, 0);
  });

  it("gets nothing of what is done or was given to others, and nothing of another client's", async () => {
    const scene = await open();
    send(scene, a, a);
    const [one] = await scene.receive({ attemptId: "one", invisibleMs: 10_000 });
    assert.deepEqual(names(await scene.receive({ attemptId: "one", clientId: "c2" })), []);
    assert.ok(one);
    scene.ack(one);
    assert.deepEqual(offsets(await scene.receive({ attemptId: "one" })), [1]);
    await scene.clock.pass(40_000);
    assert.deepEqual(offsets(await scene.receive({ clientId: "c2" })), [1]);
    assert.deepEqual(offsets(await scene.receive({ attemptId: "one" })), []);
  });

  it("is remembered among so many, and not over a restart", async () => {
    const scene = await open();
    const hashes = Array.from(
      { length: limits.attemptsRememberedMax + 1 },
      (_, index) => index + 1,
    );
    send(scene, ...hashes, 4);
    const attempt = async (index: number): Promise<number[]> =>
      offsets(await scene.receive({ countMax: 1, attemptId: `${index}` }));
    for (const index of hashes.keys()) assert.deepEqual(await attempt(index), [index]);
    assert.deepEqual(await attempt(0), []);
    assert.deepEqual(await attempt(1), [1]);
    // An attempt that gets something else takes no other's place.
    const [three] = await scene.receive({ countMax: 1, attemptId: "3" });
    assert.equal(three?.queueOffset, 3);
    assert.ok(three);
    scene.ack(three);
    assert.deepEqual(await attempt(3), [hashes.length]);
    assert.deepEqual(await attempt(1), [1]);
    await scene.clock.pass(100);
    await scene.crash();
    assert.deepEqual(await attempt(2), []);
  });

  it("means nothing where order does not matter", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    assert.equal((await scene.receive({ attemptId: "one" })).length, 1);
    assert.equal((await scene.receive({ attemptId: "one" })).length, 0);
  });
});

describe("the queue of a message group", () => {
  it("is the same for ever: it is in the log", () => {
    const known = ["order-1", "order-2", "客户"].map((group) => {
      const hash = messageGroupHash(group);
      return [hash, queueOfMessageGroup(hash, 8)];
    });
    assert.deepEqual(known, [
      [4_943_293_480_684_128, 3],
      [3_553_809_021_583_364, 4],
      [5_215_108_630_615_419, 1],
    ]);
  });

  it("moves only to a queue that was added", () => {
    let moved = 0;
    for (let i = 0; i < 5_000; i++) {
      const hash = messageGroupHash(`group ${i}`);
      const [before, after] = [queueOfMessageGroup(hash, 4), queueOfMessageGroup(hash, 5)];
      if (before === after) continue;
      assert.equal(after, 4);
      moved++;
    }
    assert.ok(moved > 800 && moved < 1_200, `${moved} of 5000`);
  });
});
