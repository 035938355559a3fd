// The official Rust client, which uses the address that it is given for all of its work, whatever routes say. Not among the
// verifications because building it takes minutes: `npm run verify:rust`. Needs cargo and protoc.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { assertSpread, count, lastLine, places, run } from "./places.ts";

const folder = fileURLToPath(new URL("rust", import.meta.url));

describe("the official Rust client with its default settings", function () {
  this.timeout(900_000);

  before(() => run("cargo", ["build", "--quiet", "--locked"], { cwd: folder, maxBuffer: 1 << 26 }));

  for (const [where, open] of Object.entries(places)) {
    it(`sends and receives: ${where}`, async () => {
      await using place = await open("orders");
      const given = [place.endpoint, "orders", String(count)];
      const result = await lastLine(`${folder}/target/debug/cometmq-clients`, given, folder);
      assert.deepEqual(result, { sent: count, simple: count });
      await assertSpread(place);
    });
  }
});
