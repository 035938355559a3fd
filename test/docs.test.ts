// The pages that repeat a table of the code are compared with it, both ways.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { errorTable, limits } from "../base/index.ts";
import { SqlFilter } from "../broker/filter/index.ts";

function page(name: string): string {
  return readFileSync(new URL(`../docs/${name}`, import.meta.url), "utf8");
}

describe("docs/errors.md", () => {
  const [failures = ""] = page("errors.md").split("## Codes that are never answered");
  const rows = failures
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

describe("docs/filters.md", () => {
  const text = page("filters.md");

  it("names the limits as they are", () => {
    const rows: readonly (readonly [string, number])[] = [
      ["the expression, tags or SQL", limits.filterExpressionLengthMax],
      ["all expressions in a client's settings", limits.settingsFilterLengthMax],
      ["inside each other", limits.sqlFilterDepthMax],
      ["do not count", limits.sqlFilterNodeCountMax],
      ["the text of a `CONTAINS`", limits.sqlFilterSearchLengthMax],
    ];
    for (const [what, limit] of rows) {
      assert.ok(text.includes(`${what} | ${limit.toLocaleString("en")}`), what);
    }
    assert.ok(
      text.includes(`more than ${limits.receiveScanCountMax.toLocaleString("en")} messages`),
    );
  });

  it("shows expressions that are understood, and the refusal of one that is not", () => {
    const examples = [
      ...text.matchAll(/^ {4}(region = 'eu' AND amount BETWEEN .*)$/gm),
      ...text.matchAll(/FilterExpression\("(.*?)",/g),
    ].map((match) => match[1] ?? "");
    assert.equal(examples.length, 4);
    for (const example of examples.filter((one) => one !== "…")) SqlFilter.parse(example);
    const refused = /^ {4}(filter expression "(amount > '1000')" .*)$/m.exec(text);
    assert.throws(() => SqlFilter.parse(refused?.[2] ?? ""), { message: refused?.[1] });
  });
});
