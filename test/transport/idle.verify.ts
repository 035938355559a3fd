// Ten thousand connections that do nothing: server and client in processes of their own, each with at most 12,000
// descriptors. Prints what a connection costs.
import assert from "node:assert/strict";
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const connectionCount = 10_000;
const descriptorsMax = 12_000;
const program = fileURLToPath(new URL("idle-processes.ts", import.meta.url));

/** A program that is told what to do line by line. */
class Worker {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(...args: readonly string[]) {
    const shell = `ulimit -n ${descriptorsMax}; exec "$0" --expose-gc --import tsx "$@"`;
    this.#child = spawn("sh", ["-c", shell, process.execPath, program, ...args], { stdio: "pipe" });
    this.#child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Says `line`, and waits for an answer that begins with `word`; its numbers. */
  async ask(line: string, word: string): Promise<number[]> {
    if (line !== "") this.#child.stdin.write(`${line}\n`);
    const answer = await this.#lines.next();
    assert.ok(answer.done !== true, "the program has ended");
    const [first, ...rest] = answer.value.split(" ");
    assert.equal(first, word);
    return rest.map(Number);
  }

  async end(): Promise<void> {
    const ended = new Promise<number | null>((resolve) => {
      this.#child.on("close", resolve);
    });
    this.#child.stdin.end("end\n");
    assert.equal(await ended, 0);
  }
}

describe("10,000 idle connections", () => {
  it("are held with little memory each, and still work", async function () {
    this.timeout(120_000);
    const server = new Worker("server");
    const [port] = await server.ask("", "port");
    const [rssEmpty] = await server.ask("measure", "measured");
    const client = new Worker("client", String(port), String(connectionCount));
    assert.deepEqual(await client.ask("", "opened"), [connectionCount]);
    const [rssIdle, connections, calls] = await server.ask("measure", "measured");
    assert.deepEqual([connections, calls], [connectionCount, 0]);
    await client.ask("call", "called");
    const [rssWaiting, , waiting] = await server.ask("measure", "measured");
    assert.equal(waiting, connectionCount);
    assert.deepEqual(await client.ask("message", "alive"), [connectionCount]);
    const perConnection = Math.round(((rssIdle ?? 0) - (rssEmpty ?? 0)) / connectionCount);
    const perCall = Math.round(((rssWaiting ?? 0) - (rssIdle ?? 0)) / connectionCount);
    console.log(`      ${perConnection} bytes a connection, ${perCall} more with an open call`);
    assert.ok(perConnection < 20_000, `${perConnection} bytes a connection`);
    await client.end();
    await server.end();
  });
});
