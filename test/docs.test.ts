// The pages that repeat a table of the code are compared with it, both ways.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { brokerRole, Configuration, errorTable, limits } from "../base/index.ts";
import { SqlFilter } from "../broker/filter/index.ts";
import { makeGroup } from "../broker/metadata/index.ts";

const root = new URL("..", import.meta.url);

function page(name: string): string {
  return readFileSync(new URL(`docs/${name}`, root), "utf8");
}

/** Paths, from the root, of the files in `folder` whose names end so. */
function files(folder: string, ending: string): string[] {
  return readdirSync(new URL(folder, root), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);
}

/** The names by which links reach the headings of a page. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-"),
  );
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

describe("docs/messages", () => {
  const { values } = Configuration.load(brokerRole, { flags: {} });
  const many = (count: number): string => count.toLocaleString("en");
  const seconds = (ms: number): string => `${ms / 1_000} s`;

  it("names defaults and limits as they are", () => {
    const rows: readonly (readonly [name: string, text: string])[] = [
      ["batches", `more than ${many(limits.judgedApartMax)} messages`],
      ["delay", `groups of at most ${limits.heldGroupCountMax} or 1 MiB`],
      ["delay", `In memory are at most ${many(limits.heldWindowMax)}`],
      ["fifo", `The answers of ${many(limits.attemptsRememberedMax)} attempts`],
      ["fifo", `${limits.passedOffsetsMax} oldest queue offsets`],
      [
        "normal",
        `\`retryMaxTimes\` further deliveries (${makeGroup({ name: "g" }).retryMaxTimes},`,
      ],
      ["normal", `beyond ${many(values.popInflightMessageThreshold)} of a queue`],
      ["priority", `${limits.priorityMax + 1} priorities are told apart`],
      ["priority", `At ${many(values.popInflightMessageThreshold)} messages of one priority`],
      ["retries", `\`sendWindowCount\` messages (${many(values.sendWindowCount)})`],
      ["retries", `\`sendWindowAge\` (${values.sendWindowAge / 60_000} minutes)`],
      ["retries", `\`sendWindowRebuildSize\` (${values.sendWindowRebuildSize / 1_048_576} MiB)`],
      ["transactions", `\`transactionTimeOut\` (${seconds(values.transactionTimeOut)})`],
      [
        "transactions",
        `\`transactionCheckInterval\` (${seconds(values.transactionCheckInterval)})`,
      ],
      ["transactions", `\`transactionCheckMax\` (${values.transactionCheckMax})`],
      ["transactions", `\`transactionHalfMax\` (${many(values.transactionHalfMax)})`],
      ["transactions", `for ${limits.transactionOutcomesMs / 60_000} minutes`],
      ["transactions", `last ${many(limits.transactionOutcomesMax)} transactions`],
    ];
    for (const [name, text] of rows) {
      assert.ok(page(`messages/${name}.md`).replaceAll(/\s+/g, " ").includes(text), text);
    }
    assert.equal(limits.heldGroupSizeBytes, 1_048_576);
    assert.equal(values.renewMaxTimeMillis, 3 * 3_600_000);
  });
});

describe("the pages", () => {
  it("link to files and headings that there are", () => {
    const names = ["README.md", "CHANGELOG.md", "client-sdk/README.md", ...files("docs", ".md")];
    let count = 0;
    for (const name of names) {
      const text = readFileSync(new URL(name, root), "utf8");
      for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(link)) continue;
        count += 1;
        const [path = "", heading] = link.split("#");
        const own = new URL(name, root);
        const target = path === "" ? own : new URL(path, own);
        assert.ok(existsSync(target), `${name}: ${link}`);
        if (heading === undefined) continue;
        assert.ok(headings(readFileSync(target, "utf8")).includes(heading), `${name}: ${link}`);
      }
    }
    assert.ok(count > 50, `${count} links`);
  });

  it("name metrics that there are", () => {
    const names = files("docs", ".md").filter((name) => !name.includes("/decisions/"));
    const source = ["base", "broker", "nameserver", "ops", "route", "transport"]
      .flatMap((folder) => files(folder, ".ts"))
      .filter((name) => !name.endsWith(".test.ts"))
      .map((name) => readFileSync(new URL(name, root), "utf8"))
      .join("\n");
    const metric = /`((?:cometmq|rocketmq)_[a-z_]+)/g;
    const metrics = names.flatMap((name) => [
      ...readFileSync(new URL(name, root), "utf8").matchAll(metric),
    ]);
    assert.ok(metrics.length > 30);
    for (const [, name] of metrics) assert.ok(source.includes(`"${name}"`), name);
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
