// The files of a store: old bytes can be read, new bytes are the same, and the pages' examples are true.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { encodeFlushMark } from "../../broker/store/flush-mark.ts";
import { RecordType, tagHash } from "../../broker/store/index.ts";
import { EntryChunk } from "../../broker/store/queue-entries.ts";
import { allocateRecordBuffer, encodeRecord, recordSize } from "../../broker/store/record.ts";
import { ManualClock } from "../../broker/store/testkit/manual-clock.ts";
import {
  MemoryLogger,
  openStore,
  readQueue,
  scanAll,
} from "../../broker/store/testkit/open-store.ts";
import { SimulatedDisk } from "../../broker/store/testkit/simulated-disk.ts";
import {
  filesOf,
  goldenFolder,
  goldenOptions,
  goldenQueues,
  makeGoldenStore,
} from "./golden-store.ts";

/** Every dump of bytes on a page: lines of two-digit hexadecimal numbers, four blanks in. */
function examples(page: string): Buffer[] {
  const text = readFileSync(new URL(`../../docs/format/${page}`, import.meta.url), "utf8");
  const dumps = text.match(/(?: {4}(?:[0-9a-f]{2} ?)+\n)+/g) ?? [];
  return dumps.map((dump) => Buffer.from(dump.replace(/\s/g, ""), "hex"));
}

function goldenFiles(folder = ""): string[] {
  return readdirSync(`${goldenFolder}/${folder}`).flatMap((name) => {
    const path = folder === "" ? name : `${folder}/${name}`;
    return statSync(`${goldenFolder}/${path}`).isDirectory() ? goldenFiles(path) : [path];
  });
}

async function goldenDisk(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  for (const name of goldenFiles()) {
    const path = `/data/${name}`;
    await disk.makeFolder(path.slice(0, path.lastIndexOf("/")));
    disk.put(path, readFileSync(`${goldenFolder}/${name}`));
  }
  return disk;
}

const created = { tagHash: tagHash("created"), messageGroupHash: 0 };

describe("format of the store", () => {
  it("reads the golden files", async () => {
    const logger = new MemoryLogger();
    const store = await openStore(await goldenDisk(), { ...goldenOptions, logger });
    for (const [queueId, texts] of goldenQueues.entries()) {
      assert.deepEqual(await readQueue(store, "orders", queueId), texts);
    }
    const records = await scanAll(store);
    assert.deepEqual(
      records.map(({ type }) => type),
      [7, ...Array.from({ length: 11 }, () => 1), 2, 5, 3, 4, 6, 8],
    );
    assert.deepEqual(
      records.slice(11, 14).map(({ groupRest }) => groupRest),
      [2, 1, 0],
    );
    const message = records[1];
    assert.ok(message);
    assert.equal(Buffer.from(message.systemProperties).toString(), "system a");
    assert.equal(Buffer.from(message.userProperties).toString(), "user a");
    assert.equal(message.topic, "orders");
    assert.equal(message.tagHash, tagHash("created"));
    assert.equal(message.messageGroupHash, 2 ** 40);
    assert.equal(message.storeTimeMs, 1_700_000_000_010);
    assert.deepEqual(store.epochs, [{ epoch: 1, position: 0 }]);
    assert.deepEqual(logger.lines, []);
    await store.close();
  });

  it("reads them without the derived files as well", async () => {
    const disk = await goldenDisk();
    await disk.remove("/data/checkpoint");
    await disk.removeFolder("/data/consumequeue");
    const clock = new ManualClock();
    const store = await openStore(disk, { ...goldenOptions, clock });
    assert.deepEqual(await readQueue(store, "orders", 1), goldenQueues[1]);
    await store.close();
  });

  it("writes the same bytes today", async () => {
    const disk = await makeGoldenStore();
    assert.deepEqual(filesOf(disk), goldenFiles().toSorted());
    for (const name of goldenFiles()) {
      const old = readFileSync(`${goldenFolder}/${name}`);
      assert.deepEqual(disk.bytesOf(`/data/${name}`), old, name);
    }
  });

  it("is what docs/format/commit-log.md shows", () => {
    const topicBytes = Buffer.from("orders");
    const draft = {
      type: RecordType.message,
      topic: "orders",
      queueId: 3,
      systemProperties: Buffer.from("\n\x07created"),
      userProperties: new Uint8Array(0),
      body: Buffer.from("hello"),
      ...created,
    };
    const stamp = {
      position: 80,
      queueOffset: 7,
      epoch: 1,
      storeTimeMs: 1_700_000_000_000,
      groupRest: 0,
    };
    const buffer = allocateRecordBuffer(recordSize(draft, topicBytes.length));
    encodeRecord(buffer, 0, { draft, topicBytes }, stamp);
    assert.deepEqual(examples("commit-log.md"), [buffer.bytes]);
  });

  it("is what docs/format/consume-queue.md shows", () => {
    const chunk = new EntryChunk(7);
    chunk.add({ position: 80, size: 104, ...created });
    assert.deepEqual(examples("consume-queue.md"), [Buffer.from(chunk.bytes(7, 8))]);
  });

  it("is what docs/format/checkpoint.md shows", () => {
    const mark = { sequence: 5, position: 184, bootId: "3f1c2d64-8a0e-4f57-9b5d-0c6f3f3f9a11" };
    assert.deepEqual(examples("checkpoint.md"), [encodeFlushMark(mark)]);
    const page = readFileSync(
      new URL("../../docs/format/checkpoint.md", import.meta.url),
      "utf8",
    ).replaceAll("\n    ", "\n");
    assert.ok(page.includes(readFileSync(`${goldenFolder}/checkpoint`, "utf8")));
  });
});
