import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import { entriesOf, entryKey, generationOf, generationsBelow, positionIn } from "./index-keys.ts";

const two30 = 2 ** 30;

describe("the keys of the index", () => {
  it("are laid out as their document's example says", () => {
    const record = { position: 3_221_229_568, storeTimeMs: 1_700_000_000_000 };
    const key = entryKey({ topic: "orders", by: { key: "o-17" } }, record);
    assert.equal(key, "000003orders\u0000ko-17\u0000018bcfe56800000000c0001000");
    assert.equal(positionIn(key), record.position);
  });

  it("lie in the range of their time, and below the generations behind theirs", () => {
    const word = fc.string({ minLength: 1, maxLength: 5 });
    const place = fc.record({ position: fc.nat(3 * two30), storeTimeMs: fc.nat(1_000) });
    fc.assert(
      fc.property(
        word,
        word,
        place,
        fc.nat(1_000),
        fc.nat(1_000),
        (topic, key, record, from, to) => {
          const sought = { topic, by: { key } };
          const entry = entryKey(sought, record);
          const generation = generationOf(record.position);
          const range = entriesOf(sought, generation, { beginMs: from, endMs: to });
          const isInTime = record.storeTimeMs >= from && record.storeTimeMs <= to;
          assert.equal(entry >= range.gte && entry < range.lt, isInTime);
          assert.equal(entry < generationsBelow(generation + 1).lt, true);
          assert.equal(entry < generationsBelow(generation).lt, false);
          assert.ok(entry < "indexed");
        },
      ),
    );
  });
});
