// Held messages in the state: whatever it starts from, they are what the log says.
import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import { silentLogger, systemClock, systemRandom } from "../../base/index.ts";
import { type RecordDraft, RecordType } from "../store/index.ts";
import { decodeHeldChanges, encodeHeldChanges } from "./held-codec.ts";
import { type HeldChange, type HeldEntry, type HeldKind, heldKinds } from "./held-entry.ts";
import { StateStore } from "./state-store.ts";
import { MemorySource } from "./testkit/memory-source.ts";
import { SimulatedLog } from "./testkit/simulated-log.ts";

const topics = ["t", "t1", "u"];
const nothing = new Uint8Array(0);

type Command =
  | { readonly kind: "hold"; readonly topic: string; readonly of: HeldKind; readonly dueMs: number }
  | { readonly kind: "change"; readonly which: number; readonly dueMs: number | undefined }
  | { readonly kind: "putTopic" | "deleteTopic"; readonly name: string }
  | { readonly kind: "restart" | "crash" | "copy" | "snapshot" | "purge" };

const plain = { noNullPrototype: true };
const topic = fc.constantFrom(...topics);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record(
      {
        kind: fc.constant("hold" as const),
        topic,
        of: fc.constantFrom(...heldKinds),
        dueMs: fc.nat(20),
      },
      plain,
    ),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("change" as const),
      which: fc.nat(30),
      dueMs: fc.oneof(fc.constant(undefined), fc.nat(20)),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("putTopic" as const, "putTopic" as const, "deleteTopic" as const),
      name: topic,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        "restart" as const,
        "crash" as const,
        "copy" as const,
        "snapshot" as const,
        "purge" as const,
      ),
    }),
  },
);

function draft(type: number, given: Partial<RecordDraft>): RecordDraft {
  const empty = { systemProperties: nothing, userProperties: nothing, body: nothing };
  return { type, topic: "", queueId: -1, ...empty, ...given };
}

/** A log with a state, and what has to be held. */
class Run {
  readonly log: SimulatedLog = new SimulatedLog();
  readonly held: HeldEntry[] = [];
  state: StateStore;

  private constructor(log: SimulatedLog, state: StateStore) {
    this.log = log;
    this.state = state;
  }

  static async open(source: MemorySource): Promise<Run> {
    const log = new SimulatedLog();
    return new Run(log, await openState(log, source));
  }

  async hold(kind: HeldKind, topicName: string, dueMs: number): Promise<HeldEntry | undefined> {
    const type = kind === "timer" ? RecordType.delayedMessage : RecordType.halfMessage;
    const [appended] = await this.log.append([draft(type, { topic: topicName, dueMs })]);
    const isKnown = this.state.metadata.topic(topicName) !== undefined;
    if (appended === undefined || !isKnown) return undefined;
    const { position, size } = appended;
    const entry = { kind, dueMs, id: position, topic: topicName, position, size, count: 0 };
    this.held.push(entry);
    return entry;
  }

  /** Moves a message to another time and place, or ends it. */
  async change(which: number, dueMs: number | undefined): Promise<void> {
    const entry = this.held[which % Math.max(1, this.held.length)];
    if (entry === undefined) return;
    this.held.splice(this.held.indexOf(entry), 1);
    const count = entry.count + 1;
    const next =
      dueMs === undefined ? undefined : { dueMs, position: this.log.end, size: 88, count };
    await this.log.append([changesDraft([{ ...entry, next }])]);
    if (next !== undefined) this.held.push({ ...entry, ...next });
  }

  async deleteTopic(name: string): Promise<void> {
    if (this.state.metadata.topic(name) === undefined) return;
    await this.state.metadata.deleteTopic(name);
    const kept = this.held.filter((entry) => entry.topic !== name);
    this.held.splice(0, this.held.length, ...kept);
  }

  /** Ends the state without its last write. */
  async kill(): Promise<void> {
    this.log.failure = new Error("the process is gone");
    await this.state.close();
    this.log.failure = undefined;
  }
}

function changesDraft(changes: readonly HeldChange[]): RecordDraft {
  return draft(RecordType.held, { body: encodeHeldChanges(changes) });
}

async function openState(log: SimulatedLog, source: MemorySource): Promise<StateStore> {
  log.restart();
  const state = await StateStore.open({
    database: source,
    store: log,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
  });
  await log.begin();
  await state.begin();
  return state;
}

function inOrder(entries: readonly HeldEntry[], kind: HeldKind): HeldEntry[] {
  return entries
    .filter((entry) => entry.kind === kind)
    .sort((one, other) => one.dueMs - other.dueMs || one.id - other.id);
}

async function scanned(state: StateStore): Promise<HeldEntry[]> {
  const found: HeldEntry[] = [];
  for await (const entries of state.held.scan()) found.push(...entries);
  return found;
}

async function check({ held }: StateStore, expected: readonly HeldEntry[]): Promise<void> {
  for (const entry of expected) {
    assert.deepEqual(await held.find(entry), entry);
    assert.equal(await held.find({ ...entry, dueMs: entry.dueMs + 100 }), undefined);
    assert.ok(held.oldestPosition <= entry.position, "a message lies before the oldest one");
  }
  for (const kind of heldKinds) {
    const own = inOrder(expected, kind);
    const page = await held.page(kind, { dueMs: 5, id: 1 }, 3);
    const behind = own.filter(({ dueMs, id }) => dueMs > 5 || (dueMs === 5 && id >= 1));
    assert.deepEqual(page, { entries: behind.slice(0, 3), isLast: behind.length <= 3 });
    assert.equal(held.count(kind), own.length, `count of ${kind}`);
    for (const name of topics) {
      const count = own.filter((entry) => entry.topic === name).length;
      assert.equal(held.counts(kind).get(name) ?? 0, count, `count of ${kind} in ${name}`);
    }
  }
}

async function checkHistory(commands: readonly Command[]): Promise<void> {
  const source = new MemorySource();
  const run = await Run.open(source);
  const copies: Map<string, Uint8Array>[] = [];
  let asOf: number | undefined;
  for (const command of commands) {
    switch (command.kind) {
      case "hold":
        await run.hold(command.of, command.topic, command.dueMs);
        break;
      case "change":
        await run.change(command.which, command.dueMs);
        break;
      case "putTopic":
        await run.state.metadata.updateTopic({ name: command.name });
        break;
      case "deleteTopic":
        await run.deleteTopic(command.name);
        break;
      case "snapshot":
        asOf = await run.state.snapshot();
        break;
      case "copy":
        copies.push(await source.content());
        break;
      case "purge":
        await run.state.held.purge();
        break;
      case "restart":
        await run.state.close();
        run.state = await openState(run.log, source);
        break;
      case "crash":
        await run.kill();
        run.state = await openState(run.log, source);
    }
    await check(run.state, run.held);
  }
  const found = await scanned(run.state);
  for (const kind of heldKinds)
    assert.deepEqual(inOrder(found, kind), inOrder(run.held, kind), "scan");
  await run.state.close();
  for (const content of [await source.content(), ...copies, new Map<string, Uint8Array>()]) {
    const state = await openState(run.log, await MemorySource.of(content));
    await check(state, run.held);
    await state.close();
  }
  if (asOf === undefined) return;
  run.log.expire(asOf);
  const state = await openState(run.log, new MemorySource());
  await check(state, run.held);
  await state.close();
}

describe("held messages in the state", () => {
  it("are what the log says, whatever the state starts from", async function () {
    this.timeout(60_000);
    const histories = fc.array(command, { maxLength: 50, size: "max" });
    await fc.assert(fc.asyncProperty(histories, checkHistory), { numRuns: 100 });
  });

  it("tell of each change, in log order", async () => {
    const run = await Run.open(new MemorySource());
    await run.state.metadata.updateTopic({ name: "t" });
    const told: string[] = [];
    run.state.held.onChange(({ before, after }) =>
      told.push(`${before?.dueMs ?? "new"} ${after?.dueMs ?? "gone"}`),
    );
    await run.hold("timer", "t", 5);
    await run.hold("timer", "no such topic", 5);
    await run.change(0, 7);
    await run.change(0, undefined);
    assert.deepEqual(told, ["new 5", "5 7", "7 gone"]);
    await run.state.close();
  });

  it("are not brought back by what was on its way when their topic was deleted", async () => {
    const run = await Run.open(new MemorySource());
    await run.state.metadata.updateTopic({ name: "t" });
    const entry = await run.hold("timer", "t", 5);
    assert.ok(entry !== undefined);
    await run.state.metadata.deleteTopic("t");
    await run.state.metadata.updateTopic({ name: "t" });
    const next = { dueMs: 5, position: 900, size: 88, count: 0 };
    await run.log.append([changesDraft([{ ...entry, next }])]);
    assert.deepEqual(await scanned(run.state), []);
    assert.equal(run.state.held.count("timer"), 0);
    await run.state.close();
  });

  it("leave the database when their topic is deleted, and nothing else does", async () => {
    const source = new MemorySource();
    const run = await Run.open(source);
    for (const name of ["t", "u"]) {
      await run.state.metadata.updateTopic({ name });
      for (let dueMs = 0; dueMs < 3_000; dueMs++) await run.hold("timer", name, dueMs);
    }
    await scanned(run.state);
    await run.state.metadata.deleteTopic("t");
    await run.state.held.purge();
    const keys = [...(await source.content()).keys()].filter((key) => key.startsWith("held/"));
    assert.equal(keys.length, 3_000);
    assert.equal((await scanned(run.state)).length, 3_000);
    // The digest was kept: the database is taken as it is.
    await run.state.snapshot();
    await run.state.close();
  });

  it("cost no key when they are gone before they were written", async () => {
    const source = new MemorySource();
    const run = await Run.open(source);
    await run.state.metadata.updateTopic({ name: "t" });
    await run.hold("timer", "t", 5);
    await run.change(0, undefined);
    await scanned(run.state);
    assert.ok([...(await source.content()).keys()].every((key) => !key.startsWith("held/")));
    await run.state.close();
  });
});

describe("the record about held messages", () => {
  const key = { kind: "timer" as const, topic: "orders", dueMs: 1_700_000_000_000, id: 4_096 };
  const half = { kind: "half" as const, topic: "orders", dueMs: 1_700_000_000_250, id: 4_200 };
  const changes: readonly HeldChange[] = [
    { ...key, next: undefined },
    { ...half, next: { dueMs: 1_700_000_030_250, position: 4_200, size: 104, count: 1 } },
  ];

  it("is laid out as its document's example says", () => {
    assert.equal(
      Buffer.from(encodeHeldChanges(changes)).toString("hex"),
      "01020000066f726465727380a0abfef9628040000101f403d00101e0d403e8206801",
    );
  });

  it("gives back what was written", () => {
    const place = fc.maxSafeNat().map((value) => Math.floor(value / 4));
    const next = fc.record(
      { dueMs: place, position: place, size: fc.nat(), count: fc.nat() },
      plain,
    );
    const change: fc.Arbitrary<HeldChange> = fc.record(
      {
        kind: fc.constantFrom(...heldKinds),
        topic,
        dueMs: place,
        id: place,
        next: fc.oneof(fc.constant(undefined), next),
      },
      plain,
    );
    fc.assert(
      fc.property(fc.array(change), (written) => {
        assert.deepEqual(decodeHeldChanges(encodeHeldChanges(written)), written);
      }),
    );
  });

  it("is refused when it is cut, longer, or of another version", () => {
    const body = encodeHeldChanges(changes);
    for (let end = 0; end < body.length; end++) {
      assert.throws(() => decodeHeldChanges(body.subarray(0, end)), { code: "CORRUPT" });
    }
    assert.throws(() => decodeHeldChanges(Buffer.concat([body, Buffer.of(0)])), {
      code: "CORRUPT",
    });
    assert.throws(() => decodeHeldChanges(Buffer.concat([Buffer.of(2), body.subarray(1)])), {
      code: "CORRUPT",
      message: /version 2/,
    });
  });
});
