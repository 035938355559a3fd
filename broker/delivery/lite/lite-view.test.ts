// What operators see of lite topics, beside what is consumed.
import assert from "node:assert/strict";
import { open, send, subscribe, sync } from "../testkit/lite-scene.ts";

describe("the view of lite topics", () => {
  it("counts lite topics, their messages, who subscribes and whose progress is kept", async () => {
    const scene = await open();
    const { view } = scene.delivery.lite;
    assert.deepEqual(view.counts(), { clients: 0, progress: 0 });
    assert.deepEqual(view.countsOf("t"), { topics: 0, messages: 0 });
    for (const name of ["a", "b", "a"]) send(scene, name);
    await subscribe(scene, "c1", "a", "b");
    await subscribe(scene, "c2", "a");
    await subscribe(scene, "c3");
    assert.deepEqual(view.countsOf("t"), { topics: 2, messages: 3 });
    assert.deepEqual(view.counts(), { clients: 2, progress: 2 });
    assert.deepEqual(view.countsOf("another"), { topics: 0, messages: 0 });
  });

  it("says where a lite topic is and who subscribes to it, no more of them than are wanted", async () => {
    const scene = await open();
    const { view } = scene.delivery.lite;
    for (const name of ["x", "a", "b", "a"]) send(scene, name);
    for (const client of ["c1", "c2", "c3"]) await subscribe(scene, client, "a");
    const place = { queueId: 0, minOffset: 1, endOffset: 4, count: 2 };
    assert.deepEqual(view.placesOf("t", "a"), [place]);
    assert.deepEqual(view.placesOf("t", "none"), []);
    const { count, some } = view.subscribersOf("t", "a", 2);
    assert.equal(count, 3);
    assert.deepEqual(
      some.map(({ group, clientId }) => `${clientId}@${group}`),
      ["c1@g", "c2@g"],
    );
    assert.deepEqual(view.subscribersOf("t", "b", 2), { count: 0, some: [] });
  });

  it("says what a client wants, until it goes", async () => {
    const scene = await open();
    const { view } = scene.delivery.lite;
    assert.equal(view.clientOf("t", "g", "c1"), undefined);
    await subscribe(scene, "c1", "b", "a");
    send(scene, "a");
    send(scene, "b");
    send(scene, "c");
    const [first] = await scene.receive({ countMax: 1 });
    assert(first !== undefined);
    const seen = { names: ["a", "b"], lag: 2, pollCount: 0 };
    assert.deepEqual(view.clientOf("t", "g", "c1"), seen);
    scene.ack(first);
    assert.deepEqual(view.clientOf("t", "g", "c1"), { ...seen, lag: 1 });
    await sync(scene, { change: "leave" });
    assert.equal(view.clientOf("t", "g", "c1"), undefined);
  });

  it("says how far a group is in one lite topic", async () => {
    const scene = await open();
    const { view } = scene.delivery.lite;
    await subscribe(scene, "c1", "a");
    for (const name of ["a", "b", "a", "a"]) send(scene, name);
    const [first] = await scene.receive({ countMax: 2 });
    assert(first !== undefined);
    const before = { queueId: 0, endOffset: 4, nextOffset: 3, pending: 2, lag: 3, oldestOffset: 0 };
    assert.deepEqual(view.standingsOf("t", "g", "a"), [before]);
    scene.ack(first);
    const after = { ...before, pending: 1, lag: 2, oldestOffset: 2 };
    assert.deepEqual(view.standingsOf("t", "g", "a"), [after]);
    for (const message of await scene.receive()) scene.ack(message);
    assert.deepEqual(view.standingsOf("t", "g", "none"), []);
    assert.deepEqual(view.standingsOf("t", "nobody", "a"), []);
  });

  it("finds where a group is farthest behind, as many as are wanted", async () => {
    const scene = await open();
    const { view } = scene.delivery.lite;
    await subscribe(scene, "c1", "c");
    for (const name of ["a", "b", "b", "c", "c", "c", "d"]) send(scene, name);
    const [first] = await scene.receive({ countMax: 1 });
    assert(first !== undefined);
    const { lag, pending, ...lists } = await view.lagOf("t", "g", 3);
    assert.deepEqual([lag, pending], [7, 1]);
    assert.deepEqual(
      lists.byLag.map((one) => [one.oldestOffset, one.lag]),
      [
        [3, 3],
        [1, 2],
        [0, 1],
      ],
    );
    assert.deepEqual(
      lists.byAge.map((list) => list.map(({ oldestOffset }) => oldestOffset)),
      [[0, 1, 3]],
    );
    const { lag: laneLag, pendingCount } = scene.delivery.progress("g")[0] ?? {};
    assert.deepEqual([laneLag, pendingCount], [6, 1]);
    const none = { lag: 0, pending: 0, byLag: [], byAge: [] };
    assert.deepEqual(await view.lagOf("t", "nobody", 3), none);
  });

  it("looks through many lite topics for the few that are shown", async () => {
    const scene = await open();
    const { view } = scene.delivery.lite;
    await subscribe(scene, "c1", "busy");
    for (let index = 0; index < 20_000; index++) send(scene, `lite ${index}`);
    for (let index = 0; index < 3; index++) send(scene, "busy");
    const { lag, byLag, byAge } = await view.lagOf("t", "g", 10);
    assert.equal(lag, 20_003);
    assert.equal(byLag.length, 10);
    assert.deepEqual([byLag[0]?.oldestOffset, byLag[0]?.lag], [20_000, 3]);
    assert.deepEqual(
      byAge[0]?.map(({ oldestOffset }) => oldestOffset),
      Array.from({ length: 10 }, (_unused, index) => index),
    );
  });
});
