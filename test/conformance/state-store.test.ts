// What every database under the state has to give: run on level in a folder and on memory-level.
import { strict as assert } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemoryLevel } from "memory-level";
import { silentLogger, systemClock, systemRandom } from "../../base/index.ts";
import {
  encodeProgress,
  type LevelSource,
  levelEncodings,
  levelFolder,
  type PendingEntry,
  type QueueProgress,
  StateStore,
} from "../../broker/metadata/index.ts";
import { SimulatedLog } from "../../broker/metadata/testkit/simulated-log.ts";
import { nodeDisk } from "../../broker/store/index.ts";

interface Implementation {
  readonly name: string;
  readonly open: () => Promise<{
    readonly source: LevelSource;
    readonly dispose: () => Promise<void>;
  }>;
}

const implementations: readonly Implementation[] = [
  {
    name: "level in a folder",
    open: async () => {
      const folder = await mkdtemp(join(tmpdir(), "cometmq-state-"));
      const source = levelFolder(nodeDisk, join(folder, "level"));
      return { source, dispose: () => rm(folder, { recursive: true, force: true }) };
    },
  },
  {
    name: "memory-level",
    open: async () => {
      let level = new MemoryLevel<string, Uint8Array>(levelEncodings);
      const source: LevelSource = {
        async open() {
          await level.open();
          return level;
        },
        async destroy() {
          level = new MemoryLevel(levelEncodings);
        },
      };
      return { source, dispose: async () => {} };
    },
  },
];

const pending = (offset: number, attempt = 1): PendingEntry => ({
  offset,
  attempt,
  visibleAtMs: 1_700_000_000_000 + offset,
  deliveryNumber: offset * 2,
  flags: 0,
});

async function progressOf(state: StateStore): Promise<QueueProgress[]> {
  const all: QueueProgress[] = [];
  for await (const progress of state.loadProgress()) all.push(progress);
  return all;
}

for (const implementation of implementations) {
  describe(`the state on ${implementation.name}`, () => {
    let log: SimulatedLog;
    let source: LevelSource;
    let dispose: () => Promise<void>;
    let state: StateStore;

    const open = async (): Promise<void> => {
      log.restart();
      state = await StateStore.open({
        database: source,
        store: log,
        clock: systemClock,
        random: systemRandom,
        logger: silentLogger,
      });
      await log.begin();
      await state.begin();
    };

    /** Ends without the final write: what was written so far is all there is. */
    const crash = async (): Promise<void> => {
      log.failure = new Error("the process is gone");
      await state.close();
      log.failure = undefined;
      await open();
    };

    const work = async (): Promise<void> => {
      await state.metadata.updateTopic({ name: "orders", readQueueNums: 2 });
      await state.metadata.updateTopic({ name: "mail" });
      await state.metadata.updateGroup({ name: "billing", retryMaxTimes: 3 });
      await state.metadata.updateGroup({ name: "audit" });
      const common = { topic: "orders", queueId: 1 };
      await log.progress(
        encodeProgress([
          {
            ...common,
            group: "billing",
            cursor: 9,
            upserts: [7, 3].map((at) => pending(at)),
            removals: [],
          },
          { ...common, group: "audit", cursor: 4, upserts: [], removals: [] },
          {
            ...common,
            group: "audit",
            queueId: 10,
            cursor: 5,
            upserts: [pending(1)],
            removals: [],
          },
        ]),
      );
      await log.progress(
        encodeProgress([
          {
            ...common,
            group: "billing",
            cursor: 12,
            upserts: [pending(3, 2), pending(11)],
            removals: [7],
          },
        ]),
      );
    };

    const expected: QueueProgress[] = [
      { group: "audit", topic: "orders", queueId: 1, cursor: 4, pending: [] },
      { group: "audit", topic: "orders", queueId: 10, cursor: 5, pending: [pending(1)] },
      {
        group: "billing",
        topic: "orders",
        queueId: 1,
        cursor: 12,
        pending: [pending(3, 2), pending(11)],
      },
    ];

    const checkWork = async (): Promise<void> => {
      assert.equal(state.metadata.topic("orders")?.readQueueNums, 2);
      assert.equal(state.metadata.topicCount, 2);
      assert.equal(state.metadata.group("billing")?.retryMaxTimes, 3);
      assert.deepEqual(await progressOf(state), expected);
    };

    beforeEach(async () => {
      ({ source, dispose } = await implementation.open());
      log = new SimulatedLog();
      await open();
    });

    afterEach(async () => {
      await state.close();
      await dispose();
    });

    it("keeps topics, groups, progress and the receipt-handle key over a restart", async () => {
      await work();
      await checkWork();
      const { macKey, version } = state.metadata;
      await state.close();
      await open();
      await checkWork();
      assert.deepEqual(state.metadata.macKey, macKey);
      assert.equal(state.metadata.version, version);
      assert.equal(log.records.filter((record) => record.type === 6).length, 5);
    });

    it("takes from the log what was not written when the process was killed", async () => {
      await state.metadata.updateTopic({ name: "first" });
      await state.close();
      await open();
      await work();
      const position = state.writtenPosition;
      await crash();
      assert.ok(position < log.end);
      assert.equal(state.metadata.topic("first")?.name, "first");
      await state.metadata.deleteTopic("first");
      await checkWork();
    });

    it("removes what was written before and is pending no more", async () => {
      await work();
      await state.close();
      await open();
      await log.progress(
        encodeProgress([
          {
            group: "billing",
            topic: "orders",
            queueId: 1,
            cursor: 12,
            upserts: [],
            removals: [3, 11],
          },
        ]),
      );
      await state.close();
      await open();
      assert.deepEqual((await progressOf(state)).at(-1)?.pending, []);
    });

    it("drops the progress of a deleted group, also what arrives late", async () => {
      await work();
      await state.close();
      await open();
      await state.metadata.deleteGroup("audit");
      await log.progress(
        encodeProgress([
          { group: "audit", topic: "orders", queueId: 1, cursor: 8, upserts: [], removals: [] },
        ]),
      );
      assert.deepEqual(await progressOf(state), expected.slice(2));
      await state.metadata.updateGroup({ name: "audit" });
      await state.close();
      await open();
      assert.deepEqual(await progressOf(state), expected.slice(2));
    });

    it("ends the queues of a deleted topic where they were, for good", async () => {
      await work();
      for (let count = 0; count < 5; count++) await log.message("orders", 1);
      await state.metadata.deleteTopic("orders");
      assert.deepEqual([...log.queues()], []);
      assert.deepEqual(await progressOf(state), []);
      const check = (): void => {
        assert.deepEqual(
          [...state.queueBounds()].map(({ queueId, minOffset, nextOffset }) => [
            queueId,
            minOffset,
            nextOffset,
          ]),
          [[1, 5, 5]],
        );
        assert.equal(state.metadata.firstOffset("orders", 1), 5);
        assert.equal(state.metadata.firstOffset("orders", 0), 0);
      };
      check();
      await crash();
      check();
      await state.close();
      await open();
      check();
    });

    it("is rebuilt from the log when the database is gone", async () => {
      await work();
      await state.close();
      await source.destroy();
      await open();
      await checkWork();
    });

    it("is rebuilt from a snapshot when the log has lost its beginning", async () => {
      await work();
      for (let count = 0; count < 3; count++) await log.message("mail", 0);
      const asOf = await state.snapshot();
      const { macKey, version } = state.metadata;
      await log.progress(
        encodeProgress([
          { group: "audit", topic: "mail", queueId: 0, cursor: 2, upserts: [], removals: [] },
        ]),
      );
      await state.close();
      log.expire(asOf);
      await source.destroy();
      await open();
      assert.deepEqual(state.metadata.macKey, macKey);
      assert.equal(state.metadata.version, version);
      assert.deepEqual(
        (await progressOf(state)).find((progress) => progress.topic === "mail")?.cursor,
        2,
      );
      assert.deepEqual(
        [...state.queueBounds()].map(({ topic, nextOffset }) => [topic, nextOffset]),
        [["mail", 3]],
      );
      assert.deepEqual(
        (await progressOf(state)).filter((progress) => progress.topic === "orders"),
        expected,
      );
    });

    it("is thrown away when it reflects more than the log has", async () => {
      await state.metadata.updateTopic({ name: "kept" });
      const end = log.end;
      await work();
      await state.close();
      log.cut(end);
      await open();
      assert.deepEqual(
        [...state.metadata.topics()].map((topic) => topic.name),
        ["kept"],
      );
    });

    it("is thrown away when the log went on otherwise behind its position", async () => {
      await state.metadata.updateTopic({ name: "kept" });
      const end = log.end;
      await state.metadata.updateTopic({ name: "lost" });
      await state.close();
      log.cut(end);
      await log.begin();
      for (let count = 0; count < 100; count++) await log.message("kept", 0);
      await open();
      assert.equal(state.metadata.topic("lost"), undefined);
      assert.equal(state.metadata.topic("kept")?.name, "kept");
    });

    it("is never written ahead of what the log has durably", async () => {
      await work();
      await state.close();
      assert.equal(log.flushes.at(-1), log.end);
    });
  });
}
