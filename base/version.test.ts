import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { softwareVersion } from "./version.ts";

describe("version", () => {
  it("is that of package.json", () => {
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    assert.equal(softwareVersion, (JSON.parse(text) as { version: string }).version);
  });
});
