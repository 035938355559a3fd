import assert from "node:assert/strict";
import * as fc from "fast-check";
import { limits } from "../../base/index.ts";
import { averageShare } from "./average-share.ts";
import { QueueShares, type SharedQueue } from "./queue-shares.ts";

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

  it("never let two members read one queue, whoever comes, goes and asks; in the end each is read", () => {
    const act = fc.record({
      kind: fc.constantFrom(...(["ask", "ask", "ask", "ask", "leave", "pass"] as const)),
      member: fc.nat(4),
      ms: fc.constantFrom(100, 3_000, 11_000),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.array(act, { maxLength: 80 }),
        (count, acts) => {
          clock = new TestClock();
          shares = new QueueShares(clock);
          /** What each member reads: what it was told last. One that is silent for too long stops by itself. */
          const reads = new Map<string, { queues: number[]; askedAtMs: number }>();
          for (const { kind, member, ms } of acts) {
            const name = `m${member}`;
            if (kind === "ask") reads.set(name, { queues: ids(name, count), askedAtMs: clock.ms });
            else if (kind === "pass") clock.ms += ms;
            else {
              shares.leave(name);
              reads.delete(name);
            }
            for (const [other, { askedAtMs }] of reads) {
              if (clock.ms - askedAtMs > limits.pullMemberSilenceMs) reads.delete(other);
            }
            const all = [...reads.values()].flatMap(({ queues }) => queues);
            assert.equal(new Set(all).size, all.length, "a queue has two readers");
          }
          for (const gone of ["m2", "m3", "m4"]) {
            shares.leave(gone);
            reads.delete(gone);
          }
          for (const name of ["m0", "m1", "m0", "m1", "m0", "m1"]) {
            reads.set(name, { queues: ids(name, count), askedAtMs: clock.ms });
          }
          const all = [...reads.values()].flatMap(({ queues }) => queues).sort((a, b) => a - b);
          assert.deepEqual(
            all,
            queuesOf(count).map(({ queueId }) => queueId),
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});
