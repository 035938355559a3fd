import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import { ByteReader, ByteWriter } from "./bytes.ts";

const whole = fc.maxSafeNat();
const signed = fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 });

describe("ByteWriter and ByteReader", () => {
  it("give back what was written", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.record({ kind: fc.constant("unsigned" as const), value: whole }),
            fc.record({ kind: fc.constant("signed" as const), value: signed }),
            fc.record({
              kind: fc.constant("text" as const),
              value: fc.string({ unit: "binary" }),
            }),
            fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array() }),
          ),
        ),
        (items) => {
          const writer = new ByteWriter(1);
          for (const item of items) {
            if (item.kind === "unsigned") writer.unsigned(item.value);
            else if (item.kind === "signed") writer.signed(item.value);
            else if (item.kind === "text") writer.text(item.value);
            else writer.bytes(item.value);
          }
          const reader = new ByteReader(writer.take(), "test");
          for (const item of items) {
            if (item.kind === "bytes") {
              assert.deepEqual(Uint8Array.from(reader.bytes()), item.value);
            } else assert.equal(reader[item.kind](), item.value);
          }
          reader.end();
        },
      ),
    );
  });

  it("refuse numbers that are no safe whole numbers", () => {
    const writer = new ByteWriter();
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) {
      assert.throws(() => writer.unsigned(value), /cannot be written/);
    }
  });

  it("throw CORRUPT for bytes that end early, are too large or too many", () => {
    const cases: [bytes: number[], read: (reader: ByteReader) => unknown][] = [
      [[], (reader) => reader.byte()],
      [[0x80], (reader) => reader.unsigned()],
      [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], (reader) => reader.unsigned()],
      [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], (reader) => reader.unsigned()],
      [[5, 1], (reader) => reader.bytes()],
      [[5, 1], (reader) => reader.text()],
      [[1], (reader) => reader.end()],
    ];
    for (const [bytes, read] of cases) {
      assert.throws(() => read(new ByteReader(Uint8Array.from(bytes), "test")), {
        code: "CORRUPT",
      });
    }
  });
});
