import assert from "node:assert/strict";
import { type Logger, type MqError, silentLogger } from "../../base/index.ts";
import type { Appended } from "./ack-line.ts";
import { loneQuorum } from "./quorum.ts";
import { RecordType } from "./record.ts";
import {
  expiredBelow,
  type RetentionFacts,
  type RetentionOptions,
  spaceUntilWarning,
  usedPercent,
} from "./retention.ts";
import type { Store } from "./store.ts";
import { ManualClock } from "./testkit/manual-clock.ts";
import {
  beginStore,
  MemoryLogger,
  openStore,
  readQueue,
  scanAll,
  send,
} from "./testkit/open-store.ts";
import { SimulatedDisk } from "./testkit/simulated-disk.ts";

const hourMs = 3_600_000;
const options: RetentionOptions = {
  fileReservedTimeHours: 72,
  deleteWhenHours: [4],
  diskMaxUsedSpaceRatio: 75,
  diskSpaceCleanForciblyRatio: 85,
  diskSpaceWarningLevelRatio: 90,
  diskFreeSpaceMinBytes: 0,
};

/** Four segments of 100 bytes on a disk of 1,000; their last records are `ages` hours old. */
function facts(ages: readonly number[], usedBytes: number, hour: number): RetentionFacts {
  const nowMs = new Date(2026, 0, 10, hour).getTime();
  const segments = ages.map((age, index) => ({
    end: (index + 1) * 100,
    sizeBytes: 100,
    newestMs: nowMs - age * hourMs,
  }));
  return { segments, nowMs, space: { freeBytes: 1_000 - usedBytes, totalBytes: 1_000 } };
}

describe("retention", () => {
  it("lets expired segments go in their hour only", () => {
    assert.equal(expiredBelow(options, facts([80, 73, 71, 1], 400, 4)), 200);
    assert.equal(expiredBelow(options, facts([80, 73, 71, 1], 400, 5)), undefined);
    assert.equal(expiredBelow(options, facts([71, 80], 400, 4)), undefined, "oldest first");
  });

  it("lets expired segments go at any hour over the first watermark", () => {
    assert.equal(expiredBelow(options, facts([80, 73, 71, 1], 750, 5)), 200);
    assert.equal(expiredBelow(options, facts([80, 73, 71, 1], 749, 5)), undefined);
  });

  it("lets young segments go over the second watermark, until it is reached again", () => {
    assert.equal(expiredBelow(options, facts([3, 2, 1, 0], 850, 5)), 100);
    assert.equal(expiredBelow(options, facts([3, 2, 1, 0], 949, 5)), 100);
    assert.equal(expiredBelow(options, facts([3, 2, 1, 0], 951, 5)), 200);
    assert.equal(expiredBelow(options, facts([], 951, 5)), undefined);
  });

  it("knows the space until messages are refused", () => {
    const space = { freeBytes: 300, totalBytes: 1_000 };
    assert.equal(usedPercent(space), 70);
    assert.equal(spaceUntilWarning(options, space), 200);
    assert.equal(spaceUntilWarning({ ...options, diskFreeSpaceMinBytes: 250 }, space), 50);
    assert.equal(usedPercent({ freeBytes: 0, totalBytes: 0 }), 0);
  });

  describe("of a store", () => {
    const small = {
      mappedFileSizeCommitLog: 1_000,
      queueFileEntries: 4,
      tailCacheSizeBytes: 1,
      deleteWhenHours: Array.from({ length: 24 }, (_, hour) => hour),
    };

    async function filled(
      disk: SimulatedDisk,
      clock: ManualClock,
      logger: Logger = silentLogger,
    ): Promise<Store> {
      const store = await beginStore(disk, { ...small, clock, logger });
      await send(store, "only one", { queueId: 7 });
      for (let index = 0; index < 30; index += 1) await send(store, `old ${index}`);
      clock.elapse(73 * hourMs);
      for (let index = 0; index < 20; index += 1) await send(store, `new ${index}`);
      return store;
    }

    it("removes the log's head, its queue entries and their files, and says where the rest starts", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const store = await filled(disk, clock);
      await store.clean();
      assert.ok(store.start > 0);
      const texts = await readQueue(store);
      const queue = store.ensureQueue("t", 0);
      assert.equal(texts.at(-1), "new 19");
      assert.equal(texts.length, 50 - queue.minOffset);
      assert.ok(queue.minOffset >= 20 && queue.minOffset <= 30);
      assert.deepEqual([store.queue("t", 7)?.minOffset, store.queue("t", 7)?.endOffset], [1, 1]);
      const files = disk.paths().filter((path) => path.includes("/t/0."));
      assert.equal(Number(files[0]?.slice(-20)), queue.minOffset - (queue.minOffset % 4));
      assert.equal((await scanAll(store))[0]?.position, store.start);
      assert.deepEqual(await store.readCold([{ position: 0, size: 80 }]), [undefined]);
      await assert.rejects(scanAll(store, 0), (error: MqError) => error.code === "CORRUPT");
      await store.close();

      const again = await beginStore(disk, { ...small, clock });
      assert.deepEqual(await readQueue(again), texts);
      assert.equal((await send(again, "x", { queueId: 7 })).queueOffset, 1);
      assert.equal((await send(again, "y")).queueOffset, 50);
      await again.close();
    });

    it("makes each removal durable before the next, so that no power cut leaves a hole", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const store = await filled(disk, clock);
      const steps: string[] = [];
      disk.onOperation = ({ kind, path }) => {
        if (path.includes("commitlog") && kind !== "read") steps.push(kind);
      };
      await store.clean();
      const removals = steps.filter((kind) => kind === "remove").length;
      assert.ok(removals > 1);
      assert.match(steps.join(" "), new RegExp(`(remove datasync ?){${removals}}`));
      disk.onOperation = undefined;
      await store.close();
    });

    it("goes on without a checkpoint from what the state knows", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const store = await filled(disk, clock);
      await store.clean();
      const texts = await readQueue(store);
      const { minOffset } = store.ensureQueue("t", 0);
      await store.close();
      await disk.remove("/data/checkpoint");
      const again = await openStore(disk, { ...small, clock });
      again.restoreQueues([
        { topic: "t", queueId: 0, minOffset, nextOffset: 50 },
        { topic: "t", queueId: 7, minOffset: 1, nextOffset: 1 },
      ]);
      await again.begin();
      assert.deepEqual(await readQueue(again), texts);
      assert.equal((await send(again, "x", { queueId: 7 })).queueOffset, 1);
      assert.equal(again.epoch, 2);
      await again.close();
    });

    it("asks for a snapshot first and keeps what it needs", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const store = await filled(disk, clock);
      let asked = 0;
      const needed = (await scanAll(store))[12]?.position ?? 0;
      store.onExpire = {
        snapshot: async () => {
          asked += 1;
          await send(store, "state", { type: RecordType.snapshot, topic: "", queueId: -1 });
          return needed;
        },
      };
      await store.clean();
      assert.equal(asked, 1);
      assert.ok(store.start > 0 && store.start <= needed, `${store.start} of ${needed}`);
      await store.clean();
      assert.equal(asked, 2, "more has expired, but is still needed");
      await store.close();
    });

    it("deletes nothing when no snapshot can be made, and says so", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const logger = new MemoryLogger();
      const store = await filled(disk, clock, logger);
      store.onExpire = {
        snapshot: async () => {
          throw new Error("no state");
        },
      };
      await store.clean();
      assert.equal(store.start, 0);
      assert.deepEqual(
        logger.lines.map(({ fields }) => fields["reason"]),
        ["no state"],
      );
      await store.close();
    });

    it("deletes nothing because the clock was set far forward, and says so once", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const logger = new MemoryLogger();
      const store = await beginStore(disk, { ...small, clock, logger });
      for (let index = 0; index < 30; index += 1) await send(store, `${index}`);
      clock.jump(100_000 * hourMs);
      for (let run = 0; run < 3; run += 1) await store.clean();
      assert.equal(store.start, 0);
      assert.equal((await readQueue(store)).length, 30);
      assert.equal(logger.lines.length, 1);
      assert.match(logger.lines[0]?.message ?? "", /clock was set forward/);
      clock.jump(-100_000 * hourMs);
      await store.clean();
      assert.equal(store.start, 0);
      await store.close();
    });

    it("ends with the store: nothing touches the folder after close", async () => {
      for (let step = 0; step < 40; step += 1) {
        const disk = new SimulatedDisk();
        const store = await filled(disk, new ManualClock());
        let count = 0;
        const reached = new Promise<void>((resolve) => {
          disk.onOperation = () => {
            count += 1;
            if (count === step + 1) resolve();
          };
        });
        const cleaning = store.clean();
        await Promise.race([reached, cleaning]);
        await store.close();
        count = 0;
        await cleaning;
        for (let turn = 0; turn < 20; turn += 1) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        assert.equal(count, 0, `closed at step ${step}`);
        const again = await beginStore(disk, small);
        assert.equal((await readQueue(again)).at(-1), "new 19");
        await again.close();
      }
    });

    it("does not keep a store from closing whose snapshot nobody confirms any more", async () => {
      const store = await filled(new SimulatedDisk(), new ManualClock());
      const { start, confirmed } = store;
      store.heed({ ...loneQuorum, confirmed: () => confirmed });
      const asked: Promise<Appended>[] = [];
      store.onExpire = {
        snapshot: async () => {
          const place = { type: RecordType.snapshot, topic: "", queueId: -1 };
          const snapshot = send(store, "state", place);
          asked.push(snapshot);
          return (await snapshot).position;
        },
      };
      const cleaning = store.clean();
      while (asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
      await store.close();
      await cleaning;
      for (const snapshot of asked) await assert.rejects(snapshot, { code: "SHUTTING_DOWN" });
      assert.equal(store.start, start, "nothing was deleted");
    });

    it("never deletes the last segment, and asks for nothing while nothing has expired", async () => {
      const disk = new SimulatedDisk();
      const clock = new ManualClock();
      const store = await beginStore(disk, { clock, deleteWhenHours: small.deleteWhenHours });
      let asked = 0;
      store.onExpire = {
        snapshot: async () => {
          asked += 1;
          return store.end;
        },
      };
      await send(store, "old");
      clock.elapse(1_000 * hourMs);
      await store.clean();
      assert.equal(asked, 0);
      assert.deepEqual(await readQueue(store), ["old"]);
      await store.close();
    });
  });
});
