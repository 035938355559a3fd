import assert from "node:assert/strict";
import * as fc from "fast-check";
import { limits, MqError, position } from "../../base/index.ts";
import { RecordType } from "./record.ts";
import { ManualClock } from "./testkit/manual-clock.ts";
import {
  beginStore,
  deferred,
  draft,
  openStore,
  readQueue,
  scanAll,
  send,
  textOf,
  until,
} from "./testkit/open-store.ts";
import { SimulatedDisk, systemError } from "./testkit/simulated-disk.ts";

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof MqError && error.code === expected;
}

describe("store", () => {
  it("appends, reads back from memory and files, and goes on after a restart", async () => {
    const disk = new SimulatedDisk();
    const first = await beginStore(disk);
    const one = await send(first, "one");
    const two = await send(first, "two", { queueId: 1 });
    const three = await send(first, "three");
    assert.deepEqual([one.queueOffset, two.queueOffset, three.queueOffset], [0, 0, 1]);
    assert.equal(two.position, one.position + one.size);
    assert.equal(textOf(first.read(one.position, one.size)), "one");
    await first.close();

    const second = await beginStore(disk);
    assert.equal(second.epoch, 2);
    assert.equal(second.read(one.position, one.size), undefined);
    const [cold] = await second.readCold([{ position: one.position, size: one.size }]);
    assert.equal(textOf(cold), "one");
    assert.equal((await send(second, "four")).queueOffset, 2);
    assert.deepEqual(await readQueue(second), ["one", "three", "four"]);
    assert.deepEqual(await readQueue(second, "t", 1), ["two"]);
    assert.deepEqual(
      (await scanAll(second)).map((record) => textOf(record) || `type ${record.type}`),
      ["type 7", "one", "two", "three", "type 7", "four"],
    );
    await second.close();
  });

  it("copies what it is given before append returns", async () => {
    const store = await beginStore();
    const body = Buffer.from("before");
    const appending = store.append([{ ...draft(""), body }]);
    body.write("after!");
    const [appended] = await appending;
    assert.ok(appended);
    assert.equal(textOf(store.read(appended.position, appended.size)), "before");
    await store.close();
  });

  it("takes many appends in one write and one flush", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    const seen: string[] = [];
    disk.onOperation = ({ kind, path }) => {
      if (path.includes("commitlog") && kind !== "open") seen.push(kind);
    };
    await Promise.all(Array.from({ length: 100 }, (_, index) => send(store, `m${index}`)));
    assert.deepEqual(seen, ["write", "datasync"]);
    await store.close();
  });

  it("answers SYNC_FLUSH after the flush, and shows a message no earlier", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    const { promise: held, resolve: release } = deferred();
    disk.onOperation = ({ kind, path }) =>
      kind === "datasync" && path.includes("commitlog") ? held : undefined;
    let isAnswered = false;
    const sending = send(store, "slow").finally(() => {
      isAnswered = true;
    });
    await until(() => store.written === store.end);
    assert.equal(store.queue("t", 0)?.endOffset, 0);
    assert.equal(store.queue("t", 0)?.nextOffset, 1);
    assert.equal(isAnswered, false);
    release();
    await sending;
    assert.equal(store.queue("t", 0)?.endOffset, 1);
    await store.close();
  });

  it("answers ASYNC_FLUSH after the write and flushes by itself", async () => {
    const disk = new SimulatedDisk();
    const clock = new ManualClock();
    const store = await beginStore(disk, { flushDiskType: "ASYNC_FLUSH", clock });
    await send(store, "one");
    assert.ok(store.flushed < store.end);
    clock.pass(500);
    await until(() => store.flushed === store.end);
    await send(store, "two");
    await store.flushTo(store.end);
    assert.equal(store.flushed, store.end);
    await store.close();
  });

  it("refuses an append whose flush takes too long, and shows it later", async () => {
    const disk = new SimulatedDisk();
    const clock = new ManualClock();
    const store = await beginStore(disk, { clock, syncFlushTimeoutMs: 1_000 });
    const { promise: held, resolve: release } = deferred();
    disk.onOperation = ({ kind }) => (kind === "datasync" ? held : undefined);
    const sending = assert.rejects(send(store, "slow"), code("MASTER_PERSISTENCE_TIMEOUT"));
    await until(() => store.written === store.end);
    clock.pass(2_000);
    await sending;
    release();
    await until(() => store.queue("t", 0)?.endOffset === 1);
    await store.close();
  });

  it("refuses what the disk cannot follow, and takes it when it has: TOO_MANY_REQUESTS", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    const { promise: held, resolve: release } = deferred();
    disk.onOperation = ({ kind }) => (kind === "write" ? held : undefined);
    const large = { body: Buffer.alloc(4_000_000) };
    const sent: Promise<unknown>[] = [];
    while (store.stats.behindBytes <= limits.appendBacklogSizeMax)
      sent.push(send(store, "", large));
    await assert.rejects(send(store, "one more"), code("TOO_MANY_REQUESTS"));
    assert.equal(store.stats.refusedSends, 1);
    assert.ok(store.stats.behindBytes < limits.appendBacklogSizeMax + 8_000_000);
    release();
    await Promise.all(sent);
    await send(store, "later");
    assert.equal(store.queue("t", 0)?.endOffset, sent.length + 1);
    await store.close();
  });

  it("tells followers in log order, before the append is answered", async () => {
    const store = await beginStore();
    const heard: string[] = [];
    store.subscribe({
      apply: (record) => heard.push(`apply ${textOf(record)}`),
      arrived: (queue, endOffset) => heard.push(`${queue.topic}/${queue.queueId} ${endOffset}`),
      confirmed: (place) => heard.push(place === store.end ? "confirmed" : "partly"),
    });
    const meta = { type: RecordType.metadata, topic: "", queueId: -1 };
    await Promise.all([
      store.append([draft("a"), draft("b"), draft("m1", meta)]),
      store.append([draft("m2", meta)]),
      send(store, "c", { queueId: 1 }),
    ]).then(() => heard.push("answered"));
    assert.deepEqual(heard, ["apply m1", "apply m2", "t/0 2", "t/1 1", "confirmed", "answered"]);
    await store.close();
  });

  it("gives delivered timers a queue offset and tells them as records too", async () => {
    const store = await beginStore();
    const applied: number[] = [];
    store.subscribe({ apply: (record) => applied.push(record.type) });
    await send(store, "due", { type: RecordType.deliveredTimer });
    assert.deepEqual(applied, [RecordType.deliveredTimer]);
    assert.deepEqual(await readQueue(store), ["due"]);
    await store.close();
  });

  it("keeps store times in order when the clock jumps back", async () => {
    const clock = new ManualClock();
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, { clock });
    const one = await send(store, "one");
    clock.jump(-3_600_000);
    const two = await send(store, "two");
    assert.equal(two.storeTimeMs, one.storeTimeMs);
    await store.close();
    const next = await beginStore(disk, { clock });
    assert.ok((await send(next, "three")).storeTimeMs >= one.storeTimeMs);
    await next.close();
  });

  it("finds offsets by time as a plain array does", async () => {
    const clock = new ManualClock();
    const store = await beginStore(new SimulatedDisk(), { clock, tailCacheSizeBytes: 1 });
    const times: number[] = [];
    for (let index = 0; index < 40; index += 1) {
      clock.pass((index * 7) % 5);
      times.push((await send(store, `${index}`)).storeTimeMs);
    }
    const queue = store.ensureQueue("t", 0);
    const first = times[0] ?? 0;
    for (let timeMs = first - 2; timeMs < first + 90; timeMs += 1) {
      const found = times.findIndex((time) => time >= timeMs);
      assert.equal(await queue.offsetByTime(timeMs), found === -1 ? times.length : found);
    }
    await store.close();
  });

  it("rolls segments without a record across two files", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, { mappedFileSizeCommitLog: 512 });
    for (let index = 0; index < 20; index += 1) await send(store, `${index}`.repeat(60));
    await send(store, "x".repeat(2_000));
    await send(store, "end");
    const logs = disk.paths().filter((path) => path.includes("commitlog"));
    assert.ok(logs.length > 5);
    let end = 0;
    for (const path of logs) {
      assert.equal(Number(path.slice(-20)), end);
      end += disk.bytesOf(path).length;
    }
    assert.equal(end, store.end);
    const starts = new Set((await scanAll(store)).map((record) => Number(record.position)));
    for (const path of logs) assert.ok(starts.has(Number(path.slice(-20))));
    await store.close();
    const again = await openStore(disk, { mappedFileSizeCommitLog: 512 });
    assert.equal((await scanAll(again)).length, 23);
    await again.close();
  });

  it("takes nothing before it has begun, and nothing after it is closed", async () => {
    const store = await openStore();
    await assert.rejects(send(store, "early"), code("SHUTTING_DOWN"));
    await store.begin();
    await send(store, "in time");
    const last = send(store, "last");
    await store.close();
    await last;
    await store.close();
    await assert.rejects(send(store, "late"), code("SHUTTING_DOWN"));
  });

  it("refuses a record that is too large, and all of its group", async () => {
    const store = await beginStore();
    const { end } = store;
    const huge = { ...draft("huge"), body: new Uint8Array(64 * 1024 * 1024) };
    await assert.rejects(store.append([draft("ok"), huge]), code("MESSAGE_BODY_TOO_LARGE"));
    assert.equal(store.end, end);
    await store.close();
  });

  it("continues the offsets of a topic that was deleted and made again", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    await send(store, "one");
    const pending = send(store, "two");
    store.deleteTopic("t", []);
    await pending;
    assert.equal(store.queue("t", 0), undefined);
    assert.equal((await send(store, "three")).queueOffset, 2);
    assert.deepEqual(await readQueue(store), ["three"]);
    await store.close();
    const again = await openStore(disk);
    assert.deepEqual(await readQueue(again), ["three"]);
    await again.close();
  });

  it("continues all queues of a topic that was deleted twice", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    for (let index = 0; index < 3; index += 1) await send(store, "old", { queueId: 1 });
    store.deleteTopic("t", []);
    await send(store, "made again");
    store.deleteTopic("t", []);
    assert.equal((await send(store, "new", { queueId: 1 })).queueOffset, 3);
    await store.close();
    const again = await beginStore(disk);
    assert.deepEqual(await readQueue(again, "t", 1), ["new"]);
    assert.equal((await send(again, "newer")).queueOffset, 1);
    await again.close();
  });

  it("opens below a folder that it may not read, and says when there is no space to open", async () => {
    const disk = new SimulatedDisk();
    disk.onOperation = ({ kind, path }) => {
      if (kind === "datasync" && path === "/") throw systemError("EACCES", "not yours");
    };
    const store = await beginStore(disk);
    await send(store, "one");
    await store.close();
    disk.onOperation = ({ kind, path }) => {
      if (kind === "open" && path.endsWith("/flushed")) throw systemError("ENOSPC", "write");
    };
    await assert.rejects(openStore(disk), (error: MqError) => {
      assert.equal(error.code, "DISK_FULL");
      assert.match(error.message, /no space left on the disk of \/data/);
      return true;
    });
    disk.onOperation = undefined;
    await (await openStore(disk)).close();
  });

  it("continues queues whose messages have all expired", async () => {
    const store = await openStore();
    store.restoreQueues([{ topic: "t", queueId: 0, minOffset: 40, nextOffset: 42 }]);
    await store.begin();
    assert.equal((await send(store, "on")).queueOffset, 42);
    assert.deepEqual(await readQueue(store), ["on"]);
    await store.close();
  });

  for (const [kind, step] of [
    ["write", "writing"],
    ["datasync", "flushing"],
  ] as const) {
    it(`takes no writes after ${step} has failed, and says the first reason`, async () => {
      const disk = new SimulatedDisk();
      const store = await beginStore(disk);
      const kept = await send(store, "kept");
      disk.onOperation = (operation) => {
        if (operation.kind === kind && operation.path.includes("commitlog")) {
          throw systemError("EIO", "the disk is gone");
        }
      };
      await assert.rejects(send(store, "lost"), code("STORE_FAILED"));
      disk.onOperation = undefined;
      await assert.rejects(send(store, "later"), /the disk is gone/);
      await assert.rejects(store.flushTo(store.end), code("STORE_FAILED"));
      assert.equal(store.failure?.code, "STORE_FAILED");
      assert.equal(textOf(store.read(kept.position, kept.size)), "kept");
      assert.deepEqual(await readQueue(store), ["kept"]);
      await store.close();
      const again = await beginStore(disk);
      assert.equal((await readQueue(again))[0], "kept");
      await send(again, "works");
      await again.close();
    });
  }

  for (const folder of ["commitlog", "consumequeue"]) {
    it(`names the file of ${folder} that its disk cannot read, and reads it when it can`, async () => {
      const disk = new SimulatedDisk();
      const first = await beginStore(disk);
      const { position, size } = await send(first, "kept");
      await first.close();
      const store = await beginStore(disk);
      disk.onOperation = ({ kind, path }) => {
        if (kind === "read" && path.includes(folder)) throw systemError("EIO", "bad sector");
      };
      const read = (): Promise<unknown> =>
        folder === "commitlog" ? store.readCold([{ position, size }]) : readQueue(store);
      await assert.rejects(read(), code("READ_FAILED"));
      await assert.rejects(read(), new RegExp(`${folder}.* cannot be read: EIO: bad sector`));
      disk.onOperation = undefined;
      assert.deepEqual(await readQueue(store), ["kept"]);
      await store.close();
    });
  }

  it("survives a failing write of queue files by ending writes", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    await send(store, "one");
    disk.onOperation = ({ kind, path }) => {
      if (kind === "write" && path.includes("consumequeue")) throw systemError("EIO", "broken");
    };
    await assert.rejects(store.checkpoint(), /broken/);
    await store.close();
    const again = await openStore(disk);
    assert.deepEqual(await readQueue(again), ["one"]);
    await again.close();
  });

  it("has no more than the allowed queue files open with 10,000 queues", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk, { flushDiskType: "ASYNC_FLUSH" });
    const group = Array.from({ length: 10_000 }, (_, index) =>
      draft("m", { topic: `t${index % 100}`, queueId: Math.floor(index / 100) }),
    );
    await store.append(group);
    await store.checkpoint();
    assert.equal(store.stats.queueCount, 10_000);
    assert.ok(disk.openMost < 250, `${disk.openMost} files were open`);
    await store.append(group);
    await store.close();
    const again = await openStore(disk);
    assert.equal(again.stats.queueCount, 10_000);
    assert.equal(again.queue("t99", 99)?.endOffset, 2);
    await again.close();
  }).timeout(20_000);

  it("reads queues as plain arrays do, whatever is in memory", async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("send"),
        queueId: fc.nat(2),
        count: fc.integer({ min: 1, max: 40 }),
      }),
      fc.record({ kind: fc.constant("checkpoint") }),
      fc.record({ kind: fc.constant("restart") }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const disk = new SimulatedDisk();
        const small = {
          queueFileEntries: 16,
          queueCacheSizeBytes: 1_024,
          tailCacheSizeBytes: 1,
          mappedFileSizeCommitLog: 4_096,
        };
        let store = await beginStore(disk, small);
        const model: string[][] = [[], [], []];
        for (const action of steps) {
          if (action.kind === "send" && "queueId" in action) {
            const texts = Array.from({ length: action.count }, (_, index) => `${index}`);
            await store.append(texts.map((text) => draft(text, { queueId: action.queueId })));
            model[action.queueId]?.push(...texts);
          } else if (action.kind === "checkpoint") await store.checkpoint();
          else {
            await store.close();
            store = await beginStore(disk, small);
          }
        }
        for (const [queueId, texts] of model.entries()) {
          assert.deepEqual(await readQueue(store, "t", queueId), texts);
        }
        await store.close();
      }),
      { numRuns: 30 },
    );
  }).timeout(20_000);

  it("finds the epoch of every place", async () => {
    const disk = new SimulatedDisk();
    for (let reign = 0; reign < 3; reign += 1) {
      const store = await beginStore(disk);
      await send(store, "x");
      await store.close();
    }
    const store = await openStore(disk);
    assert.deepEqual(
      store.epochs.map(({ epoch }) => epoch),
      [1, 2, 3],
    );
    const records = await scanAll(store);
    for (const { epoch, position: start } of store.epochs) {
      const record = records.find((one) => one.position === start);
      assert.deepEqual([record?.type, record?.epoch], [RecordType.epochStart, epoch]);
    }
    assert.equal(store.start, position(0));
    await store.close();
  });
});
