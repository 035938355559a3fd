import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { MqError } from "../../base/index.ts";
import { lockFolder } from "./folder-lock.ts";
import { until } from "./testkit/open-store.ts";

describe("folder lock", () => {
  let folder: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(`${tmpdir()}/cometmq-lock-`);
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await rm(folder, { recursive: true });
  });

  /** A process that does nothing but live. */
  function sleeper(): ChildProcess {
    const child = spawn("sleep", ["60"], { stdio: "ignore" });
    children.push(child);
    return child;
  }

  async function ownerAfterRelease(): Promise<void> {
    const lock = await lockFolder(folder);
    await lock.release();
    await assert.rejects(readFile(`${folder}/lock`), /ENOENT/);
  }

  it("is refused while its owner lives, and names the process", async () => {
    const lock = await lockFolder(folder);
    await assert.rejects(
      lockFolder(folder),
      (error) =>
        error instanceof MqError &&
        error.code === "FOLDER_IN_USE" &&
        error.message.includes(`process ${process.pid}`) &&
        error.facts["pid"] === process.pid,
    );
    await lock.release();
    await ownerAfterRelease();
  });

  it("is taken over from a process that was killed", async () => {
    const child = sleeper();
    await writeFile(`${folder}/lock`, JSON.stringify({ pid: child.pid, started: "", host: "" }));
    await assert.rejects(lockFolder(folder), new RegExp(`process ${child.pid}`));
    child.kill("SIGKILL");
    await once(child, "exit");
    await ownerAfterRelease();
  });

  it("is taken over from a process that is dead, though its parent has not asked how it ended", async () => {
    const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    children.push(parent);
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    // The shell would ask how its children ended; what takes its place does not.
    await until(() => readFileSync(`/proc/${parent.pid}/comm`, "utf8") === "sleep\n");
    await writeFile(`${folder}/lock`, JSON.stringify({ pid, started: "", host: "" }));
    await assert.rejects(lockFolder(folder), new RegExp(`process ${pid}`));
    process.kill(pid, "SIGKILL");
    await until(() => readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z "));
    await ownerAfterRelease();
  });

  it("is taken over when another program has the process number now", async () => {
    const child = sleeper();
    const old = { pid: child.pid, started: "boot/1", host: "" };
    await writeFile(`${folder}/lock`, JSON.stringify(old));
    await ownerAfterRelease();
  });

  for (const [name, content] of [
    ["empty", ""],
    ["half written", '{"pid":'],
    ["of no process", '{"pid":0,"started":""}'],
  ] as const) {
    it(`is taken over when it is ${name}`, async () => {
      await writeFile(`${folder}/lock`, content);
      await ownerAfterRelease();
    });
  }

  it("goes on after a process died while it took the lock over", async () => {
    await writeFile(`${folder}/lock`, "");
    await writeFile(`${folder}/lock.takeover`, "");
    await ownerAfterRelease();
  });

  it("is given to one of many that want it at once", async () => {
    await writeFile(`${folder}/lock`, "");
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder)));
    const won = results.filter((result) => result.status === "fulfilled");
    assert.equal(won.length, 1);
    await won[0]?.value.release();
  });

  it("is given to one of many that start at once in a new folder", async () => {
    for (let round = 0; round < 30; round += 1) {
      const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockFolder(folder)));
      const won = results.filter((result) => result.status === "fulfilled");
      assert.equal(won.length, 1);
      await won[0]?.value.release();
      assert.deepEqual(await readdir(folder), []);
    }
  });

  it("does not remove the lock of somebody who took over", async () => {
    const lock = await lockFolder(folder);
    await writeFile(`${folder}/lock`, "another's");
    await lock.release();
    assert.equal(await readFile(`${folder}/lock`, "utf8"), "another's");
  });
});
