import assert from "node:assert/strict";
import { PollQueue, PollTable } from "./polls.ts";
import type { ReceiveRequest } from "./request.ts";
import { FakeClock, settle } from "./testkit/fake-clock.ts";
import { names, Scene, type TestReceive } from "./testkit/scene.ts";
import { Timeline } from "./timeline.ts";

const polling: TestReceive = { pollingMs: 20_000 };

describe("delivery: held long polls", () => {
  it("ends a poll when a message arrives", async () => {
    const scene = await Scene.open();
    const held = scene.receive(polling);
    await settle();
    assert.equal(scene.delivery.figures().heldPolls, 1);
    scene.store.send("t", 2);
    assert.deepEqual(names(await held), ["2:0"]);
    assert.equal(scene.delivery.figures().heldPolls, 0);
  });

  it("wakes who waits longest, one message each, and no one in vain", async () => {
    const scene = await Scene.open();
    const polls = [1, 2, 3, 4].map((n) =>
      scene.receive({ ...polling, countMax: 1, clientId: `${n}` }),
    );
    const got: number[] = [];
    polls.forEach((poll, index) => void poll.then((messages) => messages[0] && got.push(index)));
    await settle();
    scene.store.send("t", 0);
    await settle();
    assert.deepEqual(got, [0]);
    scene.store.sendQuietly("t", 0);
    scene.store.sendQuietly("t", 1);
    scene.store.confirm();
    await settle();
    assert.deepEqual(got, [0, 1, 2]);
    assert.equal(scene.delivery.figures().heldPolls, 1);
  });

  it("a receive does not overtake those that wait", async () => {
    const scene = await Scene.open();
    const held = scene.receive({ ...polling, clientId: "old" });
    await settle();
    scene.store.sendQuietly("t", 0);
    const late = scene.receive({ ...polling, clientId: "new" });
    scene.store.confirm();
    assert.deepEqual(names(await held), ["0:0"]);
    await scene.clock.pass(20_000);
    assert.deepEqual(await late, []);
  });

  it("ends empty at its deadline, with one timer for all", async () => {
    const scene = await Scene.open();
    let ended = 0;
    for (let i = 0; i < 100; i++) {
      void scene.receive({ ...polling, clientId: `c${i}` }).then(() => ended++);
    }
    await scene.clock.pass(19_999);
    assert.equal(ended, 0);
    assert.equal(scene.clock.timerCount, 1);
    await scene.clock.pass(1);
    assert.equal(ended, 100);
  });

  it("ends with its call, and gives it nothing", async () => {
    const scene = await Scene.open();
    const call = new AbortController();
    const held = scene.receive({ ...polling, signal: call.signal });
    await settle();
    call.abort();
    assert.deepEqual(await held, []);
    scene.store.send("t", 0);
    assert.deepEqual(names(await scene.receive()), ["0:0"]);
  });

  it("ends the polls of a closing client only", async () => {
    const scene = await Scene.open();
    const closing = scene.receive({ ...polling, clientId: "closing" });
    const other = scene.receive({ ...polling, clientId: "other" });
    await settle();
    scene.delivery.endPolls("closing");
    assert.deepEqual(await closing, []);
    scene.store.send("t", 0);
    assert.deepEqual(names(await other), ["0:0"]);
  });

  it("asks whether the client is gone right before it would be given messages", async () => {
    const scene = await Scene.open();
    let isGone = false;
    const closing = scene.receive({ ...polling, isClientGone: () => isGone });
    const other = scene.receive({ ...polling, clientId: "other" });
    await settle();
    isGone = true;
    scene.store.send("t", 0);
    assert.deepEqual(await closing, []);
    assert.deepEqual(names(await other), ["0:0"]);
    scene.store.send("t", 0);
    assert.deepEqual(await scene.receive({ ...polling, isClientGone: () => true }), []);
  });

  it("wakes for what becomes visible: time, nack, give-back, a client that goes", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    const [first] = await scene.receive({ invisibleMs: 15_000 });
    const byTime = scene.receive(polling);
    await scene.clock.pass(14_999);
    assert.equal(scene.delivery.figures().heldPolls, 1);
    await scene.clock.pass(1);
    const [second] = await byTime;
    assert.equal(second?.attempt, 2);

    const byNack = scene.receive(polling);
    await settle();
    assert.ok(first && second);
    scene.nack(second, 0);
    const third = await byNack;
    assert.equal(third[0]?.attempt, 3);

    const byGiveBack = scene.receive({ ...polling, autoRenew: true, clientId: "pusher" });
    await settle();
    scene.delivery.giveBack(third);
    assert.equal((await byGiveBack)[0]?.attempt, 3);

    const byGone = scene.receive(polling);
    await settle();
    scene.delivery.clientGone("pusher", "g");
    assert.equal((await byGone)[0]?.attempt, 4);
  });

  it("a nack sooner than what was due next wakes in time", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0);
    scene.store.send("t", 0);
    const [one] = await scene.receive({ invisibleMs: 15_000 });
    const held = scene.receive(polling);
    await settle();
    assert.ok(one);
    scene.nack(one, 2_000);
    await scene.clock.pass(2_000);
    assert.deepEqual(names(await held), ["0:0"]);
  });

  it("ends all polls and refuses new ones when delivery closes", async () => {
    const scene = await Scene.open();
    const held = scene.receive(polling);
    await settle();
    await scene.delivery.close();
    await scene.delivery.close();
    assert.deepEqual(await held, []);
    await assert.rejects(scene.receive(), /stopping/);
  });

  it("refuses more polls than it can hold", async () => {
    const table = new PollTable(new Timeline(new FakeClock()), 2);
    const queue = new PollQueue();
    const request = { clientId: "c1", signal: new AbortController().signal } as ReceiveRequest;
    const held = [table.hold(queue, request, 1_000), table.hold(queue, request, 1_000)];
    assert.throws(() => table.hold(queue, request, 1_000), /ask again later/);
    table.endOf("c1");
    await Promise.all(held);
    assert.equal(table.count, 0);
  });

  it("serves ten thousand polls on ten thousand queues without looking at all of them", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1_000 } });
    for (let i = 0; i < 10_000; i++) void scene.receive({ ...polling, countMax: 1 });
    await settle();
    const started = performance.now();
    for (let i = 0; i < 1_000; i++) scene.store.sendQuietly("t", i);
    scene.store.confirm();
    assert.ok(performance.now() - started < 1_000);
    assert.equal(scene.delivery.figures().heldPolls, 9_000);
    assert.equal(scene.delivery.counters.delivered, 1_000);
    scene.delivery.endPolls("c1");
  });
});
