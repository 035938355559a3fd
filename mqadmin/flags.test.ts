import assert from "node:assert/strict";
import { parseAttributes } from "./attributes.ts";
import { UsageFailure } from "./failure.ts";
import { Flags } from "./flags.ts";
import { parseRetryPolicy } from "./retry-policy.ts";

describe("mqadmin flags", () => {
  it("reads whole numbers inside their range only", () => {
    const flags = new Flags({ good: "7", big: "70000", text: "seven", half: "1.5" });
    const range = { min: 1, max: 65_535 };
    assert.equal(flags.int("good", range), 7);
    assert.equal(flags.int("absent", range), undefined);
    for (const name of ["big", "text", "half"]) {
      assert.throws(() => flags.int(name, range), /whole number from 1 to 65535/);
    }
  });

  it("reads booleans as RocketMQ's tool writes them", () => {
    const flags = new Flags({ yes: "true", no: "FALSE", bare: true, odd: "maybe" });
    assert.equal(flags.bool("yes"), true);
    assert.equal(flags.bool("no"), false);
    assert.equal(flags.bool("bare"), true);
    assert.throws(() => flags.bool("odd"), UsageFailure);
  });

  it("reads times as now, milliseconds, ISO 8601 or RocketMQ's own form", () => {
    const flags = new Flags({
      now: "now",
      ms: "1700000000000",
      iso: "2026-01-31T12:00:00Z",
      rocketmq: "2026-01-31#12:00:05:250",
      odd: "noon",
      half: "2026-01-31#12:00:05",
    });
    assert.ok(Math.abs((flags.time("now") ?? 0) - Date.now()) < 1_000);
    assert.equal(flags.time("ms"), 1_700_000_000_000);
    assert.equal(flags.time("iso"), Date.UTC(2026, 0, 31, 12));
    assert.equal(flags.time("rocketmq"), new Date(2026, 0, 31, 12, 0, 5, 250).getTime());
    assert.throws(() => flags.time("odd"), UsageFailure);
    assert.throws(() => flags.time("half"), UsageFailure);
  });

  it("refuses a flag that was given twice", () => {
    assert.throws(() => new Flags({ topic: ["a", "b"] }).text("topic"), /more than once/);
  });
});

describe("mqadmin attributes", () => {
  it("sets with + and removes with -", () => {
    assert.deepEqual(parseAttributes("+message.type=FIFO, -consume.from,+a=b=c"), {
      set: { "message.type": "FIFO", a: "b=c" },
      removed: ["consume.from"],
    });
    assert.deepEqual(parseAttributes(undefined), { set: {}, removed: [] });
  });

  it("names the part that it cannot read", () => {
    assert.throws(
      () => parseAttributes("message.type=FIFO"),
      /"message.type=FIFO" is no attribute/,
    );
  });
});

describe("mqadmin retry policy", () => {
  it("reads both forms of RocketMQ's tool", () => {
    assert.deepEqual(
      parseRetryPolicy('{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1500]}}'),
      { customizedBackoff: { next: [{ seconds: 1, nanos: 500_000_000 }] } },
    );
    assert.deepEqual(
      parseRetryPolicy(
        '{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}}',
      ),
      {
        exponentialBackoff: {
          initial: { seconds: 5, nanos: 0 },
          max: { seconds: 7200, nanos: 0 },
          multiplier: 2,
        },
      },
    );
  });

  it("shows the two forms when it can read neither", () => {
    for (const text of [
      "soon",
      "{}",
      '{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[]}}',
    ]) {
      assert.throws(() => parseRetryPolicy(text), /CUSTOMIZED.*EXPONENTIAL/);
    }
  });
});
