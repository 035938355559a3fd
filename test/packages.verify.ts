// The packages as their users install them: packed, installed into an empty folder, and used from there.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

const program = `
import { startBroker } from "cometmq/testing";
import { Producer, SimpleConsumer } from "@cometmq/client";

await using broker = await startBroker();
await using producer = new Producer({ endpoints: broker.endpoints, topics: ["packed"] });
await producer.startup();
await producer.send({ topic: "packed", body: Buffer.from("hello") });
const subscriptions = new Map([["packed", "*"]]);
await using consumer = new SimpleConsumer({ endpoints: broker.endpoints, consumerGroup: "g", subscriptions });
await consumer.startup();
const [message] = await consumer.receive(1, 15_000);
await consumer.ack(message);
console.log(message.body.toString());
`;

describe("packed packages", function () {
  this.timeout(300_000);
  let folder = "";
  let tarballs: readonly string[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-packages-"));
    const pack = ["pack", "--ignore-scripts", "--pack-destination", folder];
    await run("npm", [...pack, "--workspaces", "--include-workspace-root"], { cwd: root });
    tarballs = (await readdir(folder)).filter((name) => name.endsWith(".tgz"));
    assert.equal(tarballs.length, 3);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function installed(names: readonly string[]): Promise<string> {
    const target = await mkdtemp(join(folder, "install-"));
    await writeFile(join(target, "package.json"), '{ "private": true, "type": "module" }');
    const files = names.map((name) => join(folder, name));
    await run("npm", ["install", "--no-audit", "--no-fund", ...files], { cwd: target });
    return target;
  }

  it("run a broker and a client from an install", async () => {
    const target = await installed(tarballs);
    const main = join(target, "main.mjs");
    // Node 20 does not know "await using" yet; the disposal is spelled out.
    await writeFile(
      main,
      program
        .replaceAll("await using", "const")
        .concat("await consumer.shutdown(); await producer.shutdown(); await broker.close();"),
    );
    const { stdout } = await run(process.execPath, [main], { cwd: target });
    assert.equal(stdout.trim(), "hello");
    const { stdout: version } = await run(join(target, "node_modules/.bin/cometmq"), ["--version"]);
    assert.match(version, /^cometmq \d+\.\d+\.\d+\n$/);
    const { stdout: help } = await run(join(target, "node_modules/.bin/mqadmin"), ["--help"]);
    assert.match(help, /updateTopic/);
  });

  it("give a client no dependency of the server", async () => {
    const target = await installed(
      tarballs.filter(
        (name) => name.startsWith("cometmq-client") || name.startsWith("cometmq-proto"),
      ),
    );
    const modules = await readdir(join(target, "node_modules"));
    for (const name of ["level", "classic-level", "winston", "prom-client", "selfsigned"]) {
      assert.ok(!modules.includes(name), `${name} was installed with the client`);
    }
  });
});
