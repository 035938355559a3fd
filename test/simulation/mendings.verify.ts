import assert from "node:assert/strict";
import { mendings } from "./mendings.ts";
import { failingSeed } from "./without.ts";

/** Where a seed has lost its meaning, because something else changed, so many others are tried. */
const triedCount = 100;

describe("simulation with one mending taken out", () => {
  for (const mending of mendings) {
    const { seed, what } = mending;
    if (seed === undefined) continue;
    it(`finds it again: ${what}`, async () => {
      const known = { from: seed, count: 1 };
      const found = await failingSeed(mending, [known, { from: 1, count: triedCount }]);
      assert.notEqual(found, undefined, `no seed fails without: ${mending.code}`);
      if (found !== seed) console.log(`      seed ${seed} shows it no longer; seed ${found} does`);
    }).timeout(400_000);
  }
});
