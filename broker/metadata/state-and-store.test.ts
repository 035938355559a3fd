// The state on a real store: start order, restarts, retention.
import { strict as assert } from "node:assert";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, silentLogger, systemClock, systemRandom } from "../../base/index.ts";
import { nodeDisk, RecordType, Store } from "../store/index.ts";
import { encodeProgress } from "./progress-codec.ts";
import { levelFolder } from "./state-database.ts";
import { StateStore } from "./state-store.ts";

const noBytes = new Uint8Array(0);
const draft = { systemProperties: noBytes, userProperties: noBytes };
const dayMs = 86_400_000;

describe("the state on a store", () => {
  let folder: string;
  let nowMs: number;
  let store: Store;
  let state: StateStore;

  const clock: Clock = { ...systemClock, now: () => nowMs };

  const open = async (): Promise<void> => {
    store = await Store.open({
      disk: nodeDisk,
      clock,
      logger: silentLogger,
      folder,
      mappedFileSizeCommitLog: 16_384,
      deleteWhenHours: Array.from({ length: 24 }, (_, hour) => hour),
      diskMaxUsedSpaceRatio: 100,
      diskSpaceCleanForciblyRatio: 100,
      diskSpaceWarningLevelRatio: 100,
    });
    state = await StateStore.open({
      database: levelFolder(nodeDisk, join(folder, "level")),
      store,
      clock,
      random: systemRandom,
      logger: silentLogger,
    });
    store.restoreQueues(state.queueBounds());
    store.onExpire = state;
    await store.begin();
    await state.begin();
  };

  const close = async (): Promise<void> => {
    await state.close();
    await store.close();
  };

  const send = async (topic: string, count: number): Promise<void> => {
    for (let left = count; left > 0; left--) {
      const body = Buffer.alloc(500, left);
      await store.append([{ ...draft, type: RecordType.message, topic, queueId: 0, body }]);
    }
  };

  const move = async (topic: string, cursor: number): Promise<void> => {
    const change = { group: "g", topic, queueId: 0, cursor, upserts: [], removals: [] };
    const body = encodeProgress([change]);
    await store.append([{ ...draft, type: RecordType.progress, topic: "", queueId: -1, body }]);
  };

  const cursors = async (): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    for await (const { topic, cursor } of state.loadProgress()) found[topic] = cursor;
    return found;
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-state-"));
    nowMs = 1_700_000_000_000;
    await open();
    await state.metadata.updateTopic({ name: "t", readQueueNums: 1 });
    await state.metadata.updateTopic({ name: "u", readQueueNums: 1 });
    await state.metadata.updateGroup({ name: "g" });
  });

  afterEach(async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
  });

  it("comes back with the log after a restart and without its folder", async () => {
    await send("t", 3);
    await move("t", 2);
    const { macKey } = state.metadata;
    for (const loses of [false, true]) {
      await close();
      if (loses) await rm(join(folder, "level"), { recursive: true });
      await open();
      assert.deepEqual(await cursors(), { t: 2 });
      assert.deepEqual(state.metadata.macKey, macKey);
      assert.equal(state.metadata.topicCount, 2);
    }
  });

  it("knows held messages after a restart and without its folder", async () => {
    const body = Buffer.alloc(40, "x");
    const delayed = { ...draft, type: RecordType.delayedMessage, topic: "t", queueId: 0, body };
    const appended = await store.append([
      { ...delayed, dueMs: 1_800_000_000_000 },
      { ...delayed, type: RecordType.halfMessage, dueMs: 1_700_000_006_000 },
    ]);
    assert.equal(store.queue("t", 0), undefined, "a held message is in a queue");
    for (const loses of [false, true]) {
      await close();
      if (loses) await rm(join(folder, "level"), { recursive: true });
      await open();
      const found = [];
      for await (const entries of state.held.scan()) found.push(...entries);
      assert.deepEqual(
        found.map(({ kind, dueMs, id, position }) => [kind, dueMs, id, position]),
        [
          ["half", 1_700_000_006_000, appended[1]?.position, appended[1]?.position],
          ["timer", 1_800_000_000_000, appended[0]?.position, appended[0]?.position],
        ],
      );
      assert.equal(appended[0]?.queueOffset, 0);
      assert.equal(state.held.count("timer"), 1);
    }
  });

  it("lets the log lose its beginning, and still comes back without its folder", async () => {
    await send("u", 2);
    await move("u", 2);
    await send("t", 100);
    await move("t", 60);
    // Closed meanwhile: a clock that jumps under an open store is not believed.
    await close();
    nowMs += 4 * dayMs;
    await open();
    await send("t", 100);
    await store.clean();
    assert.ok(store.start > 0, "nothing has expired");
    const { macKey, version } = state.metadata;
    await move("t", 150);
    await close();
    await rm(join(folder, "level"), { recursive: true });
    await rm(join(folder, "consumequeue"), { recursive: true });
    await rm(join(folder, "checkpoint"), { recursive: true });
    await open();
    assert.deepEqual(await cursors(), { t: 150, u: 2 });
    assert.deepEqual(state.metadata.macKey, macKey);
    assert.equal(state.metadata.version, version);
    assert.equal(store.queue("t", 0)?.nextOffset, 200);
    // All messages of u have expired: its offsets go on.
    assert.deepEqual([store.queue("u", 0)?.minOffset, store.queue("u", 0)?.nextOffset], [2, 2]);
    await send("u", 1);
    assert.equal(store.queue("u", 0)?.endOffset, 3);
  });

  it("hides the messages of a deleted topic for good, and goes on counting", async () => {
    await send("t", 3);
    await move("t", 1);
    await state.metadata.deleteTopic("t");
    assert.equal(store.queue("t", 0), undefined);
    await state.metadata.updateTopic({ name: "t", readQueueNums: 1 });
    await send("t", 2);
    for (const path of [undefined, "level", "consumequeue", "checkpoint"]) {
      const queue = store.queue("t", 0);
      assert.deepEqual([queue?.minOffset, queue?.endOffset], [3, 5], `without ${path}`);
      assert.equal(state.metadata.firstOffset("t", 0), 3);
      assert.deepEqual(await cursors(), {});
      await close();
      if (path !== undefined) await rm(join(folder, path), { recursive: true });
      await open();
    }
  });
});
