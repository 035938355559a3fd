// Retention and held messages: the log loses its head, and no held message with it.
import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import type { HeldEntry } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type StoreOptions } from "../store/index.ts";
import { draft, scanAll } from "../store/testkit/open-store.ts";
import { SimulatedDisk } from "../store/testkit/simulated-disk.ts";
import { carryHeld } from "./carry.ts";
import { HeldScene, heldMessage } from "./testkit/held-scene.ts";

const hourMs = 3_600_000;
const yearMs = 8_760 * hourMs;
const options: Partial<StoreOptions> = {
  mappedFileSizeCommitLog: 4_096,
  tailCacheSizeBytes: 1,
  fileReservedTimeHours: 1,
  deleteWhenHours: Array.from({ length: 24 }, (_, hour) => hour),
  diskMaxUsedSpaceRatio: 100,
  diskSpaceCleanForciblyRatio: 100,
  diskSpaceWarningLevelRatio: 100,
  diskFreeSpaceMinBytes: 0,
};

/** Appends until several segments lie behind what there is. */
async function fill(scene: HeldScene): Promise<void> {
  for (let index = 0; index < 12; index++) {
    await scene.store.append([draft(`filler ${index} `.repeat(100))]);
  }
}

/** Holds messages of both kinds, and lets them become older than what is kept. */
async function holdOld(scene: HeldScene, count: number): Promise<HeldEntry[]> {
  const held: HeldEntry[] = [];
  for (let index = 0; index < count; index++) {
    const type = index % 3 === 2 ? RecordType.halfMessage : RecordType.delayedMessage;
    const given: Partial<RecordDraft> = {
      type,
      flags: index % 2,
      queueId: index,
      systemProperties: Buffer.from(`system ${index}`),
      userProperties: Buffer.from(`user ${index}`),
      tagHash: index,
      messageGroupHash: index * 2,
    };
    held.push(await scene.hold(`held ${index}`, scene.clock.now() + yearMs + index, given));
  }
  await fill(scene);
  scene.clock.elapse(2 * hourMs);
  await fill(scene);
  return held;
}

async function textsOf(scene: HeldScene): Promise<string[]> {
  const texts: string[] = [];
  for (const entry of await scene.all()) texts.push((await scene.textOf(entry)) ?? "gone");
  return texts.sort();
}

const expected = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `held ${index}`).sort();

describe("held messages and retention", () => {
  it("are carried on before their segment goes, with all that they are", async () => {
    const scene = await HeldScene.open(options);
    const before = await holdOld(scene, 6);
    const { start } = scene.store;
    await scene.store.clean();
    assert.ok(scene.store.start > Math.max(...before.map(({ id }) => id)), "nothing has expired");
    assert.ok(scene.store.start > start);
    assert.deepEqual(await textsOf(scene), expected(6));
    for (const old of before) {
      const entry = (await scene.all()).find(({ id }) => id === old.id);
      assert.ok(entry !== undefined && entry.position >= scene.store.start);
      assert.deepEqual({ ...entry, position: 0 }, { ...old, position: 0 });
      const [record] = await scene.store.readCold([entry]);
      const index = before.indexOf(old);
      assert.deepEqual(
        [record?.flags, record?.queueId, record?.tagHash, record?.messageGroupHash, record?.dueMs],
        [index % 2, index, index, index * 2, old.dueMs],
      );
      assert.equal(Buffer.from(record?.systemProperties ?? []).toString(), `system ${index}`);
      assert.equal(Buffer.from(record?.userProperties ?? []).toString(), `user ${index}`);
    }
    await scene.stop();
  });

  it("come back from what is left of the log alone, again and again", async () => {
    const scene = await HeldScene.open(options);
    await holdOld(scene, 6);
    for (let round = 0; round < 4; round++) {
      await scene.store.clean();
      await scene.restart(true);
      assert.deepEqual(await textsOf(scene), expected(6), `round ${round}`);
      assert.equal(scene.state.held.count("timer"), 4);
      await fill(scene);
      scene.clock.elapse(2 * hourMs);
      await fill(scene);
    }
    assert.deepEqual(scene.logger.lines, []);
    await scene.stop();
  });

  it("are all there when the process is killed at any step of it", async function () {
    this.timeout(60_000);
    for (let step = 0; ; step++) {
      const disk = new SimulatedDisk();
      const scene = await HeldScene.open(options, disk);
      await holdOld(scene, 5);
      let left = step;
      let isOver = false;
      disk.onOperation = ({ kind }) => {
        if (kind === "read" || kind === "list") return undefined;
        if (left-- > 0) return undefined;
        isOver = true;
        return new Promise(() => {});
      };
      const cleaning = scene.store.clean();
      await Promise.race([cleaning, scene.until(() => isOver)]);
      for (const loses of [false, true]) {
        const next = await (await scene.killed(loses)).started();
        assert.deepEqual(await textsOf(next), expected(5), `killed at step ${step}`);
        next.held.close();
      }
      if (!isOver) break;
    }
  });

  it("keep their segment when one of them cannot be read", async () => {
    const scene = await HeldScene.open(options);
    const [first] = await holdOld(scene, 3);
    assert.ok(first !== undefined);
    const { start } = scene.store;
    await scene.stop();
    const path = scene.disk
      .paths()
      .find((name) => name.endsWith("/commitlog/00000000000000000000"));
    assert.ok(path !== undefined);
    const bytes = scene.disk.bytesOf(path);
    bytes.fill(0xee, first.position + first.size - 9, first.position + first.size);
    scene.disk.put(path, bytes);
    // Only the end of the log is verified at a start.
    Object.assign(scene.options, { verifySizeBytes: 1 });
    await scene.start();
    await scene.store.clean();
    assert.equal(scene.store.start, start);
    assert.match(scene.logger.lines[0]?.message ?? "", /expired segments are kept/);
    assert.match(String(scene.logger.lines[0]?.fields["reason"]), /a held message cannot be read/);
    await scene.stop();
  });

  it("wait for whoever is changing one of them", async () => {
    const scene = await HeldScene.open(options);
    const [first, second] = await holdOld(scene, 2);
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(scene.held.claim(first) && scene.held.claim(second));
    let isCarried = false;
    const below = scene.store.end;
    const carrying = carryHeld(scene.held, below).then(() => (isCarried = true));
    await scene.pass(200);
    assert.equal(isCarried, false);
    await scene.held.commit([{ ...first, next: undefined }]).fate;
    // Given up unchanged: it has to be carried.
    scene.held.free(second);
    await carrying;
    const [kept, ...others] = await scene.all();
    assert.deepEqual([kept?.id, others.length], [second.id, 0]);
    assert.ok((kept?.position ?? 0) >= below);
    await scene.stop();
  });

  it("do not come back when they leave while others are carried", async () => {
    const scene = await HeldScene.open(options);
    const held = await holdOld(scene, 9);
    const carrying = carryHeld(scene.held, scene.store.end);
    for (const entry of held) {
      const taken = await scene.held.take(entry);
      if (taken !== undefined) await scene.held.commit([{ ...taken, next: undefined }]).fate;
    }
    await carrying;
    assert.deepEqual(await scene.all(), []);
    await scene.restart(true);
    assert.deepEqual(await scene.all(), []);
    await scene.stop();
  });

  it("do not come back when they left before their group came up", async () => {
    const scene = await HeldScene.open(options);
    const count = limits.heldGroupCountMax + 5;
    const dueMs = scene.clock.now() + yearMs;
    const drafts = Array.from({ length: count }, () => heldMessage("x", { dueMs }));
    await scene.store.append(drafts);
    const last = (await scene.all()).slice(-3);
    const carrying = carryHeld(scene.held, scene.store.end);
    for (const entry of last) {
      assert.ok(scene.held.claim(entry));
      await scene.held.commit([{ ...entry, next: undefined }]).fate;
    }
    await carrying;
    assert.equal((await scene.all()).length, count - 3);
    await scene.restart(true);
    assert.equal((await scene.all()).length, count - 3);
    await scene.stop();
  });

  it("are not looked at when none of them is old", async () => {
    const scene = await HeldScene.open(options);
    await holdOld(scene, 3);
    await scene.store.clean();
    await fill(scene);
    const { end } = scene.store;
    const scan = scene.state.held.scan.bind(scene.state.held);
    let scans = 0;
    scene.state.held.scan = () => {
      scans += 1;
      return scan();
    };
    await carryHeld(scene.held, scene.store.start);
    assert.equal(scans, 0);
    await carryHeld(scene.held, end);
    assert.equal(scans, 1);
    await scene.stop();
  });

  it("go in groups of bounded size", async () => {
    const scene = await HeldScene.open({ ...options, mappedFileSizeCommitLog: 400_000 });
    for (let index = 0; index < 6; index++) {
      await scene.hold("x".repeat(300_000), scene.clock.now() + yearMs);
    }
    await carryHeld(scene.held, scene.store.end);
    const records = await scanAll(scene.store);
    const groups = records.filter(({ type }) => type === RecordType.held);
    assert.equal(groups.length, 2);
    assert.equal(records.filter(({ type }) => type === RecordType.carriedMessage).length, 6);
    await scene.stop();
  });
});
