import assert from "node:assert/strict";
import type { HeldEntry } from "../metadata/index.ts";
import { type RecordDraft, RecordType } from "../store/index.ts";
import { deferred } from "../store/testkit/open-store.ts";
import { HeldScene, heldMessage } from "./testkit/held-scene.ts";

const soonMs = 1_700_000_060_000;

/** The visible copy. */
function copyOf(text: string): RecordDraft {
  return heldMessage(text, { type: RecordType.deliveredTimer });
}

function ended(entry: HeldEntry): HeldEntry & { readonly next: undefined } {
  return { ...entry, next: undefined };
}

describe("held messages", () => {
  it("change together with what belongs to the change", async () => {
    const scene = await HeldScene.open();
    const entry = await scene.hold("a", soonMs);
    assert.ok(scene.held.claim(entry));
    const { answer, fate } = scene.held.commit([ended(entry)], [copyOf("a")]);
    await answer;
    assert.equal(await fate, undefined);
    assert.deepEqual([await scene.all(), await scene.queue()], [[], ["a"]]);
    await scene.restart(true);
    assert.deepEqual([await scene.all(), await scene.queue()], [[], ["a"]]);
    await scene.stop();
  });

  it("are claimed by one at a time, who finds them as the one before has left them", async () => {
    const scene = await HeldScene.open();
    const entry = await scene.hold("a", soonMs);
    const taken = await scene.held.take(entry);
    assert.deepEqual(taken, entry);
    assert.equal(scene.held.claim(entry), false);
    const second = scene.held.take(entry);
    const third = scene.held.take(entry);
    const next = { dueMs: soonMs, position: entry.position, size: entry.size, count: 1 };
    await scene.held.commit([{ ...entry, next }]).fate;
    assert.equal((await second)?.count, 1);
    await scene.held.commit([ended(entry)]).fate;
    assert.equal(await third, undefined);
    assert.ok(scene.held.claim(entry), "nobody claims what is not held");
    await scene.stop();
  });

  it("are what they were when the log refuses the change", async () => {
    const scene = await HeldScene.open();
    const entry = await scene.hold("a", soonMs);
    await scene.held.take(entry);
    const huge = { ...copyOf("a"), body: Buffer.alloc(70_000_000) };
    const { answer, fate } = scene.held.commit([ended(entry)], [huge]);
    await assert.rejects(answer, { code: "MESSAGE_BODY_TOO_LARGE" });
    assert.equal((await fate)?.code, "MESSAGE_BODY_TOO_LARGE");
    assert.deepEqual(await scene.held.take(entry), entry);
    await scene.stop();
  });

  it("stay claimed while the disk is late, until it has come", async () => {
    const scene = await HeldScene.open();
    const entry = await scene.hold("a", soonMs);
    await scene.held.take(entry);
    const gate = deferred();
    scene.disk.onOperation = (operation) =>
      operation.kind === "datasync" && operation.path.includes("commitlog")
        ? gate.promise
        : undefined;
    const { answer, fate } = scene.held.commit([ended(entry)], [copyOf("a")]);
    const refused = assert.rejects(answer, { code: "MASTER_PERSISTENCE_TIMEOUT" });
    await scene.pass(6_000, 100);
    await refused;
    assert.equal(scene.held.claim(entry), false, "its fate is not known");
    const other = assert.rejects(scene.held.take(entry), { code: "HA_NOT_AVAILABLE" });
    await scene.pass(6_000, 100);
    await other;
    gate.resolve();
    await scene.pass(200);
    assert.equal(await fate, undefined);
    assert.deepEqual([await scene.all(), await scene.queue()], [[], ["a"]]);
    await scene.stop();
  });

  it("are held still when a late change is taken back by a full disk", async () => {
    const scene = await HeldScene.open();
    const entry = await scene.hold("a", soonMs);
    await scene.held.take(entry);
    const gate = deferred();
    scene.disk.onOperation = (operation) =>
      operation.kind === "write" && operation.path.includes("commitlog") ? gate.promise : undefined;
    const { answer, fate } = scene.held.commit([ended(entry)], [copyOf("a")]);
    const refused = assert.rejects(answer, { code: "MASTER_PERSISTENCE_TIMEOUT" });
    await scene.pass(6_000, 100);
    await refused;
    scene.disk.capacityBytes = 1;
    gate.resolve();
    await scene.pass(500);
    assert.equal((await fate)?.code, "MASTER_PERSISTENCE_TIMEOUT");
    scene.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await scene.pass(2_000, 100);
    assert.deepEqual(await scene.held.take(entry), entry);
    await scene.held.commit([ended(entry)], [copyOf("a")]).fate;
    assert.deepEqual([await scene.all(), await scene.queue()], [[], ["a"]]);
    await scene.stop();
  });

  it("are refused at the disk's watermark, but may leave", async () => {
    const scene = await HeldScene.open({ diskSpaceWarningLevelRatio: 50 });
    const entry = await scene.hold("a", soonMs);
    scene.disk.capacityBytes = 40_000;
    await scene.store.append([{ ...copyOf("x"), body: Buffer.alloc(30_000) }]);
    await scene.store.clean();
    for (const type of [RecordType.delayedMessage, RecordType.halfMessage]) {
      const refused = scene.store.append([heldMessage("b", { type, dueMs: soonMs })]);
      await assert.rejects(refused, { code: "DISK_FULL" });
    }
    await scene.held.take(entry);
    assert.equal(await scene.held.commit([ended(entry)], [copyOf("a")]).fate, undefined);
    await scene.stop();
  });

  it("are gone, and their changes settled, when their topic is deleted meanwhile", async () => {
    const scene = await HeldScene.open();
    const entry = await scene.hold("a", soonMs);
    await scene.held.take(entry);
    const deleted = scene.state.metadata.deleteTopic("t");
    const { fate } = scene.held.commit([ended(entry)], [copyOf("a")]);
    await deleted;
    await scene.pass(100);
    assert.equal(await fate, undefined);
    assert.equal(await scene.held.take(entry), undefined);
    await scene.stop();
  });
});
