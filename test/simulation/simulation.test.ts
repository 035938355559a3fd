import assert from "node:assert/strict";
import { simulate } from "./simulate.ts";

/** Seeds that every test run takes. */
const seedCount = 120;

describe("a simulated cluster", () => {
  it("is the same in every run of a seed", async () => {
    const [one, other] = [await simulate(7), await simulate(7)];
    assert.ok(one.acked > 100, "nothing was acknowledged");
    assert.equal(one.traceHash, other.traceHash);
    assert.equal(one.acked, other.acked);
  }).timeout(60_000);

  it(`keeps what it promises under faults, ${seedCount} seeds`, async () => {
    const found: string[] = [];
    let acked = 0;
    for (let seed = 1; seed <= seedCount; seed += 1) {
      const outcome = await simulate(seed);
      acked += outcome.acked;
      for (const problem of outcome.problems) {
        found.push(
          `seed ${seed} (${outcome.mode}): ${problem}; npm run simulate -- --seed ${seed}`,
        );
      }
    }
    assert.deepEqual(found, []);
    assert.ok(acked > seedCount * 100, "hardly anything was acknowledged");
  }).timeout(240_000);
});
