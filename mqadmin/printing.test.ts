import assert from "node:assert/strict";
import { render } from "./printing.ts";

describe("mqadmin answers", () => {
  const answer = {
    json: { size: 2n, body: new Uint8Array([1, 2]) },
    lines: ["first"],
    table: { columns: ["Name", "Count"], rows: [["a", 5] as const, ["longer", 12345] as const] },
  };

  it("aligns text left and numbers right", () => {
    assert.equal(render(answer, false), "first\nName    Count\na           5\nlonger  12345\n");
  });

  it("prints JSON for scripts, large numbers and bytes included", () => {
    assert.deepEqual(JSON.parse(render(answer, true)), { size: 2, body: "AQI=" });
  });

  it("says when a table is empty", () => {
    assert.equal(
      render({ json: [], table: { columns: ["Name"], rows: [] } }, false),
      "Name\n(none)\n",
    );
  });
});
