// Lite topics in delivery: who gets what, in which order, from where, and what a restart leaves.
import assert from "node:assert/strict";
import { limits } from "../../../base/index.ts";
import { messageGroupHash } from "../order/message-group-hash.ts";
import { settle } from "../testkit/fake-clock.ts";
import {
  ackAll,
  bodies,
  open,
  poll,
  send,
  subscribe,
  sync,
  textOf,
} from "../testkit/lite-scene.ts";

describe("lite topics", () => {
  it("gives a client the lite topics that it subscribes to, and no others", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    for (const name of ["a", "x", "b", "x", "a"]) send(scene, name);
    assert.deepEqual(await bodies(scene), ["a0", "a4", "b2"]);
  });

  it("gives nothing to a client without subscriptions", async () => {
    const scene = await open();
    send(scene, "a");
    assert.deepEqual(await bodies(scene), []);
  });

  it("gives what was sent before the client subscribed", async () => {
    const scene = await open();
    send(scene, "a");
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await bodies(scene), ["a0"]);
  });

  it("wakes the poll of a client that subscribes to what comes, and no other", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    await subscribe(scene, "c2", "b");
    const [one, two] = [poll(scene, "c1"), poll(scene, "c2")];
    await settle();
    send(scene, "b");
    assert.deepEqual(textOf(await two), ["b0"]);
    send(scene, "a");
    assert.deepEqual(textOf(await one), ["a1"]);
  });

  it("keeps a lite topic back until what is out of it is done, while others go on", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    await subscribe(scene, "c2", "a", "b");
    send(scene, "a");
    const [first] = await scene.receive({ clientId: "c1", countMax: 1 });
    assert(first !== undefined);
    send(scene, "a");
    send(scene, "b");
    assert.deepEqual(await bodies(scene, "c2"), ["b2"]);
    const waiting = poll(scene, "c2");
    await settle();
    scene.ack(first);
    assert.deepEqual(textOf(await waiting), ["a1"]);
  });

  it("gives what failed again before what comes behind it", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    send(scene, "a");
    send(scene, "a");
    const [first] = await scene.receive({ countMax: 1 });
    assert(first !== undefined);
    scene.nack(first, 5_000);
    assert.deepEqual(await bodies(scene), []);
    await scene.clock.pass(5_000);
    const again = await scene.receive();
    assert.deepEqual(textOf(again), ["a0", "a1"]);
    assert.deepEqual(
      again.map(({ attempt }) => attempt),
      [2, 1],
    );
  });

  it("does not count an attempt that was suspended", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    send(scene, "a");
    const [first] = await scene.receive();
    assert(first !== undefined);
    const wish = { group: "g", topic: "t", receiptHandle: first.receiptHandle };
    scene.delivery.changeInvisible({ ...wish, invisibleMs: 1_000, isSuspended: true });
    await scene.clock.pass(1_000);
    const [again] = await scene.receive();
    assert.equal(again?.attempt, 1);
  });

  it("moves a message to the dead letters after its last attempt, and goes on", async () => {
    const scene = await open({ group: { retryMaxTimes: 0 } });
    await subscribe(scene, "c1", "a");
    send(scene, "a");
    send(scene, "a");
    const [first] = await scene.receive({ countMax: 1 });
    assert(first !== undefined);
    scene.nack(first, 0);
    const next = await poll(scene, "c1");
    assert.deepEqual(textOf(next), ["a1"]);
    assert.equal(scene.store.queue("%DLQ%g", 0)?.items.length, 1);
  });

  it("stops giving what a client has unsubscribed from, and goes on where it was", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    send(scene, "a");
    await ackAll(scene);
    await sync(scene, { change: "remove", names: ["a"] });
    send(scene, "a");
    assert.deepEqual(await bodies(scene), []);
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await bodies(scene), ["a1"]);
  });

  it("refuses a group at its bound of pending messages what it has more, as long as it waits", async () => {
    const scene = await open({ pendingMax: 2 });
    await subscribe(scene, "c1", "a", "b");
    await subscribe(scene, "c2", "c");
    for (const name of ["a", "a", "b"]) send(scene, name);
    const [first, second] = await scene.receive();
    assert(first !== undefined && second !== undefined);
    const refusal = { code: "TOO_MANY_REQUESTS", message: /2 messages of one queue of topic "t"/ };
    await assert.rejects(scene.receive(), refusal);
    assert.equal(scene.delivery.refusedCount, 1);
    assert.equal(scene.delivery.counters.pendingFull, 1);
    assert.equal(scene.delivery.figures().fullLanes, 1);
    // Another client of the group wants nothing that is there.
    assert.deepEqual(await bodies(scene, "c2"), []);
    // A held poll waits for its time first: that is the back-off.
    const refused = assert.rejects(poll(scene, "c1"), refusal);
    await scene.clock.pass(19_999);
    assert.equal(scene.delivery.refusedCount, 1);
    await scene.clock.pass(1);
    await refused;
    const held = poll(scene, "c1");
    await settle();
    scene.ack(first);
    assert.deepEqual(textOf(await held), ["b2"]);
    // What is out comes again also at the bound.
    scene.nack(second, 0);
    assert.deepEqual(await bodies(scene), ["a1"]);
    scene.nack(second, 0);
    assert.deepEqual(await bodies(scene), []);
  });

  it("goes on when another group has made room in the whole broker", async () => {
    const few = limits.pendingPerGroupMin;
    const scene = await open({ pendingTotalMax: few + 1 });
    await scene.metadata.updateTopic({ name: "u", readQueueNums: 1 });
    await scene.metadata.updateGroup({ name: "h" });
    scene.store.send("u", 0);
    const [other] = await scene.receive({ group: "h", topic: "u" });
    assert(other !== undefined);
    await subscribe(scene, "c1", "a", "b", "c", "d", "e");
    for (let index = 0; index < few; index++) send(scene, ["a", "b", "c", "d"][index % 4] ?? "");
    // Each takes a whole lite topic.
    for (let index = 0; index < 4; index++) await scene.receive({ countMax: few / 4 });
    assert.equal(scene.delivery.pendingBound.count, few + 1);
    send(scene, "e");
    const refusal = { code: "TOO_MANY_REQUESTS", message: /popInflightTotalThreshold/ };
    await assert.rejects(scene.receive(), refusal);
    const held = poll(scene, "c1");
    await settle();
    assert.equal(scene.ack(other, "h", "u"), "ok");
    await scene.clock.pass(limits.pendingRoomLookMs);
    assert.deepEqual(textOf(await held), [`e${few}`]);
  });

  it("replaces the whole set of a client", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    await sync(scene, { change: "set", names: ["b"] });
    send(scene, "a");
    send(scene, "b");
    assert.deepEqual(await bodies(scene), ["b1"]);
  });

  it("forgets a client that is gone", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    assert.equal(scene.delivery.lite.state.subscriptions, 2);
    scene.delivery.clientGone("c1", "g");
    assert.equal(scene.delivery.lite.state.subscriptions, 0);
    send(scene, "a");
    assert.deepEqual(await bodies(scene), []);
  });

  it("takes an exclusive lite topic from the client that had it, and tells", async () => {
    const scene = await open();
    await sync(scene, { names: ["a"], isExclusive: true });
    const losses = await sync(scene, { clientId: "c2", names: ["a"], isExclusive: true });
    assert.deepEqual(losses, [{ clientId: "c1", name: "a" }]);
    // The first one has not heard of it yet: its whole set takes nothing back.
    const told = await sync(scene, { change: "set", names: ["a"], isExclusive: true });
    assert.deepEqual(told, [{ clientId: "c1", name: "a" }]);
    send(scene, "a");
    assert.deepEqual(await bodies(scene, "c1"), []);
    assert.deepEqual(await bodies(scene, "c2"), ["a0"]);
  });

  it("refuses more lite topics than a client may subscribe to, and changes nothing then", async () => {
    const scene = await open();
    await sync(scene, { names: ["a"], clientMax: 2 });
    const more = sync(scene, { names: ["b", "c"], clientMax: 2 });
    await assert.rejects(more, { code: "LITE_SUBSCRIPTION_QUOTA_EXCEEDED" });
    await assert.rejects(sync(scene, { clientId: "c2", names: ["b", "c"], countMax: 2 }), {
      code: "LITE_SUBSCRIPTION_QUOTA_EXCEEDED",
    });
    assert.equal(scene.delivery.lite.state.subscriptions, 1);
  });

  it("ignores a set that is older than the one it has", async () => {
    const scene = await open();
    await sync(scene, { names: ["a"], version: 2 });
    await sync(scene, { change: "set", names: [], version: 1 });
    send(scene, "a");
    assert.deepEqual(await bodies(scene), ["a0"]);
  });

  for (const { start, expected } of [
    { start: { from: "first" }, expected: ["a0", "a1", "a2"] },
    { start: { from: "end" }, expected: [] },
    { start: { from: "tail", value: 2 }, expected: ["a1", "a2"] },
    { start: { from: "offset", value: 2 }, expected: ["a2"] },
    { start: { from: "time", value: 1_800_000_002_000 }, expected: ["a2"] },
  ] as const) {
    it(`starts a lite topic anew from ${start.from}, also after a restart`, async () => {
      const scene = await open();
      await subscribe(scene, "c1", "a");
      for (let count = 0; count < 3; count++) {
        send(scene, "a");
        await scene.clock.pass(1_000);
      }
      await ackAll(scene);
      await sync(scene, { names: ["a"], start });
      await scene.crash();
      await subscribe(scene, "c1", "a");
      assert.deepEqual(await bodies(scene), [...expected]);
      send(scene, "a");
      if (expected.length === 0) assert.deepEqual(await bodies(scene), ["a3"]);
    });
  }

  it("does not take the handle of a delivery before a start anew", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    send(scene, "a");
    const [first] = await scene.receive();
    assert(first !== undefined);
    await sync(scene, { names: ["a"], start: { from: "first" } });
    assert.equal(scene.ack(first), "invalid");
    assert.deepEqual(await bodies(scene), ["a0"]);
    assert.equal(scene.ack(first), "invalid");
  });

  it("takes a repeated acknowledgement", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    send(scene, "x");
    send(scene, "a");
    const [first] = await scene.receive();
    assert(first !== undefined);
    assert.equal(scene.ack(first), "ok");
    assert.equal(scene.ack(first), "ok");
  });

  it("knows after a crash how far each lite topic was handed out", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b", "c");
    for (const name of ["x", "a", "b", "a", "c", "c"]) send(scene, name);
    const all = await scene.receive();
    assert.deepEqual(textOf(all), ["a1", "a3", "b2", "c4", "c5"]);
    for (const message of all) if (message.record.body.toString() !== "c4") scene.ack(message);
    await scene.clock.pass(100);
    await scene.crash();
    await subscribe(scene, "c1", "a", "b", "c", "x");
    assert.deepEqual(await bodies(scene), ["x0"]);
    await scene.clock.pass(29_900);
    assert.deepEqual(await bodies(scene), ["c4"]);
  });

  it("lets idle lite topics go, so that they stay away after a restart and what else waits does not", async () => {
    const scene = await open({ topic: { attributes: { "lite.topic.expiration": "10" } } });
    for (const name of ["idle", "busy", "idle", "had"]) send(scene, name);
    await subscribe(scene, "c1", "had");
    await ackAll(scene);
    await scene.clock.pass(9 * 60_000);
    send(scene, "busy");
    assert.equal(scene.delivery.lite.state.topics, 3);
    await scene.clock.pass(2 * 60_000);
    assert.equal(scene.delivery.lite.state.topics, 1);
    assert.equal(scene.delivery.lite.state.expired, 2);
    for (const name of ["idle", "had"]) send(scene, name);
    await scene.crash();
    await subscribe(scene, "c1", "idle", "busy", "had");
    const rest = await bodies(scene);
    assert.deepEqual(rest.toSorted(), ["busy1", "busy4", "had6", "idle5"]);
  });

  it("gives what is out of a lite topic that is gone again, to who subscribes to it later", async () => {
    const scene = await open({ topic: { attributes: { "lite.topic.expiration": "1" } } });
    send(scene, "a");
    await subscribe(scene, "c1", "a");
    assert.deepEqual(await bodies(scene), ["a0"]);
    scene.delivery.clientGone("c1");
    await scene.clock.pass(2 * 60_000);
    assert.equal(scene.delivery.lite.state.topics, 0);
    assert.deepEqual(await bodies(scene, "c2"), []);
    await subscribe(scene, "c2", "a");
    assert.deepEqual(await bodies(scene, "c2"), ["a0"]);
  });

  it("keeps no word of lite topics that have been consumed", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    for (const name of ["a", "b", "a"]) send(scene, name);
    await ackAll(scene);
    await scene.clock.pass(60_000);
    assert.equal(scene.delivery.progress("g")[0]?.cursor, 3);
    const last = scene.store.progress.flat().at(-1);
    assert.deepEqual(last?.removals.toSorted(), [1, 2]);
    await scene.crash();
    await subscribe(scene, "c1", "a", "b");
    assert.deepEqual(await bodies(scene), []);
  });

  it("refuses new lite topics at the bound, and all messages when too many places are kept", async () => {
    const scene = await open();
    send(scene, "a");
    const { topics } = scene.delivery.lite;
    const place = { topic: "t", queueId: 0 };
    topics.admit(place, "a", 1);
    topics.admit(place, "b", 2);
    const refusal = { code: "LITE_TOPIC_QUOTA_EXCEEDED", message: /maxLmqConsumeQueueNum/ };
    assert.throws(() => topics.admit(place, "b", 1), refusal);
    topics.figures.offsets = limits.liteOffsetsMax;
    assert.throws(() => topics.admit(place, "a", 1), { code: "TOO_MANY_REQUESTS" });
  });

  it("forgets the places of what all groups have had when many are kept", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    for (const name of ["a", "a", "x", "a"]) send(scene, name);
    await ackAll(scene);
    await scene.clock.pass(60_000);
    const { figures } = scene.delivery.lite.topics;
    assert.equal(figures.offsets, 4);
    figures.offsets += limits.liteOffsetsMax / 2;
    await scene.clock.pass(60_000);
    assert.equal(figures.offsets - limits.liteOffsetsMax / 2, 2);
    await sync(scene, { names: ["a"], start: { from: "first" } });
    await subscribe(scene, "c1", "x");
    assert.deepEqual((await bodies(scene)).toSorted(), ["a3", "x2"]);
  });

  it("forgets what has expired from the log", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    for (const name of ["a", "b", "a"]) send(scene, name);
    const queue = scene.store.queue("t", 0);
    assert(queue !== undefined);
    scene.store.expire(queue, 2);
    await scene.clock.pass(60_000);
    assert.equal(scene.delivery.lite.state.topics, 1);
    assert.deepEqual(await bodies(scene), ["a2"]);
  });

  it("ends the polls and forgets the subscriptions of a topic that is deleted", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    const waiting = poll(scene, "c1");
    await settle();
    await scene.metadata.deleteTopic("t");
    await assert.rejects(waiting, { code: "TOPIC_NOT_FOUND" });
    assert.deepEqual(scene.delivery.lite.state.subscriptions, 0);
    assert.deepEqual(scene.delivery.lite.state.topics, 0);
  });

  it("gives a message again in its place, before what follows, when an operator says so", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    for (const name of ["a", "a", "a"]) send(scene, name);
    const [first] = await scene.receive({ countMax: 1 });
    assert(first !== undefined);
    const { tracking } = scene.delivery;
    const place = (queueOffset: number) => ({ topic: "t", queueId: 0, queueOffset });
    const again = (offset: number): string =>
      tracking.giveAgain("g", place(offset), messageGroupHash("a"));
    assert.equal(again(0), "not done");
    scene.ack(first);
    assert.equal(tracking.standings(place(0)).get("g")?.kind, "done");
    assert.equal(tracking.standings(place(1)).get("g")?.kind, "waiting");
    assert.equal(again(0), "given");
    assert.deepEqual(await bodies(scene), ["a0", "a1", "a2"]);
  });

  it("counts what waits of all lite topics as lag", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a");
    for (const name of ["a", "x", "a", "y"]) send(scene, name);
    await ackAll(scene);
    assert.equal(scene.delivery.progress("g")[0]?.lag, 2);
  });

  it("goes on where an operator has set the group's offset", async () => {
    const scene = await open();
    await subscribe(scene, "c1", "a", "b");
    for (const name of ["a", "b", "a"]) send(scene, name);
    await ackAll(scene);
    await scene.delivery.offsets.reset([
      { place: { group: "g", topic: "t", queueId: 0 }, offset: 1 },
    ]);
    assert.deepEqual((await bodies(scene)).toSorted(), ["a2", "b1"]);
  });
});
