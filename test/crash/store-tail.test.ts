// A small log whose tail is cut and damaged at every byte: what was acknowledged is there, in order,
// no group is torn, and damage is never cut away silently.
import assert from "node:assert/strict";
import { MqError } from "../../base/index.ts";
import {
  beginStore,
  deferred,
  draft,
  MemoryLogger,
  openStore,
  readQueue,
  scanAll,
  send,
  until,
} from "../../broker/store/testkit/open-store.ts";
import { seededRandom } from "../../broker/store/testkit/seeded-random.ts";
import { SimulatedDisk } from "../../broker/store/testkit/simulated-disk.ts";

const logPath = `/data/commitlog/${"0".repeat(20)}`;

interface Scene {
  readonly disk: SimulatedDisk;
  /** Where the acknowledged part of the log ends. */
  readonly ackedEnd: number;
  /** Ends of groups behind it. */
  readonly laterEnds: readonly number[];
  readonly acked: readonly string[];
  readonly later: readonly (readonly string[])[];
}

/** Two acknowledged messages, then groups that are written and were never answered; then kill -9. */
async function makeScene(): Promise<Scene> {
  const disk = new SimulatedDisk();
  const store = await beginStore(disk);
  const acked = ["a0", "a1", "a2"];
  await store.append([draft("a0"), draft("a1")]);
  await send(store, "a2");
  const ackedEnd = store.end;
  const { promise: held } = deferred();
  disk.onOperation = ({ kind }) => (kind === "datasync" ? held : undefined);
  const later = [["b0"], ["b1", "b2", "b3"], ["b4"]];
  const laterEnds: number[] = [];
  for (const texts of later) {
    store.append(texts.map((text) => draft(text))).catch(() => {});
    laterEnds.push(store.end);
  }
  await until(() => store.written === store.end);
  disk.kill();
  return { disk, ackedEnd, laterEnds, acked, later };
}

/** What a log whose good part ends at `end` has to hold. */
function expected(scene: Scene, end: number): string[] {
  const whole = scene.later.filter((_, index) => (scene.laterEnds[index] ?? 0) <= end);
  return [...scene.acked, ...whole.flat()];
}

async function isCorrupt(disk: SimulatedDisk): Promise<MqError | undefined> {
  try {
    const store = await openStore(disk);
    await store.close();
    return undefined;
  } catch (error) {
    if (error instanceof MqError && error.code === "CORRUPT") return error;
    throw error;
  }
}

describe("crash: the tail of the log", () => {
  it("is found whole after a killed process", async () => {
    const scene = await makeScene();
    const store = await beginStore(scene.disk);
    assert.deepEqual(await readQueue(store), expected(scene, Number.POSITIVE_INFINITY));
    await store.close();
  });

  it("may be cut at every byte", async () => {
    const scene = await makeScene();
    const log = scene.disk.bytesOf(logPath);
    for (let end = scene.ackedEnd; end <= log.length; end += 1) {
      const disk = scene.disk.copy();
      disk.put(logPath, log.subarray(0, end));
      const logger = new MemoryLogger();
      const store = await beginStore(disk, { logger });
      assert.deepEqual(await readQueue(store), expected(scene, end), `cut at ${end}`);
      const isWhole = end === scene.ackedEnd || scene.laterEnds.includes(end);
      assert.equal(logger.lines.length, isWhole ? 0 : 1, `cut at ${end} is said once`);
      assert.equal((await send(store, "next")).queueOffset, expected(scene, end).length);
      assert.deepEqual(await readQueue(store), [...expected(scene, end), "next"]);
      await store.close();
    }
  });

  it("may be damaged at every byte by a power cut", async () => {
    const scene = await makeScene();
    const log = scene.disk.bytesOf(logPath);
    for (let place = scene.ackedEnd; place < log.length; place += 1) {
      const disk = scene.disk.copy();
      disk.cutPower("kept", seededRandom(place));
      const damaged = Buffer.from(log);
      damaged[place] = (damaged[place] ?? 0) ^ 0x5a;
      disk.put(logPath, damaged);
      const store = await beginStore(disk);
      // The group that holds the byte goes, and all behind it.
      const good = scene.laterEnds.filter((end) => end <= place);
      assert.deepEqual(
        await readQueue(store),
        expected(scene, good.at(-1) ?? scene.ackedEnd),
        `flip at ${place}`,
      );
      await send(store, "next");
      await store.close();
    }
  });

  it("stops the start when a byte changes before good records and the machine never stopped", async () => {
    const scene = await makeScene();
    const log = scene.disk.bytesOf(logPath);
    const lastStart = scene.laterEnds[1] ?? 0;
    for (let place = 0; place < log.length; place += 1) {
      const disk = scene.disk.copy();
      const damaged = Buffer.from(log);
      damaged[place] = (damaged[place] ?? 0) ^ 0x5a;
      disk.put(logPath, damaged);
      const error = await isCorrupt(disk);
      if (place >= lastStart) {
        assert.equal(error, undefined, `flip at ${place}: the last record is a torn one`);
        continue;
      }
      assert.ok(error, `flip at ${place}`);
      assert.equal(error.facts["file"], logPath);
      assert.ok(Number(error.facts["position"]) <= place);
      assert.deepEqual(disk.bytesOf(logPath), damaged, "nothing was changed");
    }
  });

  it("stops the start at every changed or missing byte of what is known to be flushed", async () => {
    const disk = new SimulatedDisk();
    const first = await beginStore(disk);
    for (const text of ["a", "b", "c"]) await send(first, text);
    await first.close();
    const log = disk.bytesOf(logPath);
    for (let place = 0; place < log.length; place += 1) {
      const flipped = disk.copy();
      flipped.cutPower("kept", seededRandom(1));
      const damaged = Buffer.from(log);
      damaged[place] = (damaged[place] ?? 0) ^ 0x01;
      flipped.put(logPath, damaged);
      const error = await isCorrupt(flipped);
      assert.ok(error, `flip at ${place}`);
      assert.match(error.message, /position \d+ in \/data\/commitlog\/0+ /);
      const cut = disk.copy();
      cut.put(logPath, log.subarray(0, place));
      assert.ok(await isCorrupt(cut), `cut at ${place}`);
    }
  });

  it("names the later segment that is damaged, and the one that is missing", async () => {
    const disk = new SimulatedDisk();
    const options = { mappedFileSizeCommitLog: 1_024 };
    const store = await beginStore(disk, options);
    for (let index = 0; index < 40; index += 1) await send(store, `${index}`);
    await store.close();
    const logs = disk.paths().filter((path) => path.includes("commitlog"));
    assert.ok(logs.length > 3);
    for (const path of logs) {
      const damaged = disk.copy();
      const bytes = damaged.bytesOf(path);
      bytes[100] = (bytes[100] ?? 0) ^ 1;
      damaged.put(path, bytes);
      assert.equal((await isCorrupt(damaged))?.facts["file"], path);
    }
    for (const path of logs.slice(1)) {
      const missing = disk.copy();
      await missing.remove(path);
      assert.ok(await isCorrupt(missing), `without ${path}`);
    }
  });

  it("finds damage that the last checkpoint covers, within what every start verifies", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    for (let index = 0; index < 30; index += 1) await send(store, `${index}`);
    await store.checkpoint();
    await send(store, "last");
    disk.kill();
    const bytes = disk.bytesOf(logPath);
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    disk.put(logPath, bytes);
    assert.ok(await isCorrupt(disk));
    // Beyond that the start does not look: the reader of that record is told.
    const later = await openStore(disk, { verifySizeBytes: 400 });
    await assert.rejects(
      scanAll(later),
      (error) => error instanceof MqError && error.code === "CORRUPT",
    );
    await later.close();
  });

  it("stops the start when a file is missing or short, also where the start does not look", async () => {
    const disk = new SimulatedDisk();
    const options = { mappedFileSizeCommitLog: 1_024, verifySizeBytes: 100 };
    const store = await beginStore(disk, options);
    for (let index = 0; index < 40; index += 1) await send(store, `${index}`);
    await store.close();
    const logs = disk.paths().filter((path) => path.includes("commitlog"));
    const [first = "", second = ""] = logs;
    assert.ok(logs.length > 3);
    for (const damage of ["missing", "short"] as const) {
      const damaged = disk.copy();
      if (damage === "missing") await damaged.remove(second);
      else damaged.put(second, damaged.bytesOf(second).subarray(0, 500));
      const before = damaged.paths();
      const place =
        damage === "missing" ? Number(second.slice(-20)) : Number(second.slice(-20)) + 500;
      await assert.rejects(openStore(damaged, options), (error) => {
        assert.ok(error instanceof MqError && error.code === "CORRUPT");
        assert.equal(error.facts["file"], damage === "missing" ? first : second);
        assert.equal(error.facts["position"], place);
        return true;
      });
      assert.deepEqual(damaged.paths(), before);
    }
  });

  it("rebuilds queues when their folder is gone but the checkpoint is there", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    for (let index = 0; index < 5; index += 1) {
      await send(store, `${index}`);
      await send(store, `other ${index}`, { topic: "other" });
    }
    await store.close();
    for (const folder of ["/data/consumequeue", "/data/consumequeue/other"]) {
      const copy = disk.copy();
      await copy.removeFolder(folder);
      const again = await openStore(copy);
      assert.equal((await readQueue(again)).length, 5);
      assert.equal((await readQueue(again, "other")).length, 5);
      await again.close();
    }
  });

  it("does not cut records of a newer format", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    await send(store, "one");
    const { end } = store;
    disk.kill();
    const bytes = Buffer.alloc(200);
    bytes.writeUInt32BE(0x434d5132, 4);
    disk.put(`/data/commitlog/${String(end).padStart(20, "0")}`, bytes);
    assert.match((await isCorrupt(disk))?.message ?? "", /newer release/);
  });

  it("rebuilds queues when checkpoint and queue files are gone or nonsense", async () => {
    const disk = new SimulatedDisk();
    const store = await beginStore(disk);
    const texts = Array.from({ length: 50 }, (_, index) => `${index}`);
    for (const text of texts) await send(store, text);
    await store.close();
    for (const damage of ["missing", "nonsense"] as const) {
      const copy = disk.copy();
      if (damage === "missing") await copy.remove("/data/checkpoint");
      else copy.put("/data/checkpoint", Buffer.from("cometmq-checkpoint-1 00000000\n{}"));
      await copy.removeFolder("/data/consumequeue");
      const again = await openStore(copy);
      assert.deepEqual(await readQueue(again), texts);
      await again.close();
    }
  });
});
