import assert from "node:assert/strict";
import { limits, type MqError } from "../../base/index.ts";
import { filterType, matchAll, parseFilter } from "./filter.ts";
import { settle } from "./testkit/fake-clock.ts";
import { names, Scene } from "./testkit/scene.ts";

const tags = (expression: string): string[] => {
  const filter = parseFilter(filterType.tag, expression);
  return filter.kind === "tags" ? [...filter.tags] : ["*"];
};

const refuses = (type: number, expression: string, code: string, text: RegExp): void =>
  assert.throws(
    () => parseFilter(type, expression),
    (error: MqError) => error.code === code && text.test(error.message),
  );

describe("tag filter expressions", () => {
  it("understands what RocketMQ's clients write", () => {
    assert.deepEqual(tags("*"), ["*"]);
    assert.deepEqual(tags(" * "), ["*"]);
    assert.deepEqual(tags(""), ["*"]);
    assert.deepEqual(tags("a"), ["a"]);
    assert.deepEqual(tags(" a  ||  b||c "), ["a", "b", "c"]);
    assert.deepEqual(tags("a || a"), ["a"]);
    assert.deepEqual(tags("a || "), ["a"]);
    assert.deepEqual(tags("a || *"), ["*"]);
    assert.equal(parseFilter(filterType.unspecified, "*"), matchAll);
  });

  it("names what is wrong", () => {
    refuses(filterType.tag, "||", "ILLEGAL_FILTER_EXPRESSION", /no tag/);
    refuses(filterType.tag, "a | b", "ILLEGAL_FILTER_EXPRESSION", /"a \| b" holds a single \|/);
    refuses(filterType.tag, "a || b\u0001", "ILLEGAL_FILTER_EXPRESSION", /control character/);
    const long = "x".repeat(limits.filterExpressionLengthMax + 1);
    refuses(filterType.tag, long, "ILLEGAL_FILTER_EXPRESSION", /at most/);
    // Expressions are kept as they came, blanks included.
    const blank = " ".repeat(limits.filterExpressionLengthMax + 1);
    refuses(filterType.tag, blank, "ILLEGAL_FILTER_EXPRESSION", /at most/);
    refuses(7, "a", "ILLEGAL_FILTER_EXPRESSION", /filter type 7/);
    refuses(filterType.sql, "a > '1'", "ILLEGAL_FILTER_EXPRESSION", /at character 5: > takes/);
    refuses(filterType.sql, "*", "ILLEGAL_FILTER_EXPRESSION", /for all messages use a tag filter/);
    const blanks = " ".repeat(limits.filterExpressionLengthMax);
    refuses(filterType.sql, `a ${blanks}`, "ILLEGAL_FILTER_EXPRESSION", /at most/);
    assert.equal(parseFilter(filterType.sql, `a${blanks.slice(1)}`).kind, "sql");
  });
});

describe("delivery: tag filters", () => {
  const filter = parseFilter(filterType.tag, "a || AaAa");

  it("passes over what does not match, as if acknowledged", async () => {
    const scene = await Scene.open();
    for (const tag of ["a", "b", undefined, "AaAa", "a"]) {
      scene.store.send("t", 0, tag === undefined ? {} : { tag });
    }
    assert.deepEqual(names(await scene.receive({ filter })), ["0:0", "0:3", "0:4"]);
    assert.equal(scene.delivery.counters.filtered, 2);
    assert.equal(scene.delivery.progress("g")[0]?.cursor, 5);
    assert.deepEqual(names(await scene.receive()), []);
  });

  it("compares the tag itself when hashes are the same", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0, { tag: "BBBB" });
    scene.store.send("t", 0, { tag: "AaAa" });
    scene.store.send("t", 0, { tag: "AaBB" });
    assert.deepEqual(names(await scene.receive({ filter })), ["0:1"]);
  });

  it("a filter that matches nothing yields to others and keeps its place", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    const count = limits.receiveScanCountMax * 3 + 5;
    for (let i = 0; i < count; i++) scene.store.sendQuietly("t", 0, { tag: "b" });
    scene.store.confirm();
    const held = scene.receive({ filter, pollingMs: 20_000 });
    assert.equal(scene.delivery.progress("g")[0]?.cursor, limits.receiveScanCountMax);
    await scene.clock.pass(10);
    assert.equal(scene.delivery.progress("g")[0]?.cursor, count);
    scene.store.send("t", 0, { tag: "a" });
    assert.deepEqual(names(await held), [`0:${count}`]);
  });

  it("a receive without waiting still looks through all there is", async () => {
    const scene = await Scene.open({ topic: { readQueueNums: 1 } });
    for (let i = 0; i < limits.receiveScanCountMax + 1; i++) {
      scene.store.sendQuietly("t", 0, { tag: "b" });
    }
    scene.store.sendQuietly("t", 0, { tag: "a" });
    scene.store.confirm();
    const receiving = scene.receive({ filter });
    await scene.clock.pass(10);
    assert.equal((await receiving).length, 1);
  });

  it("drops a redelivery that the consumer of now does not want", async () => {
    const scene = await Scene.open();
    scene.store.send("t", 0, { tag: "b" });
    const [message] = await scene.receive();
    assert.ok(message);
    scene.nack(message, 0);
    assert.deepEqual(await scene.receive({ filter }), []);
    assert.equal(scene.delivery.progress("g")[0]?.pendingCount, 0);
  });

  it("wakes a poll only for what it wants", async () => {
    const scene = await Scene.open();
    const held = scene.receive({ filter, pollingMs: 20_000 });
    await settle();
    scene.store.send("t", 0, { tag: "b" });
    await settle();
    assert.equal(scene.delivery.figures().heldPolls, 1);
    scene.store.send("t", 0, { tag: "a" });
    assert.deepEqual(names(await held), ["0:1"]);
  });
});
