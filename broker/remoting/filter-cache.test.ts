import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import { FilterCache } from "./filter-cache.ts";

const sql = 2;

describe("the filter cache", () => {
  it("gives the same filter for the same expression, and keeps no more than it may", () => {
    const cache = new FilterCache();
    const first = cache.get(sql, "a = 1");
    assert.equal(cache.get(sql, "a = 1"), first);
    for (let count = 1; count < limits.filterCacheCountMax; count++)
      cache.get(sql, `a = -${count}`);
    assert.equal(cache.get(sql, "a = 1"), first);
    cache.get(sql, "one = 'more'");
    assert.notEqual(cache.get(sql, "a = 1"), first);
  });

  it("keeps few of the longest ones", () => {
    const cache = new FilterCache();
    const first = cache.get(sql, "a = 1");
    const long = "x".repeat(limits.filterExpressionLengthMax - 100);
    const count = Math.ceil(limits.filterCacheLengthMax / long.length);
    for (let index = 1; index < count; index++) cache.get(sql, `a = '${index}${long}'`);
    assert.equal(cache.get(sql, "a = 1"), first);
    cache.get(sql, `b = '${long}'`);
    assert.notEqual(cache.get(sql, "a = 1"), first);
  });

  it("keeps nothing of what is refused", () => {
    const cache = new FilterCache();
    for (let count = 0; count < 2; count++) {
      assert.throws(() => cache.get(sql, "a >"), { code: "ILLEGAL_FILTER_EXPRESSION" });
    }
  });
});
