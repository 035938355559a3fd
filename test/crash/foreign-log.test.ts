// RocketMQ names its log files as we do: pointed at such a folder the broker refuses to start and touches nothing.
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, stopAll } from "../e2e/program-process.ts";

const rocketmqMagic = 0xdaa320a7;

describe("the store of another program", function () {
  this.timeout(30_000);
  let folder = "";

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "foreign-"));
  });
  afterEach(async () => {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  it("is refused and left as it was", async () => {
    const log = join(folder, "commitlog");
    const file = join(log, "00000000000000000000");
    const bytes = Buffer.alloc(1 << 20);
    bytes.writeInt32BE(200, 0);
    bytes.writeUInt32BE(rocketmqMagic, 4);
    await mkdir(log);
    await writeFile(file, bytes);
    const ports = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];
    const { code, stderr } = await run("cometmq", "--data", folder, ...ports).ended;
    assert.equal(code, 1);
    assert.match(stderr, /does not begin with a record of CometMQ.*storePathRootDir/);
    assert.deepEqual(await readFile(file), bytes);
  });
});
