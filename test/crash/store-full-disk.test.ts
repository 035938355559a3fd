// A full disk: messages are refused with the status, what is stored can be read, nothing is torn,
// and sending resumes by itself when there is space.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { MqError } from "../../base/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import { ManualClock } from "../../broker/store/testkit/manual-clock.ts";
import {
  beginStore,
  draft,
  MemoryLogger,
  openStore,
  readQueue,
  scanAll,
  send,
  until,
} from "../../broker/store/testkit/open-store.ts";
import { seededRandom } from "../../broker/store/testkit/seeded-random.ts";
import { SimulatedDisk, systemError } from "../../broker/store/testkit/simulated-disk.ts";

const isFull = (error: unknown): boolean => error instanceof MqError && error.code === "DISK_FULL";

/** No watermark: the disk itself says that it is full. */
const noWatermark = {
  diskMaxUsedSpaceRatio: 101,
  diskSpaceCleanForciblyRatio: 101,
  diskSpaceWarningLevelRatio: 101,
};

describe("full disk", () => {
  it("refuses whole groups, cuts what was half written, and goes on when there is space", async () => {
    const disk = new SimulatedDisk();
    const clock = new ManualClock();
    const logger = new MemoryLogger();
    const store = await beginStore(disk, { ...noWatermark, clock, logger });
    const kept = await send(store, "kept");
    const { end } = store;
    disk.capacityBytes = usedBytes(disk) + 300;
    const group = ["a", "b", "c"].map((text) => draft(text.repeat(100)));
    const results = await Promise.allSettled([store.append(group), send(store, "behind it")]);
    for (const result of results) {
      assert.ok(result.status === "rejected" && isFull(result.reason));
    }
    assert.equal(store.end, end);
    assert.equal(disk.bytesOf(`/data/commitlog/${"0".repeat(20)}`).length, end);
    assert.equal(store.failure, undefined);
    await assert.rejects(send(store, "refused"), isFull);
    const progress = { type: RecordType.progress, topic: "", queueId: -1 };
    await assert.rejects(send(store, "also refused", progress), isFull);
    assert.equal(store.stats.isDiskFull, true);
    assert.deepEqual(await readQueue(store), ["kept"]);

    disk.capacityBytes += 10_000_000;
    clock.pass(1_000);
    await until(() => !store.stats.isDiskFull);
    const next = await send(store, "next");
    assert.equal(next.queueOffset, kept.queueOffset + 1);
    assert.deepEqual(await readQueue(store), ["kept", "next"]);
    assert.deepEqual(
      logger.lines.map(({ message }) => message),
      ["the disk is full: messages are refused"],
    );
    await store.close();
    const again = await openStore(disk);
    assert.deepEqual(await readQueue(again), ["kept", "next"]);
    assert.equal((await scanAll(again)).length, 3);
    await again.close();
  });

  it("cleans up after a segment that could not be made", async () => {
    const disk = new SimulatedDisk();
    const clock = new ManualClock();
    const options = { ...noWatermark, clock, mappedFileSizeCommitLog: 400 };
    const store = await beginStore(disk, options);
    await send(store, "one");
    const log = "/data/commitlog";
    disk.onOperation = ({ kind, path }) => {
      if (kind === "datasync" && path === log && disk.paths().length > 2) {
        disk.onOperation = undefined;
        throw systemError("ENOSPC", "no space");
      }
    };
    await assert.rejects(send(store, "x".repeat(500)), /no space/);
    clock.pass(1_000);
    await until(() => !store.stats.isDiskFull);
    await send(store, "two");
    await send(store, "three");
    await send(store, "x".repeat(500));
    disk.kill();
    const again = await openStore(disk, options);
    assert.deepEqual(await readQueue(again), ["one", "two", "three", "x".repeat(500)]);
    await again.close();
  });

  it("refuses messages at the watermark while progress still fits", async () => {
    const disk = new SimulatedDisk();
    disk.capacityBytes = 100_000;
    const clock = new ManualClock();
    const store = await beginStore(disk, {
      clock,
      diskMaxUsedSpaceRatio: 100,
      diskSpaceCleanForciblyRatio: 100,
    });
    const sent: string[] = [];
    for (let index = 0; index < 1_000; index += 1) {
      try {
        await send(store, `${index}`.padEnd(500, "."));
        sent.push(`${index}`.padEnd(500, "."));
      } catch (error) {
        assert.ok(isFull(error));
        break;
      }
    }
    assert.ok(sent.length > 100, `${sent.length} sent`);
    await until(() => store.stats.diskUsedPercent > 85);
    assert.ok(store.stats.diskUsedPercent <= 91, `${store.stats.diskUsedPercent} % used`);
    await send(store, "cursor", { type: RecordType.progress, topic: "", queueId: -1 });
    await assert.rejects(send(store, "half", { type: RecordType.halfMessage }), isFull);
    await assert.rejects(
      store.append([draft("x"), draft("p", { type: RecordType.progress })]),
      isFull,
    );
    assert.deepEqual(await readQueue(store), sent);
    disk.capacityBytes = 200_000;
    clock.pass(1_000);
    await until(() => !store.stats.isDiskFull);
    await send(store, "again");
    await store.close();
  });

  it("keeps a minimum of free bytes when told to", async () => {
    const disk = new SimulatedDisk();
    disk.capacityBytes = 1_000_000_000;
    const store = await beginStore(disk, { diskFreeSpaceMinBytes: 1_000_000_000 });
    await assert.rejects(send(store, "x"), isFull);
    await store.close();
  });

  it("gives space back by letting the oldest segments go", async () => {
    const disk = new SimulatedDisk();
    disk.capacityBytes = 100_000;
    const clock = new ManualClock();
    const store = await beginStore(disk, { clock, mappedFileSizeCommitLog: 8_192 });
    let sent = 0;
    for (let round = 0; round < 10; round += 1) {
      while (await isTaken(send(store, "m".padEnd(400, ".")))) sent += 1;
      await store.clean();
    }
    const queue = store.ensureQueue("t", 0);
    assert.ok(queue.minOffset > 0 && sent > 200);
    assert.equal(queue.endOffset, sent);
    assert.equal((await readQueue(store)).length, sent - queue.minOffset);
    await store.close();
  });

  it("loses and tears nothing wherever the space ends", async () => {
    const cases = fc.record({
      roomBytes: fc.nat(4_000),
      sizes: fc.array(fc.nat(300), { minLength: 1 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ roomBytes, sizes }) => {
        const disk = new SimulatedDisk();
        const clock = new ManualClock();
        const options = { ...noWatermark, clock, mappedFileSizeCommitLog: 1_000 };
        const store = await beginStore(disk, options);
        disk.capacityBytes = usedBytes(disk) + roomBytes;
        const acked: string[] = [];
        await Promise.all(
          sizes.map(async (size, index) => {
            const text = `${index}`.padEnd(size, ".");
            if (await isTaken(store.append([draft(text), draft(text)]))) acked.push(text, text);
            else if (index % 3 === 0) disk.capacityBytes += 300_000;
          }),
        );
        assert.deepEqual(await readQueue(store), acked);
        disk.capacityBytes = Number.POSITIVE_INFINITY;
        clock.pass(1_000);
        await until(() => !store.stats.isDiskFull);
        await send(store, "last");
        assert.deepEqual(await readQueue(store), [...acked, "last"]);
        disk.cutPower("random", seededRandom(sizes.length));
        const again = await openStore(disk, options);
        assert.deepEqual(await readQueue(again), [...acked, "last"]);
        await again.close();
      }),
      { numRuns: 100 },
    );
  });
});

async function isTaken(sending: Promise<unknown>): Promise<boolean> {
  try {
    await sending;
    return true;
  } catch (error) {
    assert.ok(isFull(error), String(error));
    return false;
  }
}

function usedBytes(disk: SimulatedDisk): number {
  return disk.paths().reduce((sum, path) => sum + disk.bytesOf(path).length, 0);
}
