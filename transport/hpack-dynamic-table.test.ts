import assert from "node:assert/strict";
import * as fc from "fast-check";
import { fieldOf, type HeaderField } from "./header-field.ts";
import { HpackDynamicTable } from "./hpack-dynamic-table.ts";

type Step = { readonly insert: number } | { readonly resize: number };

/** The table as RFC 7541 tells it: a list, newest first. */
class Model {
  fields: HeaderField[] = [];
  sizeMax = 600;

  apply(step: Step, field: HeaderField): void {
    if ("resize" in step) this.sizeMax = step.resize;
    else this.fields.unshift(field);
    while (this.fields.reduce((sum, { size }) => sum + size, 0) > this.sizeMax) this.fields.pop();
  }
}

describe("HpackDynamicTable", () => {
  it("agrees with a plain list", () => {
    const step: fc.Arbitrary<Step> = fc.oneof(
      { weight: 5, arbitrary: fc.record({ insert: fc.nat(400) }) },
      { weight: 1, arbitrary: fc.record({ resize: fc.nat(600) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const table = new HpackDynamicTable(600);
        const model = new Model();
        for (const [index, entry] of steps.entries()) {
          const field = fieldOf(`n${index}`, "insert" in entry ? "v".repeat(entry.insert) : "");
          if ("resize" in entry) assert.ok(table.resize(entry.resize));
          else table.insert(field);
          model.apply(entry, field);
          const found = Array.from({ length: 25 }, (_, at) => table.get(at)?.name);
          assert.deepEqual(
            found,
            Array.from({ length: 25 }, (_, at) => model.fields[at]?.name),
          );
        }
      }),
    );
  });

  it("refuses a size above its limit", () => {
    assert.equal(new HpackDynamicTable(100).resize(101), false);
  });
});
