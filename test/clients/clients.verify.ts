// The official clients of other languages against one standalone broker, with their default settings:
// each sends 1,000 messages and receives them with a simple and with a push consumer.
// A missing toolchain is a failure, not a skip.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type RunningServer, startBroker } from "../../bench/servers.ts";

const run = promisify(execFile);
const count = 1000;
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const all = { sent: count, simple: count, push: count };

/** Runs a program to its end; its last line of output is JSON. On failure the error carries what it printed. */
async function lastLine(program: string, args: readonly string[], cwd?: string): Promise<unknown> {
  const options = { maxBuffer: 1 << 26, timeout: 240_000, ...(cwd === undefined ? {} : { cwd }) };
  const { stdout } = await run(program, [...args], options);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
}

describe("official clients with default settings", function () {
  this.timeout(400_000);
  let broker: RunningServer;
  let builds = "";

  before(async () => {
    broker = await startBroker();
    builds = await mkdtemp(join(tmpdir(), "cometmq-clients-"));
  });
  after(async () => {
    await broker[Symbol.asyncDispose]();
    await rm(builds, { recursive: true, force: true });
  });

  const endpoint = (): string => `127.0.0.1:${broker.port}`;

  it("Go sends and receives (TLS)", async () => {
    await run("go", ["build", "-o", join(builds, "go-clients"), "."], { cwd: here("go") });
    const result = await lastLine(
      join(builds, "go-clients"),
      [endpoint(), "go-topic", String(count)],
      builds,
    );
    assert.deepEqual(result, all);
  });

  it("Java sends and receives (TLS)", async () => {
    const target = join(builds, "java");
    await run("mvn", ["-q", "-B", "package", `-DbuildFolder=${target}`], { cwd: here("java") });
    const classpath = `${target}/classes:${target}/lib/*`;
    const args = ["-cp", classpath, "cometmq.Clients", endpoint(), "java-topic", String(count)];
    assert.deepEqual(await lastLine("java", args, builds), all);
  });

  it("Python sends and receives (plaintext)", async () => {
    const python = join(builds, "python/bin/python");
    await run("python3", ["-m", "venv", join(builds, "python")]);
    await run(python, ["-m", "pip", "install", "-q", "-r", here("python/requirements.txt")]);
    const args = [here("python/clients.py"), endpoint(), "python-topic", String(count)];
    assert.deepEqual(await lastLine(python, args, builds), all);
  });
});
