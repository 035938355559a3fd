// A real server whose file system another program fills to the last byte: sends are refused, receives
// and acknowledgements go on, sending resumes by itself, and a restart finds nothing torn. Needs the
// right to mount; without it store-full-disk.test.ts shows the same on a simulated disk.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopAll } from "../e2e/program-process.ts";
import { until } from "../e2e/waiting.ts";
import { BrokerProcess, runOn } from "./broker-process.ts";

const internalError = 50_001;
const padding = ".".repeat(2_000);
/** The disk alone decides when it is full. */
const flags = ["diskSpaceCleanForciblyRatio", "diskSpaceWarningLevelRatio"]
  .flatMap((key) => [`--${key}`, "100"])
  .concat("--diskFreeSpaceMin", "0", "--cleanResourceInterval", "200");

function isDone(...parts: readonly string[]): boolean {
  return spawnSync(parts[0] ?? "", parts.slice(1), { stdio: "ignore" }).status === 0;
}

/** Takes all space that is left. */
function fillUp(path: string): void {
  for (let size = 1_048_576; size >= 1; size = Math.floor(size / 2)) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(size));
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error && error.code === "ENOSPC");
    }
  }
}

describe("a server on a full file system", function () {
  this.timeout(60_000);
  let folder = "";
  let ballast = "";
  let data = "";

  before(async function () {
    folder = await mkdtemp(join(tmpdir(), "cometmq-full-"));
    if (!isDone("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder)) {
      await rm(folder, { recursive: true });
      this.skip();
    }
    ballast = join(folder, "ballast");
    data = join(folder, "data");
  });
  after(async () => {
    await stopAll();
    if (isDone("umount", "--lazy", folder)) await rm(folder, { recursive: true });
  });

  it("refuses sends, lets consumers go on, and takes sends again when there is space", async () => {
    const broker = await BrokerProcess.start(data, ...flags);
    const stored: string[] = [];
    for (let index = 0; index < 40; index += 1) {
      await broker.store("orders", `${index} ${padding}`);
      stored.push(`${index}`);
    }
    assert.deepEqual(await broker.take("orders", "workers", 1), [`0 ${padding}`]);
    fillUp(ballast);
    let refusal: { readonly code: number; readonly text: string } | undefined;
    for (let index = 40; refusal === undefined; index += 1) {
      const answer = await broker.send("orders", `${index} ${padding}`);
      if (answer.code === 20_000) stored.push(`${index}`);
      else refusal = answer;
    }
    assert.equal(refusal.code, internalError);
    assert.match(refusal.text, /full|no space left/);
    assert.match((await broker.send("orders", "refused")).text, /disk .* is full/);

    const received = await broker.consume("orders", "workers", stored.length - 1);
    assert.deepEqual(
      received.map((body) => body.split(" ")[0]),
      stored.slice(1),
    );

    await rm(ballast);
    await until("sends to be taken", async () => {
      const answer = await broker.send("orders", "again");
      return answer.code === 20_000;
    });
    assert.deepEqual(await broker.take("orders", "workers"), ["again"]);
    assert.match(broker.log, /the disk is full: messages are refused/);
    assert.match(broker.log, /the disk has space again: messages are taken/);
    await broker.stop();

    const restarted = await BrokerProcess.start(data, ...flags);
    assert.doesNotMatch(restarted.log, /not written completely|thrown away|rebuilt/);
    assert.equal(await restarted.store("orders", "last"), stored.length + 1);
    assert.deepEqual(await restarted.take("orders", "workers"), ["last"]);
    const all = await restarted.consume("orders", "auditors", stored.length + 2);
    assert.deepEqual(
      all.map((body) => body.split(" ")[0]),
      [...stored, "again", "last"],
    );
    await restarted.stop();
  });

  it("is found whole when it was killed there, and says why it cannot start", async () => {
    const broker = await BrokerProcess.start(data, ...flags);
    const [, before = 0] = (await broker.bounds("orders")) ?? [];
    fillUp(ballast);
    let storedCount = 0;
    while ((await broker.send("orders", padding)).code === 20_000) storedCount += 1;
    await broker.stop("SIGKILL");

    const { code, stderr } = await runOn(data, ...flags).ended;
    assert.equal(code, 1);
    assert.match(stderr, /no space left|disk .* full/i);

    await rm(ballast);
    const again = await BrokerProcess.start(data, ...flags);
    assert.equal(await again.store("orders", "new"), before + storedCount);
    await again.stop();
  });
});
