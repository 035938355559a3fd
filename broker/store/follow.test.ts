import assert from "node:assert/strict";
import * as fc from "fast-check";
import { MqError, silentLogger } from "../../base/index.ts";
import { cutLog, eraseLog } from "./log-cut.ts";
import type { Quorum } from "./quorum.ts";
import type { Store } from "./store.ts";
import {
  beginStore,
  openStore,
  readQueue,
  scanAll,
  send,
  textOf,
  until,
} from "./testkit/open-store.ts";
import { seededRandom } from "./testkit/seeded-random.ts";
import { SimulatedDisk } from "./testkit/simulated-disk.ts";

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof MqError && error.code === expected;
}

/** Follows everything that is durable on both sides, in pieces of `size` bytes. */
async function copy(master: Store, slave: Store, size = 1_000_000): Promise<void> {
  while (slave.taken < master.written) {
    const bytes = await master.readLog(slave.taken, { sizeMax: size });
    assert.ok(bytes !== undefined && bytes.length > 0);
    const sent = Buffer.from(bytes);
    slave.ingest(sent);
    // The memory of a link is used again.
    sent.fill(0xff);
  }
  await until(() => slave.confirmed === master.confirmed);
}

async function logOf(store: Store): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (let at: number = store.start; at < store.written; ) {
    const bytes = await store.readLog(at, { sizeMax: 4_096 });
    assert.ok(bytes !== undefined && bytes.length > 0);
    parts.push(bytes);
    at += bytes.length;
  }
  return Buffer.concat(parts);
}

async function follower(disk = new SimulatedDisk(), given = {}): Promise<Store> {
  const store = await openStore(disk, given);
  await store.follow();
  return store;
}

describe("a store that is read for others", () => {
  it("gives whole groups where they fit, into memory that it is given", async () => {
    const disk = new SimulatedDisk();
    const first = await beginStore(disk);
    for (let index = 0; index < 40; index += 1) await send(first, "x".repeat(index * 9));
    const end = first.end;
    await first.close();
    const store = await openStore(disk);
    const memory = Buffer.alloc(2_048);
    const ends = new Set<number>();
    for await (const records of store.scan(0)) {
      for (const { position, size } of records) ends.add(position + size);
    }
    let reads = 0;
    for (let at = 0; at < end; reads += 1) {
      const bytes = await store.readLog(at, { sizeMax: memory.length, memory: () => memory });
      assert.ok(bytes !== undefined && bytes.length > 0);
      assert.equal(bytes.buffer, memory.buffer);
      at += bytes.length;
      assert.ok(ends.has(at), `a read ended at ${at}, inside a record`);
    }
    assert.ok(reads > 3);
    const piece = await store.readLog(0, { sizeMax: 20 });
    assert.equal(piece?.length, 20, "a part of a record when no more is wanted");
    await store.close();
  });
});

describe("a store that follows", () => {
  it("is byte for byte what its master wrote, whatever the pieces, and lets the same be read", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 700 }),
        async (sizes, piece) => {
          const master = await beginStore(new SimulatedDisk(), { mappedFileSizeCommitLog: 2_048 });
          const disk = new SimulatedDisk();
          const slave = await follower(disk, { mappedFileSizeCommitLog: 2_048 });
          for (const [index, size] of sizes.entries()) {
            await send(master, `${index}`.padEnd(size, "x"), { queueId: index % 3 });
          }
          await copy(master, slave, piece);
          assert.ok((await logOf(master)).equals(await logOf(slave)));
          assert.deepEqual(slave.epochs, master.epochs);
          for (const queueId of [0, 1, 2]) {
            assert.deepEqual(
              await readQueue(slave, "t", queueId),
              await readQueue(master, "t", queueId),
            );
          }
          await slave.close();
          const again = await openStore(disk);
          assert.equal(again.end, master.end);
          assert.deepEqual(again.epochs, master.epochs);
          await again.close();
          await master.close();
        },
      ),
      { numRuns: 30 },
    );
  });

  it("takes no messages itself, and goes on as master in a new epoch", async () => {
    const master = await beginStore();
    await send(master, "one");
    const slave = await follower();
    await copy(master, slave);
    await assert.rejects(send(slave, "two"), code("NOT_MASTER"));
    await slave.begin(7);
    assert.equal(slave.epoch, 7);
    const two = await send(slave, "two");
    assert.equal(two.queueOffset, 1);
    assert.deepEqual(await readQueue(slave), ["one", "two"]);
    await slave.close();
    await master.close();
  });

  it("shows nothing beyond what its master has confirmed", async () => {
    const master = await beginStore();
    const slave = await follower();
    let limit = 0;
    const quorum: Quorum = {
      refusal: () => undefined,
      confirmed: (durable) => Math.min(durable, limit),
      answered: (durable) => durable,
      outcome: () => undefined,
    };
    slave.heed(quorum);
    const { position, size } = await send(master, "one");
    slave.ingest(Buffer.from((await master.readLog(0, { sizeMax: 1_000_000 })) ?? []));
    await until(() => slave.durable === master.end);
    assert.equal(slave.confirmed, 0);
    assert.deepEqual(await readQueue(slave), []);
    limit = position + size;
    slave.heed(quorum);
    assert.deepEqual(await readQueue(slave), ["one"]);
    limit = 0;
    slave.heed(quorum);
    assert.equal(slave.confirmed, position + size);
    await slave.close();
    await master.close();
  });

  it("refuses bytes that are no continuation of its log, and keeps what it has", async () => {
    const master = await beginStore();
    await send(master, "one");
    const slave = await follower();
    await copy(master, slave);
    const before = await logOf(slave);
    const bytes = Buffer.from((await master.readLog(0, { sizeMax: 1_000_000 })) ?? []);
    assert.throws(() => slave.ingest(Buffer.from(bytes)), code("CORRUPT"));
    await slave.close();
    const damaged = await follower();
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    assert.throws(() => damaged.ingest(bytes), code("CORRUPT"));
    await until(() => damaged.written === damaged.end);
    assert.ok(damaged.end < before.length);
    await damaged.close();
    await master.close();
  });

  it("may begin anywhere when it is empty, and survives a kill before its first byte", async () => {
    const disk = new SimulatedDisk();
    const source = await beginStore(new SimulatedDisk(), { mappedFileSizeCommitLog: 512 });
    for (let index = 0; index < 10; index += 1) await send(source, `${index}`.padEnd(300, "x"));
    const start = [...(await scanAll(source))][6]?.position ?? 0;
    const first = await openStore(disk);
    await first.follow(start);
    await first.close();
    const second = await openStore(disk);
    await second.follow(start);
    disk.kill();
    const slave = await openStore(disk);
    assert.equal(slave.end, 0);
    await slave.follow(start);
    assert.equal(slave.taken, start);
    await copy(source, slave);
    const texts = await readQueue(slave);
    assert.deepEqual(texts, (await readQueue(source)).slice(-texts.length));
    assert.equal(slave.start, start);
    assert.equal(slave.queue("t", 0)?.nextOffset, source.queue("t", 0)?.nextOffset);
    await slave.close();
    const again = await openStore(disk);
    assert.deepEqual(await readQueue(again), texts);
    await again.close();
    await source.close();
  });

  it("loses its beginning only when its master has", async () => {
    const options = { mappedFileSizeCommitLog: 512, fileReservedTimeHours: 0 };
    const master = await beginStore(new SimulatedDisk(), { mappedFileSizeCommitLog: 512 });
    const slave = await follower(new SimulatedDisk(), options);
    for (let index = 0; index < 10; index += 1) await send(master, `${index}`.padEnd(300, "x"));
    await copy(master, slave);
    await slave.clean();
    assert.equal(slave.start, 0);
    const [, , third] = await scanAll(master);
    slave.setFollowedStart(third?.position ?? 0);
    await slave.clean();
    assert.equal(slave.start, third?.position);
    await slave.close();
    await master.close();
  });

  it("keeps the queues of a topic that was deleted and made again as its master has them", async () => {
    const master = await beginStore();
    const slave = await follower();
    for (const text of ["one", "two"]) await send(master, text);
    await copy(master, slave);
    await send(master, "three");
    await copy(master, slave);
    slave.deleteTopic("t", [{ queueId: 0, nextOffset: 2 }]);
    assert.deepEqual(await readQueue(slave), ["three"]);
    await slave.close();
    await master.close();
  });
});

describe("cutting a log", () => {
  const place = (disk: SimulatedDisk) => ({
    disk,
    folder: "/data",
    commitLogFolder: "/data/commitlog",
    logger: silentLogger,
  });

  it("removes what is behind a position, keeps it in a side file, and the rest goes on", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, { mappedFileSizeCommitLog: 512 });
    await send(store, "one".padEnd(300));
    const { position } = await send(store, "two".padEnd(300));
    await send(store, "three".padEnd(300));
    const tail = Buffer.from((await store.readLog(position, { sizeMax: 1_000_000 })) ?? []);
    await store.close();
    const file = await cutLog(place(disk), position, "before");
    assert.ok(file !== undefined);
    assert.ok(disk.bytesOf(file).subarray(0, tail.length).equals(tail));
    const again = await beginStore(disk);
    assert.deepEqual(
      (await readQueue(again)).map((text) => text.trim()),
      ["one"],
    );
    assert.equal((await send(again, "new")).queueOffset, 1);
    await again.close();
  });

  it("can be done again when it was interrupted anywhere, with the power going too", async () => {
    for (let step = 0; step < 60; step += 1) {
      const disk = new SimulatedDisk();
      const store = await beginStore(disk, { mappedFileSizeCommitLog: 512 });
      await send(store, "one".padEnd(300));
      const { position } = await send(store, "two".padEnd(300));
      await send(store, "three".padEnd(300));
      await store.close();
      let left = step;
      const cutting = new Promise<boolean>((resolve) => {
        disk.onOperation = () => {
          left -= 1;
          if (left >= 0) return undefined;
          resolve(false);
          return new Promise<void>(() => {});
        };
        void cutLog(place(disk), position, "x").then(() => resolve(true));
      });
      const isDone = await cutting;
      disk.cutPower("lost", { next: () => 0.5, bytes: (count) => Buffer.alloc(count) });
      const between = await openStore(disk);
      assert.ok(between.end >= position);
      await between.close();
      await cutLog(place(disk), position, "x");
      const again = await openStore(disk);
      assert.equal(again.end, position);
      assert.equal(textOf((await scanAll(again)).at(-1))?.trim(), "one");
      await again.close();
      if (isDone) return;
    }
    assert.fail("the cut never came to its end");
  });

  it("can be erased again when that was interrupted anywhere, with the power going too", async () => {
    const options = { mappedFileSizeCommitLog: 2_000, flushDiskType: "ASYNC_FLUSH" as const };
    for (let step = 0; step < 60; step += 1) {
      const disk = new SimulatedDisk();
      const store = await beginStore(disk, options);
      await send(store, "flushed".padEnd(900));
      await store.flushTo(store.end);
      for (let index = 0; index < 8; index += 1) await send(store, `${index}`.padEnd(900));
      disk.kill();
      let left = step;
      const isDone = await new Promise<boolean>((resolve) => {
        disk.onOperation = () => {
          left -= 1;
          if (left >= 0) return undefined;
          resolve(false);
          return new Promise<void>(() => {});
        };
        void eraseLog(place(disk)).then(() => resolve(true));
      });
      disk.cutPower("garbled", seededRandom(step));
      const between = await openStore(disk, options);
      await between.close();
      await eraseLog(place(disk));
      const again = await openStore(disk, options);
      assert.equal(again.end, 0);
      await again.close();
      if (isDone) return;
    }
    assert.fail("the erasing never came to its end");
  });

  it("can be erased on a full disk", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    await send(store, "one");
    disk.kill();
    disk.capacityBytes = 0;
    await eraseLog(place(disk));
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    assert.deepEqual(disk.paths(), []);
  });

  it("erases a log so that another one can begin", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, { mappedFileSizeCommitLog: 512 });
    await send(store, "one".padEnd(300));
    await send(store, "two".padEnd(300));
    await store.close();
    await eraseLog(place(disk));
    const again = await openStore(disk);
    assert.equal(again.end, 0);
    assert.equal(again.epoch, 0);
    await again.close();
  });
});
