// Schedules that have shown a bug, one seed each: docs/simulation.md says how a seed gets here. With the mending taken out
// each of them fails.
import assert from "node:assert/strict";
import { simulate } from "./simulate.ts";

const found: readonly { readonly seed: number; readonly what: string }[] = [
  {
    seed: 98,
    what: "a master that lost its slaves while retention waited for a snapshot could neither step down nor stop",
  },
  {
    seed: 82,
    what: "a master with a new disk that reached etcd before the others was elected, and the others cut everything",
  },
  {
    seed: 361,
    what: "a slave that acted and followed its master again gave consumers what the master had given already",
  },
];

describe("what simulation has found", () => {
  for (const { seed, what } of found) {
    it(`does not come back: ${what} (seed ${seed})`, async () => {
      const { problems } = await simulate(seed);
      assert.deepEqual(problems, []);
    }).timeout(60_000);
  }
});
