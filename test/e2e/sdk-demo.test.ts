// `npm run demo` as a newcomer runs it: all messages come, nothing is left behind, and failure has its exit code.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const demo = fileURLToPath(new URL("../../dist/demo/demo.js", import.meta.url));

function run(folder: string): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [demo], {
    env: { ...process.env, TMPDIR: folder },
    encoding: "utf8",
    timeout: 90_000,
  });
}

describe("the demo", () => {
  it("shows 10,000 messages sent and received, none lost, none twice", function () {
    this.timeout(90_000);
    const folder = mkdtempSync(join(tmpdir(), "demo-test-"));
    try {
      const { status, stdout, stderr } = run(folder);
      assert.equal(status, 0, stdout + stderr);
      assert.equal(stderr, "");
      for (const row of [
        /^sent +10,000$/m,
        /^received +10,000$/m,
        /^duplicates +0$/m,
        /^lost +0$/m,
      ]) {
        assert.match(stdout, row);
      }
      assert.match(stdout, /^rate +[\d,]+ messages\/s/m);
      assert.match(stdout, /^send p99 +[\d.]+ ms/m);
      assert.match(stdout, /^memory +\d+ MB/m);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("fails with exit code 1 and says why when the broker cannot start", () => {
    const { status, stderr } = run("/proc/there-is-no-such-folder");
    assert.equal(status, 1);
    assert.match(stderr, /there-is-no-such-folder/);
  });
});
