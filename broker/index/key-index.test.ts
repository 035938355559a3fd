import { strict as assert } from "node:assert";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rocketmq } from "@cometmq/proto";
import * as fc from "fast-check";
import { MemoryLevel } from "memory-level";
import { type Clock, type Logger, silentLogger, systemClock } from "../../base/index.ts";
import { nodeDisk, type RecordDraft, RecordType, Store } from "../store/index.ts";
import { type IndexLevel, type IndexSource, indexFolder } from "./index-level.ts";
import type { FoundMessage } from "./index-port.ts";
import { Indexer } from "./indexer.ts";
import { KeyIndex } from "./key-index.ts";
import { openKeyIndex } from "./open-index.ts";

const noBytes = new Uint8Array(0);
const always = { beginMs: 0, endMs: Number.MAX_SAFE_INTEGER, countMax: 64 };

interface Message {
  readonly type?: number;
  readonly topic?: string;
  readonly id?: string;
  readonly keys?: readonly string[];
}

function draftOf(message: Message): RecordDraft {
  return {
    type: message.type ?? RecordType.message,
    topic: message.topic ?? "t",
    queueId: 0,
    ...(message.type === undefined ? {} : { dueMs: 1 }),
    systemProperties: rocketmq.v2.SystemProperties.encode({
      messageId: message.id ?? "",
      keys: [...(message.keys ?? [])],
    }).finish(),
    userProperties: noBytes,
    body: Buffer.from("body"),
  };
}

function memorySource(): IndexSource {
  let level = new MemoryLevel();
  return {
    async open() {
      await level.open();
      return level;
    },
    async destroy() {
      level = new MemoryLevel();
    },
  };
}

describe("KeyIndex", () => {
  let folder: string;
  let nowMs: number;
  let store: Store;
  let index: KeyIndex;
  let database: IndexSource;
  let scanned: number;
  let warnings: string[];

  const clock: Clock = { ...systemClock, now: () => nowMs, monotonicMs: () => nowMs };
  const logger: Logger = {
    ...silentLogger,
    child: () => logger,
    warn: (message, fields) => warnings.push(`${message}: ${fields?.["reason"]}`),
  };

  const open = async (): Promise<void> => {
    store = await Store.open({
      disk: nodeDisk,
      clock,
      logger: silentLogger,
      folder,
      flushDiskType: "ASYNC_FLUSH",
      // The clock of these tests leaps by days while appends wait for nothing but the event loop.
      syncFlushTimeoutMs: 30 * 86_400_000,
      mappedFileSizeCommitLog: 16_384,
      deleteWhenHours: Array.from({ length: 24 }, (_, hour) => hour),
      diskMaxUsedSpaceRatio: 100,
      diskSpaceCleanForciblyRatio: 100,
      diskSpaceWarningLevelRatio: 100,
    });
    await store.begin();
    index = openInline();
  };

  const openInline = (): KeyIndex =>
    new KeyIndex({
      store,
      clock,
      logger,
      openPort: (start) =>
        Indexer.open({
          database,
          start,
          monotonicMs: () => clock.monotonicMs(),
          log: {
            refresh: async () => {},
            scan: async function* (from, to) {
              for await (const records of store.scan(from, to)) {
                scanned += records.length;
                yield records;
              }
            },
          },
        }),
    });

  const close = async (): Promise<void> => {
    await index.close();
    await store.close();
  };

  const send = async (...messages: Message[]): Promise<number[]> => {
    const appended = await Promise.all(messages.map((message) => store.append([draftOf(message)])));
    return appended.flat().map(({ position }) => position);
  };

  const byKey = async (key: string, topic = "t"): Promise<number[]> =>
    places(await index.byKey({ ...always, topic, key }));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-index-"));
    nowMs = 1_700_000_000_000;
    scanned = 0;
    warnings = [];
    database = memorySource();
    await open();
  });

  afterEach(async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
  });

  it("finds messages by key and by id, newest first, as soon as they are confirmed", async () => {
    const [first, second, third] = await send(
      { id: "1", keys: ["a", "b"] },
      { id: "2", keys: ["a"] },
      { id: "3", keys: ["ab"] },
    );
    assert.deepEqual(await byKey("a"), [second, first]);
    assert.deepEqual(await byKey("b"), [first]);
    assert.deepEqual(await byKey("ab"), [third]);
    assert.deepEqual(await byKey(""), []);
    assert.deepEqual(places(await index.byId("t", "2")), [second]);
    const [again] = await send({ id: "2" });
    assert.deepEqual(places(await index.byId("t", "2")), [again, second]);
    const [found] = await index.byId("t", "3");
    assert.equal(store.read(found?.position ?? 0, found?.size ?? 0)?.position, third);
    assert.equal(index.indexedPosition, store.confirmed);
    assert.equal(index.lagBytes, 0);
  });

  it("finds messages that are held, too", async () => {
    const types = [
      RecordType.delayedMessage,
      RecordType.halfMessage,
      RecordType.carriedMessage,
    ] as const;
    const sent = await send(...types.map((type) => ({ type, id: `id-${type}`, keys: ["a"] })));
    assert.deepEqual(new Set(await byKey("a")), new Set(sent));
    const found = await index.byId("t", `id-${RecordType.halfMessage}`);
    assert.deepEqual(places(found), sent.slice(1, 2));
  });

  it("keeps topics, keys and ids apart, whatever letters they have", async () => {
    const [first, second, third] = await send(
      { topic: "t", id: "x", keys: ["kx", "ключ", "a/b c", "\u{1f600}"] },
      { topic: "t1", id: "kx", keys: ["x"] },
      { topic: "t", id: "ix", keys: ["ix"] },
    );
    assert.deepEqual(await byKey("kx"), [first]);
    assert.deepEqual(await byKey("ключ"), [first]);
    assert.deepEqual(await byKey("a/b c"), [first]);
    assert.deepEqual(await byKey("\u{1f600}"), [first]);
    assert.deepEqual(await byKey("x"), []);
    assert.deepEqual(await byKey("x", "t1"), [second]);
    assert.deepEqual(places(await index.byId("t1", "kx")), [second]);
    assert.deepEqual(places(await index.byId("t", "x")), [first]);
    assert.deepEqual(await byKey("ix"), [third]);
  });

  it("keeps to the time range and to the number asked for", async () => {
    const sent: number[] = [];
    for (let minute = 0; minute < 10; minute++) {
      sent.push(...(await send({ id: `${minute}`, keys: ["k"] })));
      nowMs += 60_000;
    }
    const beginMs = 1_700_000_000_000 + 2 * 60_000;
    const query = { topic: "t", key: "k", beginMs, endMs: beginMs + 3 * 60_000, countMax: 64 };
    assert.deepEqual(places(await index.byKey(query)), sent.slice(2, 6).reverse());
    const newest = places(await index.byKey({ ...query, countMax: 2 }));
    assert.deepEqual(newest, sent.slice(4, 6).reverse());
    assert.deepEqual(places(await index.byKey({ ...query, beginMs: 5, endMs: 6 })), []);
  });

  it("goes on after a restart where it was", async () => {
    const [first] = await send({ id: "1", keys: ["k"] });
    assert.deepEqual(await byKey("k"), [first]);
    await close();
    scanned = 0;
    await open();
    const [second] = await send({ id: "2", keys: ["k"] });
    assert.deepEqual(await byKey("k"), [second, first]);
    assert.equal(scanned, 2, "the epoch's start and one message");
  });

  it("does not give what has expired, and goes on where the log starts", async () => {
    await send(...Array.from({ length: 300 }, (_, at) => ({ id: `${at}`, keys: ["k", "old"] })));
    assert.equal((await byKey("old")).length, 64);
    nowMs += 4 * 86_400_000;
    await send(...Array.from({ length: 120 }, (_, at) => ({ id: `n${at}`, keys: ["k"] })));
    await store.flushTo(store.end);
    await store.clean();
    assert.ok(store.start > 0);
    const found = await index.byKey({ ...always, topic: "t", key: "old", countMax: 1_000 });
    assert.ok(found.length < 300);
    assert.ok(found.every(({ position }) => position >= store.start));
    database = memorySource();
    await index.close();
    index = openInline();
    assert.equal((await byKey("k")).length, 64);
  });

  it("is built again when it is not of this log, of another version, or damaged", async () => {
    const [first] = await send({ id: "1", keys: ["k"] });
    for (const value of [
      `2 ${store.end + 1} 1`,
      `2 ${store.end} 7`,
      `1 ${store.end} 1`,
      "nonsense",
    ]) {
      await index.close();
      const level = await database.open();
      await put(level, "indexed", value);
      index = openInline();
      assert.deepEqual(await byKey("k"), [first], value);
    }
  });

  it("says so when it is damaged while open, and finds all again after", async () => {
    const [first] = await send({ id: "1", keys: ["k"] });
    assert.deepEqual(await byKey("k"), [first]);
    const level = await database.open();
    for await (const [key] of level.iterator({ gte: "0", lt: "g", reverse: false, limit: 9 })) {
      await put(level, key, "77 1");
    }
    await assert.rejects(byKey("k"), { code: "INTERNAL_SERVER_ERROR", message: /damaged/ });
    assert.deepEqual(await byKey("k"), [first]);
  });

  it("skips messages whose properties cannot be read", async () => {
    const broken = { ...draftOf({}), systemProperties: Uint8Array.of(0xff, 0xff) };
    await store.append([broken]);
    const [good] = await send({ keys: ["k"] });
    assert.deepEqual(await byKey("k"), [good]);
  });

  it("refuses queries once it is closed", async () => {
    await send({ id: "1", keys: ["k"] });
    await index.close();
    await assert.rejects(byKey("k"), { code: "SHUTTING_DOWN" });
  });

  it("finds exactly what a list finds", async function () {
    this.timeout(30_000);
    const word = fc.constantFrom("a", "b", "ab", "k");
    const message = fc.record({
      topic: fc.constantFrom("t", "t1"),
      id: word,
      keys: fc.uniqueArray(word, { maxLength: 3 }),
      waitMs: fc.nat(3),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { maxLength: 30 }),
        fc.record({
          begin: fc.nat(40),
          length: fc.nat(40),
          countMax: fc.integer({ min: 1, max: 8 }),
        }),
        async (messages, range) => {
          await index.close();
          database = memorySource();
          index = openInline();
          nowMs += 1_000;
          const beganMs = nowMs;
          const sent: { topic: string; keys: readonly string[]; timeMs: number; place: number }[] =
            [];
          for (const { topic, id, keys, waitMs } of messages) {
            nowMs += waitMs;
            const [place = 0] = await send({ topic, id, keys });
            sent.push({ topic, keys, timeMs: nowMs, place });
          }
          const beginMs = beganMs + range.begin;
          const endMs = beginMs + range.length;
          for (const topic of ["t", "t1"]) {
            for (const key of ["a", "b", "ab", "k"]) {
              const expected = sent
                .filter((one) => one.topic === topic && one.keys.includes(key))
                .filter((one) => one.timeMs >= beginMs && one.timeMs <= endMs)
                .map((one) => one.place)
                .reverse()
                .slice(0, range.countMax);
              const { countMax } = range;
              const found = await index.byKey({ topic, key, beginMs, endMs, countMax });
              assert.deepEqual(places(found), expected);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  describe("in a worker thread", () => {
    let path: string;

    beforeEach(async () => {
      path = join(folder, "index");
      await index.close();
      index = openKeyIndex({
        store,
        clock: systemClock,
        logger,
        logFolder: join(folder, "commitlog"),
        indexFolder: path,
      });
    });

    /** A thread under tsx may take long to start: a query then answers with what there is. */
    const indexed = async (): Promise<void> => {
      while (index.indexedPosition < store.confirmed) await byKey("");
    };

    it("reads the log's files and finds what was just sent", async () => {
      const sent = await send(
        ...Array.from({ length: 300 }, (_, at) => ({ id: `${at}`, keys: ["k", `k${at}`] })),
      );
      await indexed();
      assert.deepEqual(await byKey("k299"), [sent[299]]);
      const [last] = await send({ id: "last" });
      assert.deepEqual(places(await index.byId("t", "last")), [last]);
      assert.deepEqual(await byKey("k"), sent.slice(-64).reverse());
      assert.deepEqual(warnings, []);
    });

    it("is built again when its folder is damaged", async () => {
      const [first] = await send({ id: "1", keys: ["k"] });
      await indexed();
      assert.deepEqual(await byKey("k"), [first]);
      await index.close();
      for (const name of await readdir(path)) {
        const bytes = await readFile(join(path, name));
        await writeFile(join(path, name), bytes.fill(0x55));
      }
      index = openKeyIndex({
        store,
        clock: systemClock,
        logger,
        logFolder: join(folder, "commitlog"),
        indexFolder: path,
      });
      await indexed();
      assert.deepEqual(await byKey("k"), [first]);
    });

    it("says why it cannot be read", async () => {
      await index.close();
      const level = await indexFolder(nodeDisk, path).open();
      await send({ id: "1", keys: ["k"] });
      await rm(join(folder, "commitlog"), { recursive: true });
      await writeFile(join(folder, "commitlog"), "");
      index = openKeyIndex({
        store,
        clock: systemClock,
        logger,
        logFolder: join(folder, "commitlog"),
        indexFolder: path,
      });
      await assert.rejects(byKey("k"), { code: "INTERNAL_SERVER_ERROR" });
      await level.close();
    });
  });
});

async function put(level: IndexLevel, key: string, value: string): Promise<void> {
  const batch = level.batch();
  batch.put(key, value);
  await batch.write();
}

function places(found: readonly FoundMessage[]): number[] {
  return found.map(({ position }) => position);
}
