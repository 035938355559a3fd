// A process or machine that stops while expired segments are removed: whatever step it was in, the
// next start has every message that a queue still lists, and queues go on counting.
import assert from "node:assert/strict";
import { ManualClock } from "../../broker/store/testkit/manual-clock.ts";
import {
  beginStore,
  openStore,
  readQueue,
  scanAll,
  send,
} from "../../broker/store/testkit/open-store.ts";
import { seededRandom } from "../../broker/store/testkit/seeded-random.ts";
import { SimulatedDisk, type UnsyncedFate } from "../../broker/store/testkit/simulated-disk.ts";

const hourMs = 3_600_000;
const options = {
  mappedFileSizeCommitLog: 1_000,
  queueFileEntries: 4,
  tailCacheSizeBytes: 1,
  deleteWhenHours: Array.from({ length: 24 }, (_, hour) => hour),
};

/** A store with expired segments, and the clock that says so. */
async function filled(disk: SimulatedDisk): Promise<ManualClock> {
  const clock = new ManualClock();
  const store = await beginStore(disk, { ...options, clock });
  await send(store, "only one", { queueId: 7 });
  for (let index = 0; index < 30; index += 1) await send(store, `old ${index}`);
  clock.jump(73 * hourMs);
  for (let index = 0; index < 10; index += 1) await send(store, `new ${index}`);
  await store.close();
  return clock;
}

/** Runs retention and stops it at one of its steps. Gives whether it got that far. */
async function cleanUntil(disk: SimulatedDisk, clock: ManualClock, step: number): Promise<boolean> {
  const store = await beginStore(disk, { ...options, clock });
  let count = 0;
  const stopped = new Promise<boolean>((resolve) => {
    disk.onOperation = async () => {
      count += 1;
      if (count <= step) return;
      resolve(true);
      await new Promise<never>(() => {});
    };
  });
  return Promise.race([stopped, store.clean().then(() => false)]);
}

async function check(disk: SimulatedDisk, clock: ManualClock): Promise<void> {
  const store = await openStore(disk, { ...options, clock });
  await store.begin();
  assert.equal((await scanAll(store))[0]?.position, store.start, "the log has a hole");
  const texts = await readQueue(store);
  assert.ok(texts.length >= 10, `${texts.length} messages are left`);
  assert.equal(texts.length, 40 - store.ensureQueue("t", 0).minOffset);
  await readQueue(store, "t", 7);
  assert.equal((await send(store, "next")).queueOffset, 40);
  assert.equal((await send(store, "next", { queueId: 7 })).queueOffset, 1);
  await store.close();
}

describe("retention that is interrupted", () => {
  const stops: readonly ("kill" | UnsyncedFate)[] = ["kill", "lost", "random"];
  for (const stop of stops) {
    it(`loses nothing that is kept, at any step: ${stop}`, async () => {
      const start = new SimulatedDisk();
      const clock = await filled(start);
      for (let step = 0, goesOn = true; goesOn; step += 1) {
        const disk = start.copy();
        goesOn = await cleanUntil(disk, clock, step);
        if (stop === "kill") disk.kill();
        else disk.cutPower(stop, seededRandom(step + 1));
        await check(disk, clock).catch((error: unknown) => {
          throw new Error(`stopped at step ${step}`, { cause: error });
        });
      }
    });
  }
});
