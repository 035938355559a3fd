import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import {
  type Clock,
  type Logger,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import type { PendingEntry, ProgressChange, QueueProgress } from "./progress-change.ts";
import { encodeProgress } from "./progress-codec.ts";
import { StateStore } from "./state-store.ts";
import { MemorySource } from "./testkit/memory-source.ts";
import { SimulatedLog } from "./testkit/simulated-log.ts";

const groups = ["g", "g-", "h"];
const topics = ["t", "t1", "u"];

type Command =
  | { readonly kind: "progress"; readonly changes: readonly ProgressChange[] }
  | { readonly kind: "putTopic" | "deleteTopic"; readonly name: string }
  | { readonly kind: "putGroup" | "deleteGroup"; readonly name: string }
  | { readonly kind: "message"; readonly topic: string; readonly queueId: number }
  | { readonly kind: "restart" | "crash" | "copy" | "snapshot" };

const plain = { noNullPrototype: true };
const offset = fc.nat(12);
const entry: fc.Arbitrary<PendingEntry> = fc.record(
  {
    offset,
    attempt: fc.integer({ min: 1, max: 3 }),
    visibleAtMs: fc.nat(9),
    deliveryNumber: fc.nat(9),
    flags: fc.nat(1),
  },
  plain,
);
const change: fc.Arbitrary<ProgressChange> = fc.record(
  {
    group: fc.constantFrom(...groups),
    topic: fc.constantFrom(...topics),
    queueId: fc.constantFrom(0, 1, 10),
    cursor: offset,
    upserts: fc.array(entry, { maxLength: 4 }),
    removals: fc.array(offset, { maxLength: 4 }),
  },
  plain,
);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("progress" as const),
      changes: fc.array(change, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("putTopic" as const, "putTopic" as const, "deleteTopic" as const),
      name: fc.constantFrom(...topics),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("putGroup" as const, "putGroup" as const, "deleteGroup" as const),
      name: fc.constantFrom(...groups),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("message" as const),
      topic: fc.constantFrom(...topics),
      queueId: fc.constantFrom(0, 1, 10),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "restart" as const,
        "crash" as const,
        "copy" as const,
        "snapshot" as const,
      ),
    }),
  },
);

/** What the state has to be, said as simply as possible. */
class Model {
  readonly topics = new Set<string>();
  readonly groups = new Set<string>();
  readonly progress = new Map<string, { cursor: number; pending: Map<number, PendingEntry> }>();
  readonly #next = new Map<string, number>();
  readonly ended = new Map<string, number>();

  apply(command: Command): void {
    switch (command.kind) {
      case "progress":
        for (const change of command.changes) this.#move(change);
        return;
      case "putTopic":
        this.topics.add(command.name);
        return;
      case "putGroup":
        this.groups.add(command.name);
        return;
      case "deleteGroup":
        this.groups.delete(command.name);
        return this.#drop((group) => group === command.name);
      case "deleteTopic":
        if (!this.topics.delete(command.name)) return;
        for (const [key, next] of this.#next) {
          if (key.startsWith(`${command.name}/`)) this.ended.set(key, next);
        }
        return this.#drop((_, topic) => topic === command.name);
      case "message": {
        const key = `${command.topic}/${command.queueId}`;
        this.#next.set(key, (this.#next.get(key) ?? 0) + 1);
        return;
      }
      default:
        return;
    }
  }

  #move(change: ProgressChange): void {
    if (!this.groups.has(change.group) || !this.topics.has(change.topic)) return;
    const key = `${change.group}/${change.topic}/${change.queueId}`;
    const row = this.progress.get(key) ?? { cursor: 0, pending: new Map<number, PendingEntry>() };
    this.progress.set(key, row);
    row.cursor = change.cursor;
    for (const entry of change.upserts) row.pending.set(entry.offset, entry);
    for (const removal of change.removals) row.pending.delete(removal);
  }

  #drop(matches: (group: string, topic: string) => boolean): void {
    for (const key of this.progress.keys()) {
      const [group = "", topic = ""] = key.split("/");
      if (matches(group, topic)) this.progress.delete(key);
    }
  }
}

interface Run {
  readonly log: SimulatedLog;
  source: MemorySource;
  state: StateStore;
}

interface Surroundings {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

async function openState(
  log: SimulatedLog,
  source: MemorySource,
  surroundings: Surroundings = {},
): Promise<StateStore> {
  log.restart();
  const state = await StateStore.open({
    database: source,
    store: log,
    clock: surroundings.clock ?? systemClock,
    random: systemRandom,
    logger: surroundings.logger ?? silentLogger,
  });
  await log.begin();
  await state.begin();
  return state;
}

/** Ends without the final write. */
async function kill(run: Run): Promise<void> {
  run.log.failure = new Error("the process is gone");
  await run.state.close();
  run.log.failure = undefined;
}

async function progressOf(state: StateStore): Promise<QueueProgress[]> {
  const all: QueueProgress[] = [];
  for await (const progress of state.loadProgress()) all.push(progress);
  return all;
}

function names(items: Iterable<{ readonly name: string }>): string[] {
  return [...items].map(({ name }) => name).sort();
}

async function check(state: StateStore, model: Model): Promise<void> {
  assert.deepEqual(names(state.metadata.topics()), [...model.topics].sort());
  assert.deepEqual(names(state.metadata.groups()), [...model.groups].sort());
  const rows = (await progressOf(state)).map(({ group, topic, queueId, cursor, pending }) => [
    `${group}/${topic}/${queueId}`,
    { cursor, pending },
  ]);
  const expected = [...model.progress].map(([key, { cursor, pending }]) => [
    key,
    { cursor, pending: [...pending.values()].sort((left, right) => left.offset - right.offset) },
  ]);
  assert.deepEqual(Object.fromEntries(rows), Object.fromEntries(expected));
  for (const [key, end] of model.ended) {
    const [topic = "", queueId] = key.split("/");
    assert.equal(state.metadata.firstOffset(topic, Number(queueId)), end, `end of ${key}`);
  }
}

describe("StateStore", () => {
  it("is what the log says, whatever it starts from", async function () {
    this.timeout(60_000);
    await fc.assert(fc.asyncProperty(fc.array(command, { maxLength: 60 }), checkHistory), {
      numRuns: 100,
    });
  });

  it("tries a failed write again, keeps what changed meanwhile, and says so once", async () => {
    const warnings: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (message) => warnings.push(message),
      child: () => logger,
    };
    const clock = steppedClock();
    const log = new SimulatedLog();
    const source = new MemorySource();
    const state = await openState(log, source, { clock, logger });
    await state.metadata.updateTopic({ name: "t" });
    await state.metadata.updateGroup({ name: "g" });
    source.writeFailure = new Error("no space left");
    const move = (cursor: number, upserts: PendingEntry[], removals: number[]): Promise<void> =>
      log.progress(
        encodeProgress([{ group: "g", topic: "t", queueId: 0, cursor, upserts, removals }]),
      );
    const entry = { attempt: 1, visibleAtMs: 5, deliveryNumber: 1, flags: 0 };
    await move(
      3,
      [1, 2].map((offset) => ({ offset, ...entry })),
      [],
    );
    await clock.run(1_000);
    await move(4, [], [1]);
    await clock.run(20_000);
    const written = state.writtenPosition;
    assert.ok(written < log.end);
    assert.deepEqual(warnings, ["state not written, will be tried again"]);
    source.writeFailure = undefined;
    await clock.run(6_000);
    assert.equal(state.writtenPosition, log.end);
    assert.ok(source.openCount > 0, "the database was not opened again");
    const copy = await MemorySource.of(await source.content());
    await state.close();
    const again = await openState(log, copy);
    assert.deepEqual(
      (await progressOf(again)).map(({ cursor, pending }) => [
        cursor,
        pending.map((p) => p.offset),
      ]),
      [[4, [2]]],
    );
    await again.close();
  });

  it("writes within a second, and only the position when nothing else changes", async () => {
    const clock = steppedClock();
    const log = new SimulatedLog();
    const state = await openState(log, new MemorySource(), { clock });
    await state.metadata.updateTopic({ name: "t" });
    await clock.run(1_000);
    assert.equal(state.writtenPosition, log.end);
    await log.message("t", 0);
    await clock.run(5_000);
    assert.ok(state.writtenPosition < log.end);
    await clock.run(5_000);
    assert.equal(state.writtenPosition, log.end);
    await state.close();
  });

  it("tells those who wait for a change when the broker stops", async () => {
    const log = new SimulatedLog();
    const state = await openState(log, new MemorySource());
    log.restart();
    const waiting = state.metadata.updateTopic({ name: "t" });
    await state.close();
    await assert.rejects(waiting, { code: "SHUTTING_DOWN" });
  });

  it("stops when neither database nor snapshot stands for the log's beginning", async () => {
    const log = new SimulatedLog();
    const state = await openState(log, new MemorySource());
    await state.metadata.updateTopic({ name: "t" });
    await state.metadata.updateTopic({ name: "u" });
    await state.close();
    log.expire(log.records[2]?.position ?? 0);
    await assert.rejects(openState(log, new MemorySource()), {
      code: "CORRUPT",
      message: /holds no whole snapshot/,
    });
  });

  it("makes no snapshot of a database that has lost keys", async () => {
    const log = new SimulatedLog();
    const source = new MemorySource();
    const state = await openState(log, source);
    await state.metadata.updateTopic({ name: "t" });
    await state.snapshot();
    await source.remove("topic/t");
    await state.metadata.updateTopic({ name: "u" });
    await assert.rejects(state.snapshot(), {
      code: "INTERNAL_SERVER_ERROR",
      message: /has lost keys/,
    });
    await state.close();
    const again = await openState(log, source);
    assert.ok(again.metadata.topic("t") !== undefined);
    await again.snapshot();
    await again.close();
  });

  it("does not take a snapshot of which the beginning or the end is missing", async () => {
    const log = new SimulatedLog();
    const state = await openState(log, new MemorySource());
    for (let queueId = 0; queueId < 40; queueId++)
      await state.metadata.updateTopic(bigTopic(queueId));
    const asOf = await state.snapshot();
    await state.close();
    const parts = log.records.filter((record) => record.type === 8);
    assert.equal(parts.length, 1);
    log.cut(parts[0]?.position ?? 0);
    log.expire(asOf);
    await assert.rejects(openState(log, new MemorySource()), { code: "CORRUPT" });
  });
});

function bigTopic(number: number): { name: string; readQueueNums: number } {
  return { name: `topic-${number}`, readQueueNums: 1 + number };
}

async function checkHistory(commands: readonly Command[]): Promise<void> {
  const log = new SimulatedLog();
  const source = new MemorySource();
  const run: Run = { log, source, state: await openState(log, source) };
  const model = new Model();
  const copies: Map<string, Uint8Array>[] = [];
  let asOf: number | undefined;
  for (const command of commands) {
    model.apply(command);
    switch (command.kind) {
      case "progress":
        await log.progress(encodeProgress(command.changes));
        break;
      case "message":
        await log.message(command.topic, command.queueId);
        break;
      case "putTopic":
        await run.state.metadata.updateTopic({ name: command.name });
        break;
      case "putGroup":
        await run.state.metadata.updateGroup({ name: command.name });
        break;
      case "deleteTopic":
        if (run.state.metadata.topic(command.name) === undefined) break;
        await run.state.metadata.deleteTopic(command.name);
        break;
      case "deleteGroup":
        if (run.state.metadata.group(command.name) === undefined) break;
        await run.state.metadata.deleteGroup(command.name);
        break;
      case "snapshot":
        asOf = await run.state.snapshot();
        break;
      case "copy":
        copies.push(await source.content());
        break;
      case "restart":
        await run.state.close();
        run.state = await openState(log, source);
        break;
      case "crash":
        await kill(run);
        run.state = await openState(log, source);
    }
  }
  await check(run.state, model);
  await run.state.close();
  for (const content of [await source.content(), ...copies, new Map<string, Uint8Array>()]) {
    const state = await openState(log, await MemorySource.of(content));
    await check(state, model);
    await state.close();
  }
  if (asOf === undefined) return;
  log.expire(asOf);
  const state = await openState(log, new MemorySource());
  await check(state, model);
  await state.close();
}

/** A clock that moves only when told, and lets promises settle at each step. */
function steppedClock(): Clock & { run(ms: number): Promise<void> } {
  let now = 1_000;
  const ticks: { readonly periodMs: number; readonly task: () => void; next: number }[] = [];
  return {
    now: () => now,
    monotonicMs: () => now,
    after: () => () => {},
    every(periodMs, task) {
      const tick = { periodMs, task, next: now + periodMs };
      ticks.push(tick);
      return () => void ticks.splice(ticks.indexOf(tick), 1);
    },
    async run(ms) {
      for (const end = now + ms; now < end; ) {
        now = Math.min(end, now + 100);
        for (const tick of ticks) {
          if (tick.next > now) continue;
          tick.next += tick.periodMs;
          tick.task();
        }
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}
