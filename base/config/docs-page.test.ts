import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { configurationPage } from "./docs-page.ts";

describe("docs/configuration.md", () => {
  it("is what the tables say; else run npm run docs:config", () => {
    const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
    assert.equal(page, configurationPage());
  });
});
