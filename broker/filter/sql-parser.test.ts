// What is refused, at which character and why; the limits; and that nothing but a clear refusal comes of nonsense.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { limits, MqError } from "../../base/index.ts";
import { parseSql } from "./sql-parser.ts";
import { anyTree } from "./testkit/slow-sql.ts";
import { Speller } from "./testkit/sql-spelling.ts";

function refusal(expression: string): MqError {
  try {
    parseSql(expression);
  } catch (error) {
    assert.ok(error instanceof MqError, String(error));
    assert.equal(error.code, "ILLEGAL_FILTER_EXPRESSION");
    return error;
  }
  throw new assert.AssertionError({ message: `${expression} is accepted` });
}

/** Asserts that `expression` is refused where ^ stands in it. */
function refuses(marked: string, problem: RegExp): void {
  const at = marked.indexOf("^");
  const expression = marked.replace("^", "");
  const error = refusal(expression);
  assert.equal(error.facts["position"], at + 1, `${marked}\n${error.message}`);
  assert.match(error.message, new RegExp(`at character ${at + 1}: `));
  assert.match(error.message, problem);
}

describe("SQL filter expressions that are refused", () => {
  it("for what is missing, naming what was expected and what is there", () => {
    refuses("^", /expected a property or a value, found the end/);
    refuses("  -- nothing^", /found the end/);
    refuses("a >^", /expected a property or a value, found the end/);
    refuses("a = 1 AND ^", /expected a property or a value, found the end/);
    refuses("a = ^OR b = 1", /expected a property or a value, found OR/);
    refuses("a = 1 ^b = 2", /expected AND, OR or the end, found the name "b"/);
    refuses("a = 1 ^'x'", /found the text "x"/);
    refuses("a = 1 ^5", /found the number 5/);
    refuses("(a = 1^", /expected AND, OR or the \) for the \( at character 1, found the end/);
    refuses("(a = 1 ^b)", /the \) for the \( at character 1, found the name "b"/);
    refuses("a = 1^)", /expected AND, OR or the end, found \)/);
    refuses("a IS ^5", /expected NULL or NOT NULL, found the number 5/);
    refuses("a IS NOT ^b", /expected NULL, found the name "b"/);
    refuses("a BETWEEN 1 ^OR 2", /expected AND and the upper bound of BETWEEN, found OR/);
    refuses("a NOT ^= 1", /expected BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH, found =/);
    refuses("a IN ^'x'", /expected \( and the texts of IN, found the text "x"/);
    refuses("a IN (^)", /expected a text in single quotes for IN, found \)/);
    refuses("a IN (^5)", /expected a text in single quotes for IN, found the number 5/);
    refuses("a IN ('x' ^'y')", /expected , or \) of IN, found the text "y"/);
    refuses("a CONTAINS ^b", /expected a text in single quotes for CONTAINS, found the name "b"/);
  });

  it("for types that do not fit", () => {
    refuses("^5", /expected a condition, found the number 5: compare it with something/);
    refuses("^'x'", /expected a condition, found the text "x"/);
    refuses("a = 1 AND ^'x'", /expected a condition, found the text "x"/);
    refuses("NOT ^5", /expected a condition, found the number 5/);
    refuses("NOT ^-a", /expected a condition, found a number/);
    refuses(
      "a > ^'5'",
      /> takes numbers and properties, found the text "5"; write numbers without/,
    );
    refuses("^'5' < a", /< takes numbers and properties, found the text "5"/);
    refuses("a >= ^TRUE", />= takes numbers and properties, found TRUE/);
    refuses("^a > 1 < 2", /< takes numbers and properties, found a condition/);
    refuses("a BETWEEN ^'a' AND 'b'", /BETWEEN takes numbers and properties, found the text "a"/);
    refuses("a BETWEEN ^5 AND 4.9", /the lower bound 5 of BETWEEN is above the upper one, 4.9/);
    refuses("^5 IN ('5')", /IN takes a property, found the number 5/);
    refuses("(^a = 1) CONTAINS 'x'", /CONTAINS takes a property, found a condition/);
    refuses("a = ^NULL", /NULL is equal to nothing: use IS NULL or IS NOT NULL/);
    refuses("^NULL <> a", /use IS NULL or IS NOT NULL/);
    refuses("TRUE = ^5", /TRUE cannot be compared with the number 5/);
    refuses("(a > 1) = ^'x'", /a condition cannot be compared with the text "x"/);
    refuses("a = -^'x'", /- takes numbers and properties, found the text "x"/);
  });

  it("for what other dialects have, saying what to write instead", () => {
    refuses("a ^LIKE 'x%'", /found the name "LIKE"; there is no LIKE: use CONTAINS, STARTSWITH or/);
    refuses("a NOT ^like 'x%'", /there is no LIKE/);
    refuses("a ^!= 1", /"!" has no meaning here: not equal is <>/);
    refuses("a =^= 1", /expected a property or a value, found =/);
    refuses("a = 1 ^&& b = 2", /use AND/);
    refuses("a = 1 ^|| b = 2", /use OR/);
    refuses('a = ^"x"', /texts stand between single quotes/);
    refuses("^`a` = 1", /names of properties stand alone/);
    refuses("a ^+ 1 = 2", /found \+; there is no arithmetic/);
    refuses("a ^* 2 = 2", /there is no arithmetic/);
    refuses("^*", /for all messages use a tag filter with \*/);
    refuses("a^.b = 1", /"\." has no meaning here/);
    refuses("^é = 1", /"é" has no meaning here/);
    refuses("a = 1^;", /";" has no meaning here/);
    refuses("a ^\u00a0= 1", /has no meaning here/);
  });

  it("for what has no end, or is out of range", () => {
    refuses("a = ^'x", /the text that begins here has no closing quote/);
    refuses("a = ^'x''", /no closing quote/);
    refuses("a = 1 ^/* x", /the comment that begins here has no \*\//);
    refuses("a = ^9223372036854775808", /a whole number is at most 9223372036854775807/);
    refuses("a = ^1e309", /the number is over/);
  });

  it("with the piece around the place, however long the expression is", () => {
    const list = Array.from({ length: 500 }, () => "'some text'").join(", ");
    const { message } = refusal(`a IN (${list}) OR a > 'x' OR a NOT IN (${list})`);
    assert.match(message, /"….*'some text'\) OR a > 'x' OR a NOT.*…" is not allowed at char/);
    assert.ok(message.length < 300, message);
  });
});

describe("limits of SQL filter expressions", () => {
  it("allow a depth of 64 and not one more", () => {
    const nested = (open: string, count: number, close: string): string =>
      `${open.repeat(count)}a = 1${close.repeat(count)}`;
    const { sqlFilterDepthMax } = limits;
    for (const [open, close] of [
      ["(", ")"],
      ["NOT ", ""],
      ["NOT (", ")"],
    ] as const) {
      const count = open.includes(" (") ? sqlFilterDepthMax / 2 : sqlFilterDepthMax;
      parseSql(nested(open, count, close));
      const { message } = refusal(nested(open, count + 1, close));
      assert.match(message, new RegExp(`nested more than ${sqlFilterDepthMax} deep`));
    }
    parseSql(`a = ${"- ".repeat(sqlFilterDepthMax)}b`);
    assert.match(refusal(`a = ${"- ".repeat(sqlFilterDepthMax + 1)}b`).message, /nested more than/);
  });

  it("are not reached by many parts beside each other", () => {
    parseSql(Array.from({ length: 100 }, (_, index) => `(a${index} = ${index})`).join(" OR "));
    parseSql(`a IN (${Array.from({ length: 2_000 }, (_, index) => `'${index}'`).join(",")})`);
  });

  it("allow a CONTAINS of 256 characters and not one more", () => {
    parseSql(`a CONTAINS '${"x".repeat(limits.sqlFilterSearchLengthMax)}'`);
    parseSql(`a STARTSWITH '${"x".repeat(limits.sqlFilterSearchLengthMax + 1)}'`);
    const { message } = refusal(`a CONTAINS '${"x".repeat(limits.sqlFilterSearchLengthMax + 1)}'`);
    assert.match(message, /at character 12: CONTAINS takes at most 256 characters, not 257/);
  });

  it("allow 1,024 operators and operands and not one more", () => {
    // A flag is one, its list another one.
    const flags = (count: number): string => Array.from({ length: count }, () => "a").join(" OR ");
    assert.equal(parseSql(flags(1_023)).nodeCount, limits.sqlFilterNodeCountMax);
    assert.match(refusal(flags(1_024)).message, /more than 1024 operators and operands/);
    // Chains that nest by themselves, too.
    parseSql(`a${" IS NULL".repeat(1_023)}`);
    assert.match(refusal(`a${" IS NULL".repeat(1_024)}`).message, /more than 1024/);
  });
});

describe("SQL filter expressions of any kind", () => {
  const check = (expression: string): void => {
    try {
      parseSql(expression);
    } catch (error) {
      assert.ok(error instanceof MqError && error.code === "ILLEGAL_FILTER_EXPRESSION", expression);
      const position = Number(error.facts["position"]);
      assert.ok(position >= 1 && position <= expression.length + 1, `${position}: ${expression}`);
    }
  };

  it("are parsed or refused at a place inside them", () => {
    const pieces = fc.constantFrom(
      ...["a", "TAGS", "5", "5.", ".5e", "'x'", "'", "''", "(", ")", ",", "=", "<>", "<", ">="],
      ...["+", "-", "--", "/*", "*/", "\n", "NOT", "and", "OR", "BETWEEN", "IN", "IS", "NULL"],
      ...["TRUE", "CONTAINS", "STARTSWITH", "!", "%", "é", "😀", "\u0000"],
    );
    const words = fc
      .array(pieces, { maxLength: 24 })
      .chain((some) => fc.constantFrom(" ", "").map((blank) => some.join(blank)));
    fc.assert(fc.property(fc.oneof(words, fc.string({ unit: "binary" })), check), {
      numRuns: 3_000,
    });
  });

  it("are parsed or refused when a correct one is damaged", () => {
    const noise = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 20 });
    const damaged = fc
      .tuple(anyTree, noise, fc.nat(), fc.nat(8), fc.string({ maxLength: 3 }))
      .map(([tree, spelling, at, count, inserted]) => {
        const text = new Speller(spelling).spell(tree);
        const from = at % (text.length + 1);
        return `${text.slice(0, from)}${inserted}${text.slice(from + count)}`;
      });
    fc.assert(fc.property(damaged, check), { numRuns: 2_000 });
  });
});
