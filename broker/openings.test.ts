import assert from "node:assert/strict";
import { type Logger, silentLogger } from "../base/index.ts";
import { Openings } from "./openings.ts";

describe("Openings", () => {
  it("closes in reverse, goes on after a failure and closes each once", async () => {
    const told: string[] = [];
    const logger: Logger = { ...silentLogger, error: (message) => void told.push(message) };
    const openings = new Openings(logger);
    openings.add("first", () => void told.push("first closed"));
    openings.add("second", async () => {
      throw new Error("stuck");
    });
    openings.add("third", () => void told.push("third closed"));
    await openings.close();
    await openings.close();
    assert.deepEqual(told, ["third closed", "closing second failed", "first closed"]);
  });
});
