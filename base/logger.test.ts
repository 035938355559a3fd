import assert from "node:assert/strict";
import { mock } from "node:test";
import { openLogger } from "./logger.ts";

/** What `run` makes the logger write on standard error. */
async function written(run: () => void | Promise<void>): Promise<string> {
  let text = "";
  const swallow = (chunk: unknown): boolean => {
    text += String(chunk);
    return true;
  };
  const watched = mock.method(process.stderr, "write", swallow);
  try {
    await run();
  } finally {
    watched.mock.restore();
  }
  return text;
}

describe("logger", () => {
  it("writes one readable line an event, with its facts", async () => {
    const logger = await openLogger({ level: "info", json: false });
    const text = await written(() => {
      logger.child("store").warn("disk is slow", { path: "/a b", count: 3, absent: undefined });
      logger.debug("not this");
    });
    assert.match(text, /^\S+Z WARN {2}\[store\] disk is slow path="\/a b" count=3\n$/);
  });

  it("keeps an event on one line whatever it holds", async () => {
    const logger = await openLogger({ level: "info", json: false });
    const text = await written(() => logger.info("a\nb", { reason: "c\nd" }));
    assert.match(text, /INFO {2}a\\nb reason="c\\nd"\n$/);
    assert.equal(text.split("\n").length, 2);
  });

  it("writes one JSON object a line when asked", async () => {
    const logger = await openLogger({ level: "info", json: true });
    const text = await written(() => logger.error("x\ny", { code: "CORRUPT" }));
    const { timestamp, ...rest } = JSON.parse(text) as Record<string, unknown>;
    assert.deepEqual(rest, { level: "error", message: "x\ny", code: "CORRUPT" });
    assert.equal(typeof timestamp, "string");
    assert.equal(text.split("\n").length, 2);
  });

  it("changes its level while running, for children too", async () => {
    const logger = await openLogger({ level: "error", json: false });
    const child = logger.child("c");
    const text = await written(() => {
      child.info("quiet");
      logger.setLevel("debug");
      child.debug("loud");
    });
    assert.match(text, /loud/);
    assert.doesNotMatch(text, /quiet/);
  });
});
