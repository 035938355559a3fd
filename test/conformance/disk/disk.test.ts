// What every Disk must do: the machine's and the simulated one.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { MqError } from "../../../base/index.ts";
import { readWhole, replaceWhole } from "../../../broker/store/disk.ts";
import { type Disk, nodeDisk } from "../../../broker/store/index.ts";
import { SimulatedDisk } from "../../../broker/store/testkit/simulated-disk.ts";

interface Subject {
  readonly disk: Disk;
  readonly folder: string;
  end(): Promise<void>;
}

const subjects: Readonly<Record<string, () => Promise<Subject>>> = {
  "node disk": async () => {
    const folder = await mkdtemp(`${tmpdir()}/cometmq-disk-`);
    return { disk: nodeDisk, folder, end: () => rm(folder, { recursive: true }) };
  },
  "simulated disk": async () => {
    const disk = new SimulatedDisk();
    await disk.makeFolder("/disk");
    return { disk, folder: "/disk", end: async () => {} };
  },
};

function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Error && "code" in error && error.code === code;
}

for (const [name, make] of Object.entries(subjects)) {
  describe(`disk conformance: ${name}`, () => {
    let subject: Subject;
    let disk: Disk;
    let folder: string;

    beforeEach(async () => {
      subject = await make();
      ({ disk, folder } = subject);
    });

    afterEach(() => subject.end());

    it("opens a missing file only when it may make it", async () => {
      await assert.rejects(disk.open(`${folder}/no`, { create: false }), withCode("ENOENT"));
      const file = await disk.open(`${folder}/yes`, { create: true });
      assert.equal(await file.size(), 0);
      await file.close();
      await (await disk.open(`${folder}/yes`, { create: false })).close();
    });

    it("writes anywhere, reads what is there, and fills gaps with zeros", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      await file.write(Buffer.from("hello"), 4);
      assert.equal(await file.size(), 9);
      const target = Buffer.alloc(20, 1);
      assert.equal(await file.read(target, 0), 9);
      assert.equal(target.subarray(0, 9).toString("latin1"), "\0\0\0\0hello");
      assert.equal(await file.read(target, 7), 2);
      assert.equal(await file.read(target, 9), 0);
      assert.equal(await file.read(target, 100), 0);
      await file.write(Buffer.from("J"), 4);
      assert.equal(await file.read(target.subarray(0, 2), 4), 2);
      assert.equal(target.toString("latin1", 0, 2), "Je");
      await file.datasync();
      await file.close();
    });

    it("does not change what was opened before with create", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      await file.write(Buffer.from("kept"), 0);
      await file.close();
      const again = await disk.open(`${folder}/a`, { create: true });
      assert.equal(await again.size(), 4);
      await again.close();
    });

    it("writes nothing for no bytes", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      await file.write(new Uint8Array(0), 10);
      assert.equal(await file.size(), 0);
      assert.equal(await file.read(new Uint8Array(0), 0), 0);
      await file.close();
    });

    it("writes parts one behind the other", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      const parts = Array.from({ length: 1_500 }, (_, index) => Buffer.alloc(index % 7, index));
      await file.writeAll(parts, 5);
      await file.writeAll([Buffer.from("alone")], 0);
      await file.writeAll([], 1_000_000);
      const found = await readWhole(disk, `${folder}/a`);
      assert.deepEqual(found, Buffer.concat([Buffer.from("alone"), ...parts]));
      await file.close();
    });

    it("cuts and extends", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      await file.write(Buffer.from("0123456789"), 0);
      await file.truncate(4);
      assert.equal(await file.size(), 4);
      await file.truncate(8);
      const target = Buffer.alloc(8, 1);
      assert.equal(await file.read(target, 0), 8);
      assert.equal(target.toString("latin1"), "0123\0\0\0\0");
      await file.close();
    });

    it("refuses a closed file", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      await file.close();
      await assert.rejects(file.write(Buffer.from("x"), 0), withCode("EBADF"));
    });

    it("reads, writes and syncs side by side", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      const parts = Array.from({ length: 16 }, (_, index) => Buffer.alloc(1_000, index + 1));
      await Promise.all(
        parts.flatMap((part, index) => [file.write(part, index * 1_000), file.datasync()]),
      );
      const found = await readWhole(disk, `${folder}/a`);
      assert.deepEqual(found, Buffer.concat(parts));
      await file.close();
    });

    it("renames over what is there", async () => {
      await replaceWhole(disk, { folder, name: "a" }, Buffer.from("one"));
      await replaceWhole(disk, { folder, name: "a" }, Buffer.from("second"));
      assert.equal((await readWhole(disk, `${folder}/a`))?.toString(), "second");
      assert.deepEqual(await disk.list(folder), ["a"]);
      await assert.rejects(disk.rename(`${folder}/none`, `${folder}/b`), withCode("ENOENT"));
    });

    it("lists sorted names of files and folders", async () => {
      for (const name of ["b", "a", "c"]) {
        await (await disk.open(`${folder}/${name}`, { create: true })).close();
      }
      await disk.makeFolder(`${folder}/aa/deep`);
      assert.deepEqual(await disk.list(folder), ["a", "aa", "b", "c"]);
      assert.deepEqual(await disk.list(`${folder}/missing`), []);
    });

    it("makes and removes folders and files, missing or not", async () => {
      await disk.makeFolder(`${folder}/x/y`);
      await disk.makeFolder(`${folder}/x/y`);
      await (await disk.open(`${folder}/x/y/f`, { create: true })).close();
      await disk.syncFolder(`${folder}/x/y`);
      await disk.removeFolder(`${folder}/x`);
      await disk.removeFolder(`${folder}/x`);
      assert.deepEqual(await disk.list(`${folder}/x`), []);
      await disk.remove(`${folder}/nothing`);
      await disk.remove(`${folder}/no-folder/nothing`);
      await (await disk.open(`${folder}/f`, { create: true })).close();
      await disk.remove(`${folder}/f`);
      assert.deepEqual(await disk.list(folder), []);
    });

    it("reads on in a file that was removed while open", async () => {
      const file = await disk.open(`${folder}/a`, { create: true });
      await file.write(Buffer.from("still"), 0);
      await disk.remove(`${folder}/a`);
      const target = Buffer.alloc(5);
      assert.equal(await file.read(target, 0), 5);
      await file.close();
    });

    it("says how much space there is, and what it can sync at once", async () => {
      const { freeBytes, totalBytes } = await disk.space(folder);
      assert.ok(totalBytes > 0 && freeBytes >= 0 && freeBytes <= totalBytes);
      assert.equal(typeof (await disk.syncAll(folder)), "boolean");
      assert.equal(await disk.bootId(), await disk.bootId());
    });

    it("locks a folder for one owner, and again after release", async () => {
      const lock = await disk.lock(folder);
      await assert.rejects(
        disk.lock(folder),
        (error) => error instanceof MqError && error.code === "FOLDER_IN_USE",
      );
      await lock.release();
      const again = await disk.lock(folder);
      await again.release();
    });
  });
}
