import assert from "node:assert/strict";
import { rocketmq } from "@cometmq/proto";
import * as fc from "fast-check";
import { SqlFilter } from "./sql-filter.ts";
import { filteredMessage } from "./testkit/filtered-message.ts";
import { anyProperties, anyTree, degreeOf } from "./testkit/slow-sql.ts";
import { Speller } from "./testkit/sql-spelling.ts";

describe("SQL filters against a slow evaluation", () => {
  const anyNoise = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 40 });
  const anyMessages = fc.array(anyProperties, { minLength: 1, maxLength: 8 });

  it("match exactly the messages for which the condition is true", () => {
    let matching = 0;
    let count = 0;
    const property = fc.property(anyTree, anyNoise, anyMessages, (tree, noise, messages) => {
      const expression = new Speller(noise).spell(tree);
      const filter = SqlFilter.parse(expression);
      for (const properties of messages.map(storable)) {
        const expected = degreeOf(tree, properties) === 1;
        const actual = filter.matches(filteredMessage(properties));
        assert.equal(actual, expected, `${expression}\n${JSON.stringify(properties)}`);
        count++;
        if (expected) matching++;
      }
    });
    fc.assert(property, { numRuns: 3_000 });
    assert.ok(matching > count / 10 && matching < (count * 9) / 10, `${matching} of ${count}`);
  });

  it("tell unknown from false, whatever stands around", () => {
    const property = fc.property(anyTree, anyNoise, anyProperties, (tree, noise, drawn) => {
      const properties = storable(drawn);
      const expression = new Speller(noise).spell(tree);
      const message = filteredMessage(properties);
      const truth = degreeOf(tree, properties);
      const matches = (text: string): boolean => SqlFilter.parse(text).matches(message);
      assert.equal(matches(`NOT (${expression})`), truth === 0, expression);
      assert.equal(matches(`(${expression} OR FALSE) IS NULL`), truth === 0.5, expression);
    });
    fc.assert(property, { numRuns: 1_000 });
  });
});

/** Whether `expression` matches a message with these properties. */
function matches(expression: string, properties: Readonly<Record<string, string>>): boolean {
  return SqlFilter.parse(expression).matches(filteredMessage(properties));
}

describe("SQL filters", () => {
  it("convert properties to numbers when they are compared with numbers", () => {
    for (const a of ["6", "6.0", "5.5", "+6", "0.06e2", "600e-2"]) {
      assert.ok(matches("a > 5", { a }), a);
      assert.ok(matches("a BETWEEN 5.5 AND 6", { a }), a);
    }
    for (const a of ["", "six", " 6", "6 ", "0x6", "6L", "6d", "1_0", "NaN", "Infinity"]) {
      assert.equal(matches("a > 5 OR a <= 5 OR a = 5 OR a <> 5", { a }), false, a);
    }
    assert.ok(matches("a > b", { a: "10", b: "9" }));
    assert.equal(matches("a > b", { a: "x", b: "a" }), false);
  });

  it("compare two properties, and properties with texts, as texts", () => {
    assert.ok(matches("a = b", { a: "5", b: "5" }));
    assert.ok(matches("a <> b", { a: "5", b: "5.0" }));
    assert.ok(matches("a = '05'", { a: "05" }));
    assert.equal(matches("a = '05'", { a: "5" }), false);
    assert.ok(matches("a = 'it''s'", { a: "it's" }));
    assert.ok(matches("city = '上海'", { city: "上海" }));
  });

  it("keep whole numbers of 64 bits exact", () => {
    const a = "9007199254740993";
    assert.ok(matches("a = 9007199254740993", { a }));
    assert.equal(matches("a = 9007199254740992", { a }), false);
    assert.ok(matches("a > 9007199254740992 AND a < 9007199254740994", { a }));
    assert.ok(matches("a = -b", { a: "-9223372036854775807", b: "9223372036854775807" }));
    assert.ok(matches("a > 9007199254740992.0", { a }));
    // Beyond 64 bits they are doubles.
    const large = "100000000000000000000";
    assert.ok(matches("+a = b", { a: large, b: "100000000000000000001" }));
    assert.ok(matches("a > 9223372036854775807", { a: "9".repeat(10_000) }));
  });

  it("know names of properties by their case, words in any case", () => {
    assert.ok(matches("a = '1' aNd A = '2' Or falsE", { a: "1", A: "2" }));
    assert.equal(matches("A = '1'", { a: "1" }), false);
    assert.ok(matches("$x_1 = 1 and _ = 2 and nothing = 3", { $x_1: "1", _: "2", nothing: "3" }));
  });

  it("negate comparisons without parentheses, as SQL does", () => {
    assert.ok(matches("NOT a = 1", { a: "2" }));
    assert.ok(matches("NOT a IS NULL", { a: "2" }));
    assert.ok(matches("NOT a > 5 AND b = 1", { a: "2", b: "1" }));
    assert.ok(matches("NOT a BETWEEN 5 AND 6", { a: "2" }));
    assert.ok(matches("NOT NOT a", { a: "true" }));
    assert.ok(matches("a = NOT b AND b <> NOT b", { a: "true", b: "false" }));
    assert.ok(matches("a = 1 OR b = 1 AND c = 1", { a: "1" }), "AND binds closer");
  });

  it("match neither what is false nor what is unknown", () => {
    for (const expression of ["a = 1", "a <> 1", "NOT a = 1", "a > 1 OR a <= 1", "a IN ('x')"]) {
      assert.equal(matches(expression, {}), false, expression);
    }
    for (const expression of ["a NOT IN ('x')", "a NOT CONTAINS 'x'", "NOT a CONTAINS 'x'"]) {
      assert.equal(matches(expression, {}), false, expression);
    }
    assert.ok(matches("a = 1 OR b = 1", { b: "1" }));
    assert.ok(matches("NOT (a = 1 AND b = 2)", { b: "1" }));
    assert.ok(matches("(a = 1) IS NULL", {}));
    assert.ok(matches("a BETWEEN low AND 5 IS NULL", { a: "3" }));
    assert.equal(matches("a BETWEEN low AND 5 IS NULL", { a: "6" }), false);
  });

  it("take a property that is true or false for a condition", () => {
    assert.ok(matches("vip", { vip: "true" }));
    assert.ok(matches("vip = TRUE AND NOT free", { vip: "True", free: "FALSE" }));
    assert.equal(matches("vip OR NOT vip", { vip: "yes" }), false);
  });

  it("find an empty text nowhere, as RocketMQ", () => {
    assert.equal(
      matches("a CONTAINS '' OR a NOT CONTAINS '' OR a STARTSWITH ''", { a: "x" }),
      false,
    );
  });

  it("see tag, keys and more of a message under RocketMQ's names", () => {
    const message = {
      systemProperties: rocketmq.v2.SystemProperties.encode({
        tag: "red",
        keys: ["k1", "k2"],
        messageId: "01AB",
        messageGroup: "g",
        bornTimestamp: { seconds: 1_700_000_000, nanos: 5_000_000 },
        deliveryTimestamp: { seconds: 1_800_000_000 },
        deadLetterQueue: { topic: "orders", messageId: "01CD" },
      }).finish(),
      userProperties: new Uint8Array(0),
    };
    for (const expression of [
      "TAGS = 'red'",
      "TAGS IN ('red', 'blue')",
      "KEYS = 'k1 k2'",
      "KEYS CONTAINS 'k2'",
      "UNIQ_KEY = '01AB'",
      "__SHARDINGKEY = 'g'",
      "BORN_TIMESTAMP = 1700000000005",
      "TIMER_DELIVER_MS >= 1800000000000",
      "DLQ_ORIGIN_TOPIC = 'orders' AND DLQ_ORIGIN_MESSAGE_ID = '01CD'",
      "tags IS NULL AND other IS NULL",
    ]) {
      assert.ok(SqlFilter.parse(expression).matches(message), expression);
    }
  });

  it("see the last value of a property that is there twice, and forget the message before", () => {
    const filter = SqlFilter.parse("a = '2'");
    const twice = Buffer.concat(["1", "2"].map((a) => filteredMessage({ a }).userProperties));
    assert.ok(filter.matches({ ...filteredMessage({}), userProperties: twice }));
    assert.equal(filter.matches(filteredMessage({})), false);
  });

  it("cost more when they are large", () => {
    assert.equal(SqlFilter.parse("a > 5 AND TAGS = 'x'").cost, 1);
    const large = Array.from({ length: 100 }, (_, index) => `a = ${index}`).join(" OR ");
    assert.equal(SqlFilter.parse(large).cost, 1 + Math.floor(301 / 16));
    assert.equal(SqlFilter.parse("a CONTAINS 'x' OR a CONTAINS 'y'").cost, 3);
  });
});

/** protobuf keeps no empty message id and no empty topic. */
function storable(properties: Readonly<Record<string, string>>): Record<string, string> {
  const { UNIQ_KEY, DLQ_ORIGIN_TOPIC, ...others } = properties;
  return {
    ...others,
    ...(UNIQ_KEY ? { UNIQ_KEY } : {}),
    ...(DLQ_ORIGIN_TOPIC ? { DLQ_ORIGIN_TOPIC } : {}),
  };
}
