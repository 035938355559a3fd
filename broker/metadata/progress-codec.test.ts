import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import type { ProgressChange } from "./progress-change.ts";
import { decodeProgress, encodeProgress } from "./progress-codec.ts";

const offset = fc.integer({ min: 0, max: 2 ** 51 });
const name = fc.string({
  unit: fc.constantFrom("a", "b", "Z", "9", "%", "|", "-", "_"),
  minLength: 1,
  maxLength: 20,
});
const entry = fc.record(
  {
    offset,
    attempt: fc.nat(),
    visibleAtMs: fc.integer({ min: 0, max: 2 ** 45 }),
    deliveryNumber: fc.maxSafeNat(),
    flags: fc.nat(3),
    order: fc.record(
      { messageGroupHash: fc.maxSafeNat(), from: fc.maxSafeNat() },
      { noNullPrototype: true },
    ),
  },
  {
    noNullPrototype: true,
    requiredKeys: ["offset", "attempt", "visibleAtMs", "deliveryNumber", "flags"],
  },
);
const change: fc.Arbitrary<ProgressChange> = fc.record(
  {
    group: name,
    topic: name,
    queueId: fc.nat(),
    cursor: offset,
    upserts: fc.array(entry),
    removals: fc.array(offset),
  },
  { noNullPrototype: true },
);

/** The worked example of docs/format/progress-record.md. */
const example: ProgressChange[] = [
  {
    group: "billing",
    topic: "orders",
    queueId: 3,
    cursor: 1_000,
    upserts: [
      { offset: 998, attempt: 1, visibleAtMs: 1_700_000_000_000, deliveryNumber: 7, flags: 0 },
      { offset: 999, attempt: 2, visibleAtMs: 1_700_000_000_250, deliveryNumber: 8, flags: 1 },
    ],
    removals: [990],
  },
  { group: "billing", topic: "orders", queueId: 4, cursor: 5, upserts: [], removals: [] },
];
const exampleHex =
  "02020007" + // version, two changes, a new name of 7 bytes
  "62696c6c696e67" + // billing
  "0006" +
  "6f7264657273" + // orders
  "03e80702" + // queue 3, cursor 1000, two upserts
  "030180a0abfef9620700" + // 998
  "0202f4030801" + // 999
  "0113" + // one removal, 990
  "0102040500" + // names 1 and 2, queue 4, cursor 5, nothing pending
  "00";

function breakIt(changes: readonly ProgressChange[], place: number, value: number): void {
  const body = encodeProgress(changes);
  const cut = body.subarray(0, place % body.length);
  assert.throws(() => decodeProgress(cut), { code: "CORRUPT" });
  body[place % body.length] = value;
  try {
    decodeProgress(body);
  } catch (error) {
    assert.equal((error as { code?: string }).code, "CORRUPT", String(error));
  }
}

describe("the progress record", () => {
  it("gives back what was written", () => {
    fc.assert(
      fc.property(fc.array(change), (changes) => {
        assert.deepEqual(decodeProgress(encodeProgress(changes)), changes);
      }),
    );
  });

  it("is laid out as its document's example says", () => {
    assert.equal(Buffer.from(encodeProgress(example)).toString("hex"), exampleHex);
    assert.deepEqual(decodeProgress(Buffer.from(exampleHex, "hex")), example);
  });

  it("is read as version 1 wrote it", () => {
    assert.deepEqual(decodeProgress(Buffer.from(`01${exampleHex.slice(2)}`, "hex")), example);
  });

  it("keeps what a message holds back, in a few bytes", () => {
    const order = { messageGroupHash: 2 ** 53 - 1, from: 1_005 };
    const held = { offset: 998, attempt: 1, visibleAtMs: 5, deliveryNumber: 7, flags: 2, order };
    const place = { group: "g", topic: "t", queueId: 0, cursor: 1_000, removals: [] };
    const body = encodeProgress([{ ...place, upserts: [held] }]);
    assert.deepEqual(decodeProgress(body), [{ ...place, upserts: [held] }]);
    assert.match(Buffer.from(body).toString("hex"), /06ffffffffffffff0fed0700$/);
  });

  it("is small: an acknowledged message costs two bytes", () => {
    const removals = Array.from({ length: 1_000 }, (_, index) => 50_000 + index);
    const body = encodeProgress([
      { group: "g", topic: "t", queueId: 0, cursor: 51_000, upserts: [], removals },
    ]);
    assert.ok(body.length < 1_020, `${body.length} bytes`);
  });

  it("throws CORRUPT for broken bytes and never anything else", () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat(255), breakIt),
    );
  });

  it("names the version it cannot read", () => {
    assert.throws(() => decodeProgress(Uint8Array.of(9, 0)), /version 9.*reads up to 2/);
  });
});
