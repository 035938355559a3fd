// Messages of a PRIORITY topic that have left memory, at a disk that takes long: lower priorities wait for the reads.
import assert from "node:assert/strict";
import type { GroupDraft } from "../metadata/index.ts";
import type { Delivered } from "./request.ts";
import { Gate, settle } from "./testkit/fake-clock.ts";
import { names, Scene, type TestReceive } from "./testkit/scene.ts";

const readMs = 50;

/** A scene whose cold reads take `readMs`, of records and of queues. */
async function open(group: Partial<GroupDraft> = {}): Promise<Scene> {
  const scene = await Scene.open({ topic: { readQueueNums: 1, messageType: "PRIORITY" }, group });
  const { store } = scene;
  const readCold = store.readCold.bind(store);
  store.readCold = async (places) => {
    await new Promise<void>((resolve) => scene.clock.after(readMs, resolve));
    return await readCold(places);
  };
  return scene;
}

/** What a receive gives that waits for reads; time passes meanwhile. */
async function receive(scene: Scene, options: TestReceive = {}): Promise<readonly Delivered[]> {
  const polled = scene.receive({ pollingMs: 10_000, invisibleMs: 60_000, ...options });
  const over = new AbortController();
  const end = (): void => over.abort();
  polled.then(end, end);
  while (!over.signal.aborted) await scene.clock.pass(readMs / 5);
  return await polled;
}

function send(scene: Scene, priority: number, count: number): void {
  for (let index = 0; index < count; index++) scene.store.sendQuietly("t", priority);
  scene.store.confirm();
}

/** The priorities of all that is given until nothing is left, in the order in which they come. */
async function drain(scene: Scene, count: number): Promise<readonly number[]> {
  const priorities: number[] = [];
  while (priorities.length < count) {
    const messages = await receive(scene, { countMax: 100 });
    assert.ok(messages.length > 0, `nothing comes after ${priorities.length}`);
    for (const message of messages) {
      priorities.push(message.queueId);
      scene.ack(message);
    }
  }
  return priorities;
}

describe("delivery by priority of what has left memory", () => {
  it("gives a whole backlog of a high priority before any of a low one that is in memory", async () => {
    const scene = await open();
    send(scene, 8, 1_300);
    scene.store.coolDown();
    send(scene, 1, 5);
    send(scene, 8, 20);
    const priorities = await drain(scene, 1_325);
    assert.equal(priorities.indexOf(1), 1_320);
    assert.ok(scene.store.coldReadCount > 2, "it was read at once");
  });

  it("gives backlogs of several priorities one after the other, all from files", async () => {
    const scene = await open();
    for (const priority of [3, 200, 7]) send(scene, priority, 600);
    scene.store.coolDown();
    send(scene, 1, 5);
    const priorities = await drain(scene, 1_805);
    assert.deepEqual(
      priorities,
      priorities.toSorted((a, b) => b - a),
    );
  });

  it("gives all that is due again of a high priority before what is new of a low one", async () => {
    const scene = await open();
    send(scene, 8, 100);
    const failed = await scene.receive({ countMax: 100 });
    scene.store.coolDown();
    for (const message of failed) scene.nack(message, 0);
    send(scene, 1, 5);
    const priorities = await drain(scene, 105);
    assert.equal(priorities.indexOf(1), 100);
  });

  it("gives nothing between what is due again and waits for its turn to be read, and what is read", async () => {
    const scene = await open();
    send(scene, 8, 1);
    send(scene, 5, 1);
    const [high, low] = await scene.receive();
    assert.ok(high !== undefined && low !== undefined);
    scene.store.coolDown();
    const gate = new Gate();
    scene.store.readGate = gate.opened;
    scene.nack(low, 0);
    const polled = scene.receive({ pollingMs: 10_000 });
    await settle();
    scene.nack(high, 0);
    send(scene, 6, 1);
    await scene.clock.pass(2 * readMs);
    gate.open();
    await scene.clock.pass(2 * readMs);
    assert.deepEqual(names(await polled), ["8:0", "6:0", "5:0"]);
  });

  it("gives no lower priority while it is looked up where the group starts in a higher one", async () => {
    const scene = await open({ consumeFrom: 1_800_000_000_000 });
    send(scene, 8, 1);
    send(scene, 1, 1);
    const queue = scene.store.queue("t", 8);
    assert.ok(queue !== undefined);
    const gate = new Gate();
    queue.offsetByTime = async () => {
      await gate.opened;
      return 0;
    };
    const polled = scene.receive({ pollingMs: 10_000 });
    await scene.clock.pass(1_000);
    gate.open();
    await scene.clock.pass(0);
    assert.deepEqual(names(await polled), ["8:0", "1:0"]);
  });
});
