// What becomes of the state when its folder is damaged or taken.
import { strict as assert } from "node:assert";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Level } from "level";
import { type Logger, silentLogger, systemClock, systemRandom } from "../../base/index.ts";
import { nodeDisk } from "../store/index.ts";
import { encodeProgress } from "./progress-codec.ts";
import { levelEncodings, levelFolder } from "./state-database.ts";
import { StateStore } from "./state-store.ts";
import { SimulatedLog } from "./testkit/simulated-log.ts";

const topicCount = 30;

describe("the folder of the state", () => {
  let folder: string;
  let path: string;
  let log: SimulatedLog;
  let warnings: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-state-"));
    path = join(folder, "level");
    log = new SimulatedLog();
    warnings = [];
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const attempt = (): Promise<StateStore> => {
    const logger: Logger = {
      ...silentLogger,
      child: () => logger,
      warn: (message, fields) => warnings.push(`${message}: ${fields?.["reason"]}`),
    };
    return StateStore.open({
      database: levelFolder(nodeDisk, path),
      store: log,
      clock: systemClock,
      random: systemRandom,
      logger,
    });
  };

  const open = async (): Promise<StateStore> => {
    log.restart();
    const state = await attempt();
    await log.begin();
    await state.begin();
    return state;
  };

  /** Many writes, each with something of its own. */
  const fill = async (): Promise<string> => {
    const state = await open();
    await state.metadata.updateGroup({ name: "g" });
    for (let index = 0; index < topicCount; index++) {
      const topic = `topic-${index}`;
      await state.metadata.updateTopic({ name: topic });
      const pending = Array.from({ length: index }, (_, offset) => ({
        offset,
        attempt: 1,
        visibleAtMs: 1_700_000_000_000 + offset,
        deliveryNumber: offset,
        flags: 0,
      }));
      const change = { group: "g", topic, queueId: 0, cursor: index, removals: [] };
      await log.progress(encodeProgress([{ ...change, upserts: pending }]));
      // Written at once: the first of an iteration does that.
      for await (const progress of state.loadProgress()) assert.equal(progress.group, "g");
    }
    const text = await textOf(state);
    await state.close();
    return text;
  };

  it("is rebuilt from the log whatever byte of it is damaged", async function () {
    this.timeout(60_000);
    const expected = await fill();
    const files = new Map<string, Buffer>();
    for (const name of await readdir(path)) files.set(name, await readFile(join(path, name)));
    let rebuilt = 0;
    for (let round = 0; round < 40; round++) {
      const names = [...files.keys()].filter((name) => name !== "LOCK" && name !== "LOG");
      const name = names[round % names.length] ?? "";
      const bytes = Buffer.from(files.get(name) ?? Buffer.alloc(0));
      if (bytes.length === 0) continue;
      const at = Math.floor((bytes.length * (round + 0.5)) / 40);
      if (round % 7 === 3) await put(files, name, bytes.subarray(0, at));
      else {
        bytes[at] = (bytes[at] ?? 0) ^ 0x55;
        await put(files, name, bytes);
      }
      warnings = [];
      const state = await open();
      assert.ok((await textOf(state)) === expected, `${name} damaged at ${at}`);
      await state.close();
      if (warnings.length > 0) rebuilt += 1;
    }
    assert.ok(rebuilt > 10, `only ${rebuilt} damages were noticed`);
  });

  it("is rebuilt when a table file is damaged, emptied or gone", async () => {
    const expected = await fill();
    // Opening turns the write-ahead log into a table.
    const level = new Level<string, Uint8Array>(path, levelEncodings);
    await level.open();
    await level.close();
    const files = new Map<string, Buffer>();
    for (const name of await readdir(path)) files.set(name, await readFile(join(path, name)));
    const tables = [...files.keys()].filter((name) => name.endsWith(".ldb"));
    assert.ok(tables.length > 0);
    let noticed = 0;
    for (const name of tables) {
      const bytes = files.get(name) ?? Buffer.alloc(0);
      for (const damaged of [...flips(bytes, 30), Buffer.alloc(0), undefined]) {
        await put(files, name, damaged);
        warnings = [];
        const state = await open();
        assert.ok((await textOf(state)) === expected, `${name} damaged`);
        await state.close();
        if (damaged === undefined || damaged.length === 0) assert.equal(warnings.length, 1);
        else noticed += warnings.length;
      }
    }
    assert.ok(noticed > 15, `only ${noticed} damages were noticed`);
  });

  it("is rebuilt when it is of another version", async () => {
    const expected = await fill();
    const level = new Level<string, Uint8Array>(path, levelEncodings);
    await level.put("applied", Uint8Array.of(0, 0, 0, 0, 9));
    await level.close();
    const state = await open();
    assert.equal(await textOf(state), expected);
    assert.equal(warnings.length, 1);
    await state.close();
  });

  it("is left alone when another one has it open", async () => {
    const state = await open();
    await assert.rejects(attempt(), { code: "FOLDER_IN_USE" });
    await state.metadata.updateTopic({ name: "t" });
    await state.close();
  });

  const put = async (
    files: ReadonlyMap<string, Buffer>,
    name: string,
    bytes: Uint8Array | undefined,
  ): Promise<void> => {
    await rm(path, { recursive: true, force: true });
    await nodeDisk.makeFolder(path);
    for (const [other, content] of files) {
      const chosen = other === name ? bytes : content;
      if (chosen !== undefined) await writeFile(join(path, other), chosen);
    }
  };
});

/** Copies with one byte changed each, spread over all. */
function flips(bytes: Buffer, count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const copy = Buffer.from(bytes);
    const at = Math.floor((bytes.length * (index + 0.5)) / count);
    copy[at] = (copy[at] ?? 0) ^ 0x55;
    return copy;
  });
}

async function textOf(state: StateStore): Promise<string> {
  const progress = [];
  for await (const queue of state.loadProgress()) progress.push(queue);
  const topics = [...state.metadata.topics()].sort((left, right) =>
    left.name < right.name ? -1 : 1,
  );
  return JSON.stringify([topics, [...state.metadata.groups()], progress]);
}
