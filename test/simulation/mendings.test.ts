import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { mendings } from "./mendings.ts";
import { simulate } from "./simulate.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("what simulation has found", () => {
  for (const { what, file, code, seed } of mendings) {
    const name = seed === undefined ? what : `${what} (seed ${seed})`;
    it(`does not come back: ${name}`, async () => {
      const text = await readFile(join(root, file), "utf8");
      assert.ok(text.includes(code), `${file} has no longer: ${code}`);
      if (seed === undefined) return;
      const { problems } = await simulate(seed);
      assert.deepEqual(problems, []);
    }).timeout(60_000);
  }
});
