// Delivery by SQL filters, and what a change of the filter means for messages that were skipped, handed out or failed.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { limits } from "../../base/index.ts";
import { filterType, parseFilter } from "./filter.ts";
import type { Delivered } from "./request.ts";
import { names, Scene } from "./testkit/scene.ts";

const sql = (expression: string): ReturnType<typeof parseFilter> =>
  parseFilter(filterType.sql, expression);

const oneQueue = { topic: { readQueueNums: 1 } };

describe("delivery: SQL filters", () => {
  it("hands out what matches and skips the rest, as if acknowledged", async () => {
    const scene = await Scene.open();
    for (const price of ["5", "15", "x", undefined, "25"]) {
      scene.store.send("t", 0, price === undefined ? {} : { properties: { price } });
    }
    assert.deepEqual(names(await scene.receive({ filter: sql("price > 10") })), ["0:1", "0:4"]);
    assert.equal(scene.delivery.counters.filtered, 3);
    assert.equal(scene.delivery.progress("g")[0]?.cursor, 5);
    assert.deepEqual(await scene.receive(), []);
  });

  it("sees the tag along with the properties", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0, { tag: "a", properties: { n: "1" } });
    scene.store.send("t", 0, { tag: "b", properties: { n: "1" } });
    scene.store.send("t", 0, { tag: "b", properties: { n: "2" } });
    const filter = sql("TAGS = 'b' AND n = 1");
    assert.deepEqual(names(await scene.receive({ filter })), ["0:1"]);
  });

  it("looks at fewer messages in one go when the expression is large", async () => {
    const scene = await Scene.open(oneQueue);
    const large = Array.from({ length: 64 }, (_, index) => `n = -${index + 1}`).join(" OR ");
    const filter = sql(large);
    assert.ok(filter.kind === "sql" && filter.condition.cost > 10);
    const looks = Math.floor(limits.receiveScanCountMax / filter.condition.cost);
    for (let i = 0; i < looks * 3; i++) scene.store.sendQuietly("t", 0, { properties: { n: "1" } });
    scene.store.sendQuietly("t", 0, { properties: { n: "-64" } });
    scene.store.confirm();
    const held = scene.receive({ filter, pollingMs: 20_000 });
    assert.equal(scene.delivery.progress("g")[0]?.cursor, looks);
    await scene.clock.pass(10);
    assert.deepEqual(names(await held), [`0:${looks * 3}`]);
  });

  it("drains a backlog from files, in order, each record read once", async () => {
    const scene = await Scene.open(oneQueue);
    const count = 3_000;
    for (let i = 0; i < count; i++) {
      scene.store.sendQuietly("t", 0, { properties: { n: String(i % 10) } });
    }
    scene.store.confirm();
    scene.store.coolDown();
    const offsets: number[] = [];
    for (let rounds = 0; offsets.length < count / 10 && rounds < 1_000; rounds++) {
      const receiving = scene.receive({ filter: sql("n = 7"), pollingMs: 100 });
      await scene.clock.pass(1);
      offsets.push(...(await receiving).map(({ queueOffset }) => queueOffset));
    }
    assert.deepEqual(
      offsets,
      Array.from({ length: count / 10 }, (_, index) => index * 10 + 7),
    );
    assert.equal(scene.store.coldRecordCount, count);
  });

  it("serves members of a group that filter differently each by its own", async () => {
    const scene = await Scene.open(oneQueue);
    for (let i = 0; i < 6; i++) scene.store.send("t", 0, { properties: { n: String(i) } });
    const low = await scene.receive({ filter: sql("n < 2"), clientId: "low", countMax: 2 });
    assert.deepEqual(names(low), ["0:0", "0:1"]);
    // What one skips the other does not get: the place in the queue is the group's.
    const four = await scene.receive({ filter: sql("n = 4"), clientId: "four" });
    assert.deepEqual(names(four), ["0:4"]);
    assert.deepEqual(await scene.receive({ filter: sql("n = 2"), clientId: "low" }), []);
    const other = await scene.receive({ filter: sql("n = 2"), group: await otherGroup(scene) });
    assert.deepEqual(names(other), ["0:2"], "another group has its own place");
  });

  it("keeps the order of message groups, also of what waited for its turn when the filter changed", async () => {
    const scene = await Scene.open({ ...oneQueue, group: { consumeMessageOrderly: true } });
    for (let i = 0; i < 6; i++) {
      const messageGroupHash = (i % 2) + 1;
      scene.store.send("t", 0, { messageGroupHash, properties: { n: String(i) } });
    }
    const filter = sql("n >= 2");
    // Of group 1 messages 2 and 4 match, of group 2 messages 3 and 5.
    const [two] = await scene.receive({ filter, countMax: 1 });
    assert.deepEqual(names(two === undefined ? [] : [two]), ["0:2"]);
    const others = await scene.receive({ filter });
    assert.deepEqual(names(others), ["0:3", "0:5"], "4 waits for 2");
    assert.ok(two);
    scene.ack(two);
    assert.deepEqual(await scene.receive({ filter: sql("n > 4") }), [], "4 is skipped");
    for (const message of others) scene.ack(message);
    assert.deepEqual(await scene.receive({ filter }), []);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("skipped messages stay skipped over a restart", async () => {
    const scene = await Scene.open(oneQueue);
    for (let i = 0; i < 5; i++) scene.store.send("t", 0, { properties: { n: String(i) } });
    const [message] = await scene.receive({ filter: sql("n = 4") });
    assert.ok(message);
    scene.ack(message);
    await scene.clock.pass(100);
    await scene.crash();
    assert.deepEqual(await scene.receive(), []);
  });
});

async function otherGroup(scene: Scene): Promise<string> {
  await scene.metadata.updateGroup({ name: "h", consumeFrom: "first" });
  return "h";
}

describe("delivery: filters that change", () => {
  it("a failed message goes to the dead letters after its last delivery, whatever the filter is then", async () => {
    const scene = await Scene.open({ ...oneQueue, group: { retryMaxTimes: 1 } });
    scene.store.send("t", 0, { id: "failing", properties: { n: "1" } });
    const filter = sql("n = 1");
    for (let attempt = 1; attempt <= 2; attempt++) {
      const [message] = await scene.receive({ filter });
      assert.equal(message?.attempt, attempt);
      scene.nack(message, 0);
    }
    assert.deepEqual(await scene.receive({ filter: sql("n = 2") }), []);
    await scene.clock.pass(100);
    assert.equal(scene.delivery.counters.deadLettered, 1);
    assert.equal(scene.delivery.counters.filtered, 0);
    assert.equal(scene.store.queue("%DLQ%g", 0)?.items.length, 1);
  });

  it("a message that waits for its next delivery is dropped by a filter that does not match", async () => {
    const scene = await Scene.open(oneQueue);
    scene.store.send("t", 0, { properties: { n: "1" } });
    const [message] = await scene.receive({ filter: sql("n = 1") });
    assert.ok(message);
    scene.nack(message, 0);
    assert.deepEqual(await scene.receive({ filter: sql("n = 2") }), []);
    assert.deepEqual(await scene.receive({ filter: sql("n = 1") }), []);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("what the filter of before has handed out is acknowledged as ever", async () => {
    const scene = await Scene.open(oneQueue);
    scene.store.send("t", 0, { properties: { n: "1" } });
    const [message] = await scene.receive({ filter: sql("n = 1") });
    assert.ok(message);
    await scene.receive({ filter: sql("n = 2") });
    assert.equal(scene.ack(message), "ok");
    assert.equal(scene.delivery.counters.acknowledged, 1);
  });

  it("gives a dead letter to who filters the dead-letter topic by where it came from", async () => {
    const scene = await Scene.open({ ...oneQueue, group: { retryMaxTimes: 0 } });
    scene.store.send("t", 0, { id: "m-1", tag: "a", properties: { n: "1" } });
    const [message] = await scene.receive();
    assert.ok(message);
    scene.nack(message, 0);
    await scene.receive();
    await scene.clock.pass(100);
    await scene.metadata.updateGroup({ name: "h", consumeFrom: "first" });
    const wish = { group: "h", topic: "%DLQ%g" };
    const filter = sql("DLQ_ORIGIN_TOPIC = 't' AND DLQ_ORIGIN_MESSAGE_ID = 'm-1' AND n = 1");
    assert.deepEqual(names(await scene.receive({ ...wish, filter })), ["0:0"]);
  });
});

type Step =
  | { readonly kind: "send"; readonly queueId: number; readonly values: readonly number[] }
  /** One receive a filter, all at the same time. */
  | { readonly kind: "receive"; readonly filters: readonly number[]; readonly count: number }
  | { readonly kind: "ack" | "nack"; readonly which: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "cool" };

/** Filters that follow each other, and what each of them means. */
const filters = [
  { expression: "*", type: filterType.tag, matches: () => true },
  { expression: "a || b", type: filterType.tag, matches: (n: number) => n % 3 < 2 },
  { expression: "n < 5", type: filterType.sql, matches: (n: number) => n < 5 },
  { expression: "n >= 5", type: filterType.sql, matches: (n: number) => n >= 5 },
  {
    expression: "TAGS IN ('b', 'c') AND NOT n = 7",
    type: filterType.sql,
    matches: (n: number) => n % 3 > 0 && n !== 7,
  },
  { expression: "nothing = 1", type: filterType.sql, matches: () => false },
] as const;

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      queueId: fc.nat(1),
      values: fc.array(fc.nat(9), { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("receive" as const),
      filters: fc.array(fc.nat(filters.length - 1), { minLength: 1, maxLength: 3 }),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("ack" as const, "nack" as const),
      which: fc.nat(100),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 5_000, 31_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cool" as const) }) },
);

/** Where a message stands for the group. */
interface Known {
  readonly n: number;
  state: "new" | "out" | "done" | "skipped";
  visibleAtMs: number;
  attempt: number;
}

const retryMaxTimes = 2;

/** What each message may go through, told from the cursors and the answers alone. */
class Model {
  readonly scene: Scene;
  readonly #known = new Map<string, Known>();
  readonly #out: { readonly name: string; readonly delivered: Delivered }[] = [];

  constructor(scene: Scene) {
    this.scene = scene;
  }

  async run(what: Step): Promise<void> {
    const { scene } = this;
    if (what.kind === "send") return this.#send(what.queueId, what.values);
    if (what.kind === "pass") return await scene.clock.pass(what.ms);
    if (what.kind === "cool") return scene.store.coolDown();
    if (what.kind === "receive") return await this.#receive(what.filters, what.count);
    const place = this.#out[what.which % Math.max(1, this.#out.length)];
    const known = place && this.#known.get(place.name);
    if (place === undefined || known === undefined) return;
    const isNewest = known.state === "out" && known.attempt === place.delivered.attempt;
    if (what.kind === "ack") {
      const { acknowledged } = scene.delivery.counters;
      scene.ack(place.delivered);
      // Without effect when the handle is stale, or the message is dead or was dropped when it was due.
      if (scene.delivery.counters.acknowledged === acknowledged) return;
      assert.ok(isNewest);
      known.state = "done";
    } else {
      const changed = scene.nack(place.delivered, 0);
      if (isNewest && changed !== "invalid") known.visibleAtMs = scene.clock.now();
    }
  }

  #send(queueId: number, values: readonly number[]): void {
    const { store } = this.scene;
    for (const n of values) {
      const offset = store.queue("t", queueId)?.items.length ?? 0;
      store.sendQuietly("t", queueId, { tag: "abc"[n % 3] ?? "", properties: { n: String(n) } });
      const name = `${queueId}:${offset}`;
      this.#known.set(name, { n, state: "new", visibleAtMs: 0, attempt: 0 });
    }
    store.confirm();
  }

  #cursors(): number[] {
    const cursors = [0, 0];
    for (const { queueId, cursor } of this.scene.delivery.progress("g")) cursors[queueId] = cursor;
    return cursors;
  }

  async #receive(which: readonly number[], countMax: number): Promise<void> {
    const { scene } = this;
    const wanted = which.map((index) => filters[index] ?? filters[0]);
    const before = this.#cursors();
    const receiving = wanted.map(({ type, expression }) =>
      scene.receive({ filter: parseFilter(type, expression), countMax, pollingMs: 1 }),
    );
    await scene.clock.pass(1);
    const taken = new Set<string>();
    for (const [index, batch] of (await Promise.all(receiving)).entries()) {
      for (const delivered of batch) {
        const name = `${delivered.queueId}:${delivered.queueOffset}`;
        assert.equal(taken.has(name), false, `${name} came twice`);
        taken.add(name);
        this.#taken(name, delivered, wanted[index] ?? filters[0]);
      }
    }
    const after = this.#cursors();
    for (const [name, known] of this.#known) {
      const [queueId = 0, offset = 0] = name.split(":").map(Number);
      const isPassed = offset >= (before[queueId] ?? 0) && offset < (after[queueId] ?? 0);
      if (!isPassed || taken.has(name)) continue;
      const isWantedByAll = wanted.every(({ matches }) => matches(known.n));
      assert.equal(isWantedByAll, false, `${name} matches and was passed over`);
      assert.equal(known.state, "new");
      known.state = "skipped";
    }
  }

  #taken(name: string, delivered: Delivered, filter: (typeof filters)[number]): void {
    const known = this.#known.get(name);
    assert.ok(known, name);
    assert.ok(filter.matches(known.n), `${name} came although the filter does not match`);
    assert.ok(known.state === "new" || known.state === "out", `${name} came after ${known.state}`);
    assert.ok(known.visibleAtMs <= this.scene.clock.now(), `${name} came while it is out`);
    assert.equal(delivered.attempt, known.attempt + 1, name);
    known.state = "out";
    known.attempt = delivered.attempt;
    known.visibleAtMs = this.scene.clock.now() + delivered.invisibleMs;
    this.#out.push({ name, delivered });
  }

  /** Everything that no filter has skipped is acknowledged, dead, or dropped as a redelivery that nobody wants. */
  async finish(): Promise<void> {
    const { scene } = this;
    for (let quiet = 0; quiet < 4; ) {
      const known = this.#out.length;
      await this.#receive([0], 32);
      for (const { name, delivered } of this.#out.slice(known)) {
        assert.equal(scene.ack(delivered), "ok");
        const entry = this.#known.get(name);
        if (entry !== undefined) entry.state = "done";
      }
      quiet = this.#out.length === known ? quiet + 1 : 0;
      await scene.clock.pass(31_000);
    }
    const dead = scene.store.queue("%DLQ%g", 0)?.items.length ?? 0;
    assert.equal(dead, scene.delivery.counters.deadLettered);
    const states = [...this.#known.values()].map(({ state }) => state);
    assert.equal(states.includes("new"), false, "a message was never looked at");
    const skipped = states.filter((state) => state === "skipped").length;
    const left = states.filter((state) => state === "out").length;
    const dropped = scene.delivery.counters.filtered - skipped;
    assert.equal(left, dead + dropped, "a message that was out is neither done, dead nor dropped");
    for (const { state, attempt } of this.#known.values()) {
      if (state === "skipped") assert.equal(attempt, 0);
      assert.ok(attempt <= retryMaxTimes + 1);
    }
    assert.ok(scene.delivery.progress("g").every((lane) => lane.lag === 0 && !lane.pendingCount));
  }
}

describe("delivery: filters that change, against a plain model", () => {
  it("loses nothing that matches, gives nothing that was skipped, and nothing twice", async () => {
    const check = async (steps: readonly Step[]): Promise<void> => {
      const scene = await Scene.open({ topic: { readQueueNums: 2 }, group: { retryMaxTimes } });
      const model = new Model(scene);
      for (const what of steps) await model.run(what);
      await model.finish();
    };
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 80, size: "max" }), check), {
      numRuns: 150,
    });
  });
});
