// The pages that repeat a table of the code are compared with it, both ways.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { errorTable } from "../base/index.ts";

function page(name: string): string {
  return readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8");
}

describe("docs/errors.md", () => {
  const rows = page("errors.md")
    .split("\n")
    .filter((line) => /^\| `[A-Z_]+` /.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()));

  it("has a row for each failure of the table, and no other", () => {
    const documented = rows.map((cells) => (cells[1] ?? "").replaceAll("`", ""));
    assert.deepEqual(documented.toSorted(), Object.keys(errorTable).toSorted());
  });

  it("says of each failure what the table says", () => {
    const wanted = Object.entries(errorTable).map(([code, row]) => [
      `\`${code}\``,
      String(row.status),
      String(row.grpcStatus),
      row.retryable ? "yes" : "no",
      row.meaning,
      row.action,
    ]);
    const byCode = new Map(rows.map((cells) => [cells[1], cells.slice(1, 7)]));
    for (const row of wanted) assert.deepEqual(byCode.get(row[0]), row);
  });
});
