// What may happen to a data folder between two starts of a real server: a damaged log stops it, all
// that is derived from the log is rebuilt, and consumers go on where they were.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopAll } from "../e2e/program-process.ts";
import { until } from "../e2e/waiting.ts";
import { BrokerProcess, runOn } from "./broker-process.ts";

const small = ["--mappedFileSizeCommitLog", "65536", "--maxMessageSize", "8192"];
const messageCount = 60;
const ackedCount = 25;
const padding = ".".repeat(4_000);

/** A body that is easy to read in a failure. */
function bodies(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, index) => `${from + index}`);
}

async function storeBodies(broker: BrokerProcess, from: number, to: number): Promise<void> {
  for (const text of bodies(from, to)) await broker.store("orders", `${text}${padding}`);
}

function heads(found: readonly string[]): string[] {
  return found.map((body) => body.replace(padding, "")).toSorted((a, b) => Number(a) - Number(b));
}

/** Names and content of all files below `folder`. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    content[path.slice(folder.length)] = createHash("md5")
      .update(await readFile(path))
      .digest("hex");
  }
  return content;
}

async function segmentsOf(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, "commitlog"));
  return names.toSorted().map((name) => join(folder, "commitlog", name));
}

describe("a data folder between two starts", function () {
  this.timeout(60_000);
  let root = "";
  /** A folder that was closed well: never started itself, only copies of it. */
  let template = "";
  /** The same folder some acknowledgements and messages later. */
  let later = "";
  let copyCount = 0;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), "cometmq-folder-"));
    template = join(root, "template");
    const broker = await BrokerProcess.start(template, ...small);
    await storeBodies(broker, 0, messageCount);
    await broker.store("keyed", "found", { key: "k1" });
    await broker.consume("orders", "workers", ackedCount);
    assert.equal(await broker.countByKey("keyed", "k1"), 1);
    await broker.stop();
    later = join(root, "later");
    await cp(template, later, { recursive: true });
    const again = await BrokerProcess.start(later, ...small);
    await again.consume("orders", "workers", 10);
    await storeBodies(again, messageCount, messageCount + 20);
    await again.stop();
  });
  afterEach(stopAll);
  after(() => rm(root, { recursive: true, force: true }));

  async function copyOf(source: string): Promise<string> {
    const folder = join(root, `copy-${++copyCount}`);
    await cp(source, folder, { recursive: true });
    return folder;
  }

  /** What has not been acknowledged comes, what has been does not, and a new group gets all. */
  async function check(folder: string, toldOf?: RegExp): Promise<void> {
    const broker = await BrokerProcess.start(folder, ...small);
    if (toldOf !== undefined) assert.match(broker.log, toldOf);
    const rest = await broker.consume("orders", "workers", messageCount - ackedCount);
    assert.deepEqual(heads(rest), bodies(ackedCount, messageCount));
    const all = await broker.consume("orders", "auditors", messageCount);
    assert.deepEqual(heads(all), bodies(0, messageCount));
    assert.equal(await broker.store("orders", "one more"), messageCount);
    assert.deepEqual(await broker.take("orders", "workers"), ["one more"]);
    await broker.stop();
  }

  it("is as it was when nothing happens", async () => {
    await check(await copyOf(template));
  });

  it("stops the start when the middle of the log is damaged, and is left as it was", async () => {
    const folder = await copyOf(template);
    const file = (await segmentsOf(folder))[1] ?? "";
    const bytes = await readFile(file);
    const at = Math.floor(bytes.length / 2);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
    await writeFile(file, bytes);
    const before = await contentOf(folder);
    const { code, stderr, stdout } = await runOn(folder, ...small).ended;
    assert.equal(code, 1);
    assert.ok(stderr.includes(file), stderr);
    const position = Number(/position (\d+)/.exec(stderr)?.[1]);
    const start = Number(file.slice(-20));
    assert.ok(position > start + at - 8_192 && position <= start + at, stderr);
    assert.doesNotMatch(stdout, /ready/);
    assert.deepEqual(await contentOf(folder), before);
  });

  it("loses a tail that was not written completely, and says so", async () => {
    const folder = await copyOf(template);
    const [first = ""] = await segmentsOf(folder);
    const last = (await segmentsOf(folder)).at(-1) ?? "";
    // Half a record, as a killed process leaves it.
    await appendFile(last, (await readFile(first)).subarray(0, 50));
    await check(folder, /tail was not written completely/);
  });

  for (const name of ["state", "index", "checkpoint", "consumequeue", "flushed"]) {
    it(`is complete again after ${name} has gone`, async () => {
      const folder = await copyOf(template);
      assert.ok(existsSync(join(folder, name)), `${name} is there`);
      await rm(join(folder, name), { recursive: true });
      await check(folder);
      const broker = await BrokerProcess.start(folder, ...small);
      assert.equal(await broker.countByKey("keyed", "k1"), 1);
      await broker.stop();
    });
  }

  it("is complete again whichever file of the state is garbled", async () => {
    for (const name of await readdir(join(template, "state"))) {
      const folder = await copyOf(template);
      const path = join(folder, "state", name);
      const bytes = await readFile(path);
      if (bytes.length === 0) continue;
      await writeFile(path, Buffer.alloc(bytes.length, "garbage "));
      await check(folder);
    }
  });

  it("takes the consumers' progress from the log when the state is of a later time", async () => {
    const folder = await copyOf(template);
    await rm(join(folder, "state"), { recursive: true });
    await cp(join(later, "state"), join(folder, "state"), { recursive: true });
    await check(folder, /state thrown away/);
  });

  it("stops the start when the log is older than what was flushed", async () => {
    const folder = await copyOf(later);
    await rm(join(folder, "commitlog"), { recursive: true });
    await cp(join(template, "commitlog"), join(folder, "commitlog"), { recursive: true });
    const { code, stderr } = await runOn(folder, ...small).ended;
    assert.equal(code, 1);
    assert.match(stderr, /was flushed up to \d+/);
  });

  it("belongs to one process at a time", async () => {
    const folder = await copyOf(template);
    const broker = await BrokerProcess.start(folder, ...small);
    const { code, stderr } = await runOn(folder, ...small).ended;
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`in use by process ${broker.program.pid}\\b`));
    assert.equal(await broker.store("orders", "goes on"), messageCount);
    await broker.stop();
  });

  it("forgets expired messages, and still knows topics, offsets and progress without its state", async () => {
    const folder = await copyOf(template);
    const hours = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0")).join(";");
    const expiring = [...small, "--cleanResourceInterval", "50", "--deleteWhen", hours];
    // Nothing expires before all of it is consumed.
    const before = await BrokerProcess.start(folder, ...small);
    await before.consume("orders", "workers", messageCount - ackedCount);
    await before.stop();
    const broker = await BrokerProcess.start(folder, ...expiring, "--fileReservedTime", "500ms");
    await until("expired messages to go", async () => {
      await broker.store("filler", padding);
      // The file that held the only message with a key starts before this.
      const start = Number((await segmentsOf(folder))[0]?.slice(-20));
      return start > messageCount * 5_000;
    });
    assert.deepEqual(await broker.bounds("keyed"), [1, 1]);
    const [minOffset = 0, nextOffset = 0] = (await broker.bounds("orders")) ?? [];
    assert.ok(minOffset > 0 && nextOffset === messageCount);
    await broker.stop("SIGKILL");
    for (const name of ["state", "checkpoint", "consumequeue", "index"]) {
      await rm(join(folder, name), { recursive: true, force: true });
    }
    const again = await BrokerProcess.start(folder, ...small);
    assert.deepEqual(await again.bounds("keyed"), [1, 1]);
    assert.equal(await again.store("keyed", "continues"), 1);
    assert.equal((await again.bounds("orders"))?.[1], messageCount);
    assert.equal(await again.store("orders", "new"), messageCount);
    assert.deepEqual(await again.take("orders", "workers"), ["new"]);
    await again.stop();
  });
});
