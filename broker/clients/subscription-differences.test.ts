import assert from "node:assert/strict";
import { limits, silentLogger } from "../../base/index.ts";
import type { ClientConnection } from "./client.ts";
import { ClientTable } from "./client-table.ts";
import type { ClientIdentity } from "./identity.ts";
import type { Subscription } from "./settings.ts";

const connection: ClientConnection = {
  id: 1,
  remoteAddress: "10.1.2.3",
  remotePort: 4_000,
  closed: new AbortController().signal,
};

function identity(id: string): ClientIdentity {
  return { id, language: "JAVA", version: "5.2.0" };
}

const red: Subscription = { topic: "t", filterType: 1, expression: "red" };
const blue: Subscription = { topic: "t", filterType: 1, expression: "blue" };
const sql: Subscription = { topic: "t", filterType: 2, expression: "red" };

describe("consumers of a group that subscribe differently", () => {
  let warnings: Record<string, unknown>[];
  let table: ClientTable;

  beforeEach(() => {
    warnings = [];
    const noClock = {
      now: () => 0,
      monotonicMs: () => 0,
      after: () => () => {},
      every: () => () => {},
    };
    const logger = {
      ...silentLogger,
      warn: (_text: string, facts?: object) => void warnings.push({ ...facts }),
    };
    table = new ClientTable({ clock: noClock, logger, onGone: () => {} });
  });

  function receives(id: string, subscription: Subscription, group = "g"): void {
    table.consuming(table.seen(identity(id), connection), group, subscription);
  }

  function settles(id: string, ...subscriptions: Subscription[]): void {
    const role = { kind: "consumer", type: 2, group: "g" } as const;
    const times = { pollingMs: undefined, requestTimeoutMs: undefined };
    table.settle(identity(id), { ...role, ...times, subscriptions }, connection);
  }

  it("are told of once, with group, topic and filters", () => {
    receives("a", red);
    settles("b", red);
    receives("other", blue, "h");
    receives("c", { ...blue, topic: "u" });
    assert.deepEqual(warnings, []);
    settles("d", blue);
    assert.equal(warnings.length, 1);
    assert.equal(warnings[0]?.["group"], "g");
    assert.equal(warnings[0]?.["topic"], "t");
    assert.equal(warnings[0]?.["filters"], "TAG red; TAG blue");
    for (let count = 0; count < 10; count++) {
      receives("e", count % 2 === 0 ? red : blue);
      settles("d", blue);
      settles("f", sql);
    }
    assert.equal(warnings.length, 1);
  });

  it("differ when only the type of the filter does", () => {
    receives("a", red);
    receives("b", sql);
    assert.equal(warnings[0]?.["filters"], "TAG red; SQL red");
  });

  it("are none when one follows the other", () => {
    receives("a", red);
    receives("a", blue);
    settles("a", blue);
    settles("a", sql);
    table.terminate("a", connection);
    receives("b", red);
    receives("b", sql);
    assert.deepEqual(warnings, []);
  });

  it("are told of anew when all had gone meanwhile", () => {
    for (let round = 1; round <= 2; round++) {
      receives("a", red);
      receives("b", blue);
      assert.equal(warnings.length, round);
      table.terminate("a", connection);
      table.terminate("b", connection);
    }
  });

  it("are not made of a receive whose client was forgotten meanwhile", () => {
    const late = table.seen(identity("a"), connection);
    table.terminate("a", connection);
    table.consuming(late, "g", red);
    receives("b", blue);
    assert.deepEqual(warnings, []);
  });

  it("are shown shortened", () => {
    receives("a", { ...sql, expression: `a = '${"x".repeat(limits.clientTopicCountMax)}'` });
    receives("b", blue);
    assert.ok(JSON.stringify(warnings).length < 500);
  });
});
