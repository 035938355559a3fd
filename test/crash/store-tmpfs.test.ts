// A really full file system: a small tmpfs, filled to its last byte by somebody else. Needs the right
// to mount; without it the simulated disk of store-full-disk.test.ts has to do.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { MqError, silentLogger, systemClock } from "../../base/index.ts";
import { nodeDisk, Store, type StoreOptions } from "../../broker/store/index.ts";
import { draft, readQueue, send } from "../../broker/store/testkit/open-store.ts";

const sizeBytes = 8_388_608;

function mounts(...parts: readonly string[]): boolean {
  return spawnSync(parts[0] ?? "", parts.slice(1), { stdio: "ignore" }).status === 0;
}

function open(folder: string, given: Partial<StoreOptions> = {}): Promise<Store> {
  const options = { disk: nodeDisk, clock: systemClock, logger: silentLogger, folder };
  return Store.open({ ...options, cleanResourceIntervalMs: 200, ...given });
}

/** The heads of texts, short enough for a failure's message. */
function heads(texts: readonly string[]): string[] {
  return texts.map((text) => text.slice(0, 10));
}

/** Sends until it is refused; gives what was acknowledged. */
async function fill(store: Store, name: string): Promise<string[]> {
  const acked: string[] = [];
  for (let index = 0; index < 100_000; index += 1) {
    const text = `${name} ${index} `.padEnd(4_000, ".");
    try {
      await store.append([draft(text), draft(text)]);
      acked.push(text, text);
    } catch (error) {
      assert.ok(error instanceof MqError && error.code === "DISK_FULL", String(error));
      return acked;
    }
  }
  throw new Error("the file system is never full");
}

/** Waits until sending works again. */
async function sendAgain(store: Store, text: string): Promise<void> {
  const deadlineMs = performance.now() + 15_000;
  for (;;) {
    try {
      await send(store, text);
      return;
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

describe("full file system", () => {
  let folder: string;

  before(async function () {
    folder = await mkdtemp(`${tmpdir()}/cometmq-full-`);
    const size = `size=${sizeBytes}`;
    if (mounts("mount", "-t", "tmpfs", "-o", size, "tmpfs", folder)) return;
    await rm(folder, { recursive: true });
    this.skip();
  });

  after(async () => {
    if (!mounts("umount", "--lazy", folder)) return;
    await rm(folder, { recursive: true });
  });

  it("refuses messages, keeps and shows what is stored, and goes on when there is space", async () => {
    const noWatermark = {
      diskMaxUsedSpaceRatio: 101,
      diskSpaceCleanForciblyRatio: 101,
      diskSpaceWarningLevelRatio: 101,
      mappedFileSizeCommitLog: 300_000,
      // With no byte left retention would let old segments go.
      cleanResourceIntervalMs: 3_600_000,
    };
    const data = `${folder}/data`;
    const other = `${folder}/other`;
    const store = await open(data, noWatermark);
    await store.begin();
    const writer = createWriteStream(other);
    writer.end(Buffer.alloc(sizeBytes / 2));
    await once(writer, "close");
    const acked = await fill(store, "one");
    assert.ok(acked.length > 100);
    assert.deepEqual(heads(await readQueue(store)), heads(acked));
    await rm(other);
    await sendAgain(store, "again");
    acked.push("again", ...(await fill(store, "two")));
    assert.deepEqual(heads(await readQueue(store)), heads(acked));
    assert.equal(store.failure, undefined);
    await store.close();

    const next = await open(data, noWatermark);
    assert.deepEqual(heads(await readQueue(next)), heads(acked));
    await next.close();
    await rm(data, { recursive: true });
  }).timeout(30_000);

  it("refuses at the watermark and lets old segments go", async () => {
    const store = await open(`${folder}/data`, { mappedFileSizeCommitLog: 500_000 });
    await store.begin();
    await fill(store, "one");
    const { freeBytes } = await nodeDisk.space(folder);
    assert.ok(freeBytes >= sizeBytes * 0.09, `${freeBytes} bytes are free`);
    await sendAgain(store, "after retention");
    assert.ok(store.start > 0);
    assert.equal((await readQueue(store)).at(-1), "after retention");
    await store.close();
  }).timeout(30_000);
});
