// The power goes at every single disk operation of a run, with every fate of what was not synced:
// acknowledged messages are there, in order, groups are whole, and the store goes on.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { position } from "../../base/index.ts";
import type { Store } from "../../broker/store/index.ts";
import {
  beginStore,
  draft,
  openStore,
  readQueue,
  send,
  until,
} from "../../broker/store/testkit/open-store.ts";
import { seededRandom } from "../../broker/store/testkit/seeded-random.ts";
import {
  SimulatedDisk,
  systemError,
  type UnsyncedFate,
} from "../../broker/store/testkit/simulated-disk.ts";

const fates: readonly UnsyncedFate[] = ["lost", "kept", "random", "garbled"];

const small = { mappedFileSizeCommitLog: 1_500, queueFileEntries: 8 };

/** Groups in the order they were appended; texts are `group/member`. */
interface Model {
  readonly groups: string[][];
  /** Groups acknowledged, a count from the front. */
  acked: number;
}

/** Runs one life of a store until the power goes; appends what the model gets. */
async function live(disk: SimulatedDisk, model: Model, flush: "SYNC" | "ASYNC"): Promise<void> {
  const store = await beginStore(disk, { ...small, flushDiskType: `${flush}_FLUSH` });
  for (let round = 0; round < 4; round += 1) {
    const sending: Promise<void>[] = [];
    for (let count = 0; count < 3; count += 1) sending.push(sendGroup(store, model, count + 1));
    await Promise.all(sending);
    if (flush === "ASYNC") {
      const acked = model.groups.length;
      await store.flushTo(store.end);
      model.acked = acked;
    }
    if (round === 1) await store.checkpoint();
  }
  await store.close();
}

async function sendGroup(store: Store, model: Model, size: number): Promise<void> {
  const number = model.groups.length;
  const texts = Array.from({ length: size }, (_, index) => `${number}/${index}`);
  model.groups.push(texts);
  await store.append(texts.map((text) => draft(text.padEnd(40 * size, "."))));
  // Answers come in log order, so that a count is enough. Flushing decides for ASYNC_FLUSH.
  if (store.flushed === store.confirmed) model.acked = Math.max(model.acked, number + 1);
}

/** Starts again and compares; groups that were lost are forgotten, as their senders would send again. */
async function compare(disk: SimulatedDisk, model: Model, where: string): Promise<void> {
  const store = await openStore(disk, small);
  const found = (await readQueue(store)).map((text) => text.replace(/\.+$/, ""));
  await store.close();
  const whole = [];
  for (const group of model.groups) {
    if (whole.length + group.length > found.length) break;
    whole.push(...group);
  }
  assert.deepEqual(found, whole, `${where}: what is there is a prefix of whole groups`);
  const acked = model.groups.slice(0, model.acked).flat();
  assert.ok(found.length >= acked.length, `${where}: ${acked.length} acked, ${found.length} found`);
  while (model.groups.flat().length > found.length) model.groups.pop();
}

/** Cuts the power at operation `at` of a run; false when the run has ended before. */
async function cutAt(
  disk: SimulatedDisk,
  at: number,
  run: () => Promise<void>,
  cut: () => void,
): Promise<boolean> {
  let count = 0;
  let isCut = false;
  disk.onOperation = () => {
    count += 1;
    if (count !== at) return;
    isCut = true;
    cut();
  };
  let isDone = false;
  run().then(
    () => {
      isDone = true;
      return true;
    },
    () => {
      isDone = true;
    },
  );
  await until(() => isDone || isCut);
  disk.onOperation = undefined;
  return isCut;
}

describe("crash: power cut at every operation", () => {
  for (const flush of ["SYNC", "ASYNC"] as const) {
    for (const fate of fates) {
      it(`${flush}_FLUSH, unsynced sectors ${fate}`, async () => {
        for (let at = 1; ; at += 1) {
          const disk = new SimulatedDisk();
          const model: Model = { groups: [], acked: 0 };
          const random = seededRandom(at);
          const isCut = await cutAt(
            disk,
            at,
            () => live(disk, model, flush),
            () => disk.cutPower(fate, random),
          );
          await compare(disk, model, `cut at operation ${at}`);
          if (!isCut) break;
        }
      }).timeout(60_000);
    }
  }

  it("several lives, kills and power cuts in a row, recovery included", async () => {
    const lives = fc.array(
      fc.record({
        at: fc.integer({ min: 1, max: 120 }),
        fate: fc.constantFrom<UnsyncedFate | "killed">(...fates, "killed"),
        seed: fc.nat(),
      }),
      { minLength: 2, maxLength: 6 },
    );
    await fc.assert(
      fc.asyncProperty(lives, async (given) => {
        const disk = new SimulatedDisk();
        const model: Model = { groups: [], acked: 0 };
        for (const { at, fate, seed } of given) {
          await cutAt(
            disk,
            at,
            () => live(disk, model, "SYNC"),
            () => (fate === "killed" ? disk.kill() : disk.cutPower(fate, seededRandom(seed))),
          );
          await compare(disk, model, `life ending at ${at}, ${fate}`);
          model.acked = model.groups.length;
        }
      }),
      { numRuns: 60 },
    );
  }).timeout(60_000);

  it("does not take bytes for flushed whose flush had failed before the restart", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    const unflushed = "in the cache only".padEnd(2_000);
    await send(store, "flushed");
    const log = `/data/commitlog/${"0".repeat(20)}`;
    disk.onOperation = ({ kind, path }) => {
      if (kind === "datasync" && path === log) throw systemError("EIO", "flush failed");
    };
    await assert.rejects(send(store, unflushed), /flush failed/);
    disk.forgetUnsynced(log);
    disk.kill();
    const again = await beginStore(disk);
    await send(again, "acknowledged later");
    assert.deepEqual(await readQueue(again), ["flushed", unflushed, "acknowledged later"]);
    disk.cutPower("lost", seededRandom(1));
    const last = await openStore(disk);
    assert.deepEqual(await readQueue(last), ["flushed", unflushed, "acknowledged later"]);
    await last.close();
  });

  it("keeps what a new file holds whose process had died before the file was durable by name", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, small);
    await send(store, "in the first file".padEnd(1_000));
    await new Promise<void>((resolve) => {
      disk.onOperation = ({ kind, path }) => {
        if (kind !== "datasync" || path !== "/data/commitlog") return undefined;
        resolve();
        return new Promise(() => {});
      };
      send(store, "never written".padEnd(1_000)).catch(() => {});
    });
    disk.kill();
    const again = await openStore(disk, small);
    await again.begin(2);
    await send(again, "acknowledged".padEnd(1_000));
    disk.cutPower("lost", seededRandom(1));
    const last = await openStore(disk, small);
    const texts = (await readQueue(last)).map((text) => text.trim());
    assert.deepEqual(texts, ["in the first file", "acknowledged"]);
    await last.close();
  });

  it("keeps what was flushed on demand with ASYNC_FLUSH", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, { flushDiskType: "ASYNC_FLUSH" });
    await store.append([draft("kept")]);
    await store.flushTo(store.end);
    await store.append([draft("lost")]);
    await assert.rejects(async () => store.flushTo(position(store.end + 8)));
    disk.cutPower("lost", seededRandom(1));
    const again = await openStore(disk);
    assert.deepEqual(await readQueue(again), ["kept"]);
    await again.close();
  });
});
