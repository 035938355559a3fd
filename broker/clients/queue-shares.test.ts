import assert from "node:assert/strict";
import * as fc from "fast-check";
import { limits } from "../../base/index.ts";
import { averageShare } from "./average-share.ts";
import { QueueShares, type SharedQueue, type ShareQuestion } from "./queue-shares.ts";

/** A clock that a test moves. */
class TestClock {
  ms = 1_000_000;
  now = (): number => this.ms;
  monotonicMs = (): number => this.ms;
  after = (): (() => void) => () => {};
  every = (): (() => void) => () => {};
}

const queuesOf = (count: number): SharedQueue[] =>
  Array.from({ length: count }, (_unused, queueId) => ({ brokerName: "b", queueId }));

describe("the average share", () => {
  it("is RocketMQ's: consecutive parts, the larger ones first", () => {
    const members = ["a", "b", "c"];
    const share = (count: number): number[][] =>
      members.map((member) => [
        ...averageShare(
          Array.from({ length: count }, (_unused, index) => index),
          members,
          member,
        ),
      ]);
    assert.deepEqual(share(8), [
      [0, 1, 2],
      [3, 4, 5],
      [6, 7],
    ]);
    assert.deepEqual(share(6), [
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    assert.deepEqual(share(2), [[0], [1], []]);
    assert.deepEqual(averageShare([1, 2], members, "stranger"), []);
  });

  it("gives each queue to exactly one member, and the sizes differ by one at most", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 30 }), (queueCount, memberCount) => {
        const queues = Array.from({ length: queueCount }, (_unused, index) => index);
        const members = Array.from({ length: memberCount }, (_unused, index) => `m${index}`);
        const shares = members.map((member) => averageShare(queues, members, member));
        assert.deepEqual(shares.flat(), queues);
        const sizes = shares.map(({ length }) => length);
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      }),
    );
  });
});

describe("the shares of a group's members", () => {
  let clock: TestClock;
  let shares: QueueShares;

  beforeEach(() => {
    clock = new TestClock();
    shares = new QueueShares(clock);
  });

  const question = (clientId: string): { group: string; topic: string; clientId: string } => ({
    group: "g",
    topic: "t",
    clientId,
  });

  function ids(clientId: string, count = 4): number[] {
    return shares.take(question(clientId), queuesOf(count)).map(({ queueId }) => queueId);
  }

  it("are told after a moment in which all can say that they are there", () => {
    assert.equal(shares.join(question("b")), limits.pullShareSettleMs);
    clock.ms += 500;
    assert.equal(shares.join(question("a")), limits.pullShareSettleMs - 500);
    clock.ms += limits.pullShareSettleMs - 500;
    assert.equal(shares.join(question("b")), 0);
    assert.deepEqual(
      [ids("a"), ids("b")],
      [
        [0, 1],
        [2, 3],
      ],
    );
  });

  it("hold back a queue until who reads it has asked again after it was told to let go", () => {
    assert.deepEqual(ids("a"), [0, 1, 2, 3]);
    assert.deepEqual(ids("b"), [], "a reads them still");
    assert.deepEqual(ids("a"), [0, 1], "a is told");
    assert.deepEqual(ids("b"), [], "a may not have let go yet");
    assert.deepEqual(ids("a"), [0, 1], "a has let go");
    assert.deepEqual(ids("b"), [2, 3]);
    assert.deepEqual(shares.of("g", "b"), [
      { topic: "t", brokerName: "b", queueId: 2 },
      { topic: "t", brokerName: "b", queueId: 3 },
    ]);
    assert.deepEqual(shares.of("other", "b"), []);
  });

  it("go by what members say that they read, where they do", () => {
    const say = (clientId: string, ...reads: number[]): number[] => {
      const told = reads.map((queueId) => ({ brokerName: "b", queueId }));
      return shares
        .take({ ...question(clientId), reads: told }, queuesOf(4))
        .map(({ queueId }) => queueId);
    };
    shares.join(question("b"));
    assert.deepEqual(say("a"), [0, 1]);
    assert.deepEqual(say("b"), [2, 3]);
    shares.leave("b");
    shares.join(question("c"));
    assert.deepEqual(say("a", 0, 1), [0, 1]);
    assert.deepEqual(say("c"), [2, 3]);
    shares.leave("a");
    // The answer that gives all of them is lost: it says that it reads what it did before.
    assert.deepEqual(say("c", 2, 3), [0, 1, 2, 3]);
    shares.join(question("a"));
    assert.deepEqual(say("c", 2, 3), [2, 3]);
    assert.deepEqual(say("a"), [0, 1], "nobody reads them");
    // It was told to let go of 0, and has not.
    assert.deepEqual(say("c", 0, 2, 3), [2, 3]);
    assert.deepEqual(say("a", 0, 1), [0, 1]);
  });

  it("are known again to a broker that has just begun to give them", () => {
    const reads = (...ids: number[]): SharedQueue[] =>
      ids.map((queueId) => ({ brokerName: "b", queueId }));
    shares.join({ ...question("b"), reads: reads(0, 1, 2) });
    shares.join({ ...question("a"), reads: reads(3) });
    shares.join({ ...question("c"), reads: [] });
    clock.ms += limits.pullShareSettleMs;
    // Its share is 0 and 1, which b reads still.
    assert.deepEqual(
      shares.take({ ...question("a"), reads: reads(3) }, queuesOf(6)).map((one) => one.queueId),
      [],
    );
    assert.deepEqual(
      shares.take({ ...question("c"), reads: [] }, queuesOf(6)).map((one) => one.queueId),
      [4, 5],
    );
    assert.deepEqual(
      shares
        .take({ ...question("b"), reads: reads(0, 1, 2) }, queuesOf(6))
        .map((one) => one.queueId),
      [2],
      "a reads 3 until it is told",
    );
  });

  it("of who has left are free at once", () => {
    shares.join(question("b"));
    ids("a");
    assert.deepEqual(ids("b"), [2, 3]);
    shares.leave("a");
    assert.deepEqual(ids("b"), [0, 1, 2, 3]);
    assert.deepEqual(shares.of("g", "a"), []);
  });

  it("of a topic that a member has left are free at once", () => {
    shares.join(question("b"));
    ids("a");
    shares.retain("other", "a", new Set());
    shares.retain("g", "a", new Set(["t"]));
    assert.deepEqual(ids("b"), [2, 3]);
    shares.retain("g", "a", new Set(["u"]));
    assert.deepEqual(ids("b"), [0, 1, 2, 3]);
  });

  it("of who is silent are free after a while", () => {
    shares.join(question("b"));
    ids("a");
    clock.ms += limits.pullMemberSilenceMs;
    assert.deepEqual(ids("b"), [2, 3]);
    clock.ms += 1;
    assert.deepEqual(ids("b"), [0, 1, 2, 3]);
  });

  it("follow the number of queues", () => {
    assert.deepEqual(ids("a", 2), [0, 1]);
    assert.deepEqual(ids("a", 4), [0, 1, 2, 3]);
    assert.deepEqual(ids("a", 1), [0]);
  });

  it("leave nothing behind", () => {
    for (let index = 0; index < 10; index++) ids(`m${index}`);
    clock.ms += limits.pullMemberSilenceMs + 1;
    shares.sweep();
    assert.deepEqual(shares.of("g", "m0"), []);
    // A board of its own again: the next ones wait for each other.
    assert.equal(shares.join(question("m0")), limits.pullShareSettleMs);
  });

  const acts = fc.array(
    fc.record({
      kind: fc.constantFrom(
        ...(["ask", "ask", "ask", "ask", "lost", "restart", "leave", "pass"] as const),
      ),
      member: fc.nat(4),
      ms: fc.constantFrom(100, 3_000, 11_000),
    }),
    { maxLength: 100 },
  );

  it("never let two members read one queue, whoever comes, goes and asks; in the end each is read", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.boolean(), acts, (count, doSay, schedule) => {
        clock = new TestClock();
        const group = new SimulatedGroup(clock, count, doSay);
        for (const { kind, member, ms } of schedule) {
          const name = `m${member}`;
          if (kind === "pass") clock.ms += ms;
          else if (kind === "leave") group.leave(name);
          else if (kind === "restart") group.restart();
          else group.ask(name, { isLost: kind === "lost" });
          group.check();
        }
        group.finish();
      }),
      { numRuns: 400 },
    );
  });
});

/** Members that read what they were told last, and stop by themselves when they have not been answered for too long. */
class SimulatedGroup {
  readonly #clock: TestClock;
  readonly #count: number;
  /** Whether members say what they read. When they do not, answers must not be lost and brokers must not restart. */
  readonly #doSay: boolean;
  readonly #reads = new Map<string, { queues: readonly SharedQueue[]; answeredAtMs: number }>();
  #shares: QueueShares;

  constructor(clock: TestClock, count: number, doSay: boolean) {
    this.#clock = clock;
    this.#count = count;
    this.#doSay = doSay;
    this.#shares = new QueueShares(clock);
  }

  #question(clientId: string): ShareQuestion {
    const reads = this.#reads.get(clientId)?.queues ?? [];
    return { group: "g", topic: "t", clientId, ...(this.#doSay ? { reads } : {}) };
  }

  ask(name: string, { isLost }: { readonly isLost: boolean }): void {
    const queues = this.#shares.take(this.#question(name), queuesOf(this.#count));
    if (isLost && this.#doSay) return;
    this.#reads.set(name, { queues, answeredAtMs: this.#clock.ms });
  }

  leave(name: string): void {
    this.#shares.leave(name);
    this.#reads.delete(name);
  }

  /** Another broker begins to give the shares; all members have the time to ask it. */
  restart(): void {
    if (!this.#doSay) return;
    this.#shares = new QueueShares(this.#clock);
    for (const name of this.#reads.keys()) this.#shares.join(this.#question(name));
    this.#clock.ms += limits.pullShareSettleMs;
  }

  check(): void {
    for (const [name, { answeredAtMs }] of this.#reads) {
      if (this.#clock.ms - answeredAtMs > limits.pullMemberSilenceMs) this.#reads.delete(name);
    }
    const all = [...this.#reads.values()].flatMap(({ queues }) =>
      queues.map(({ queueId }) => queueId),
    );
    assert.equal(new Set(all).size, all.length, "a queue has two readers");
  }

  finish(): void {
    for (const gone of ["m2", "m3", "m4"]) this.leave(gone);
    for (const name of ["m0", "m1", "m0", "m1", "m0", "m1"]) this.ask(name, { isLost: false });
    this.check();
    const all = [...this.#reads.values()].flatMap(({ queues }) =>
      queues.map(({ queueId }) => queueId),
    );
    assert.deepEqual(
      all.sort((a, b) => a - b),
      queuesOf(this.#count).map(({ queueId }) => queueId),
    );
  }
}
