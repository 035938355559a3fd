import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeDisk } from "./node-disk.ts";

describe("the machine's disk", () => {
  let folder = "";
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "node-disk-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("makes a folder with its parents, and again without complaint", async () => {
    const path = join(folder, "a/b/c");
    await nodeDisk.makeFolder(path);
    await nodeDisk.makeFolder(path);
    assert.ok((await stat(path)).isDirectory());
  });

  it("fails, and ends, where no folder can be", async () => {
    await assert.rejects(nodeDisk.makeFolder("/proc/cometmq/data"), /ENOENT|EACCES|EPERM/);
    const file = join(folder, "file");
    await writeFile(file, "");
    await assert.rejects(nodeDisk.makeFolder(file), /EEXIST/);
    await assert.rejects(nodeDisk.makeFolder(join(file, "below")), /ENOTDIR/);
  });

  it("says what share of the disk is used as df does", async () => {
    const { freeBytes, totalBytes } = await nodeDisk.space(folder);
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
  });
});
