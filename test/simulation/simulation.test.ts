import assert from "node:assert/strict";
import { cpus } from "node:os";
import { merged, summaryOf } from "./seeds.ts";
import { simulate } from "./simulate.ts";
import { runInWorkers } from "./workers.ts";

/** Seeds that every test run takes. */
const seedCount = 100;

describe("a simulated cluster", () => {
  it("is the same in every run of a seed", async () => {
    const [one, other, another] = [await simulate(7), await simulate(7), await simulate(8)];
    assert.ok(one.acked > 100, "nothing was acknowledged");
    assert.equal(one.traceHash, other.traceHash);
    assert.equal(one.acked, other.acked);
    assert.notEqual(one.traceHash, another.traceHash);
  }).timeout(60_000);

  it("has consumers of every kind of message", async () => {
    const [one, other] = [await simulate(17), await simulate(20)];
    assert.deepEqual([...one.problems, ...other.problems], []);
    const counts = [one.given.transactions, one.given.priorities, other.given.lite];
    assert.ok(Math.min(...counts) > 20, `hardly anything was given: ${counts.join()}`);
  }).timeout(60_000);

  it("has consumers that take lite topics from each other, and are told", async () => {
    const { problems, trace, given } = await simulate(13);
    assert.deepEqual(problems, []);
    const told = trace.filter((line) => line.includes("is told at"));
    assert.ok(told.length > 10, `only ${told.length} losses were told`);
    assert.ok(given.lite > 20, `only ${given.lite} messages were given`);
  }).timeout(60_000);

  it("has lite topics that go, and others that do not", async () => {
    const { problems, expired, given } = await simulate(132);
    assert.deepEqual(problems, []);
    assert.ok(expired > 20, `only ${expired} messages have gone`);
    assert.ok(given.lite > 50, `only ${given.lite} messages were given`);
  }).timeout(60_000);

  it(`keeps what it promises under faults, ${seedCount} seeds`, async () => {
    const tally = merged(await runInWorkers({ from: 1, count: seedCount }, cpus().length));
    console.log(summaryOf(tally));
    assert.deepEqual(tally.failed, []);
    assert.ok(tally.acked > seedCount * 100, "hardly anything was acknowledged");
    assert.ok(tally.consumed > seedCount * 100, "hardly anything was consumed");
  }).timeout(240_000);
});
