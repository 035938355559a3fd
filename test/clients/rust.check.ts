// The official Rust client, which uses the address that it is given for all of its work, whatever routes say. Not among the
// verifications because building it takes minutes: `npm run verify:rust`. Needs cargo and protoc.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { startBroker } from "../../bench/servers.ts";
import { brokerAdminService, RawClient } from "../e2e/raw-client.ts";
import { assertSpread, count, lastLine, places, run } from "./places.ts";

const folder = fileURLToPath(new URL("rust", import.meta.url));

const lacking = "the client lacks it";

/** What comes of each feature. */
const outcomes = {
  fifo: "ok",
  retry: lacking,
  nack: lacking,
  tags: "ok",
  sql: "ok",
  delay: "ok",
  recall: lacking,
  transaction: "ok",
  dlq: "ok",
};

const types: Readonly<Record<string, string>> = {
  fifo: "FIFO",
  delay: "DELAY",
  transaction: "TRANSACTION",
};

const groups: Readonly<Record<string, object>> = {
  fifo: { consumeMessageOrderly: true },
  dlq: { retryMaxTimes: 1 },
};

describe("the official Rust client with its default settings", function () {
  this.timeout(900_000);

  before(() => run("cargo", ["build", "--quiet", "--locked"], { cwd: folder, maxBuffer: 1 << 26 }));

  for (const [where, open] of Object.entries(places)) {
    it(`sends and receives: ${where}`, async () => {
      await using place = await open("orders");
      const given = [place.endpoint, "orders", String(count)];
      const result = await lastLine(`${folder}/target/debug/cometmq-clients`, given, folder);
      assert.deepEqual(result, { sent: count, simple: count });
      await assertSpread(place);
    });
  }

  it("uses every kind of message that it has", async () => {
    await using broker = await startBroker();
    const endpoint = `127.0.0.1:${broker.port}`;
    const features = Object.keys(outcomes);
    const operator = new RawClient(endpoint);
    const { UpdateTopic, UpdateGroup } = brokerAdminService.methods;
    for (const feature of features) {
      const messageType = types[feature] ?? "NORMAL";
      await operator.call(UpdateTopic, { name: `rust-${feature}`, messageType });
      await operator.call(UpdateGroup, { name: `rust-${feature}`, ...groups[feature] });
    }
    operator.close();
    const given = ["kinds", endpoint, "rust", ...features];
    const told = await lastLine(`${folder}/target/debug/cometmq-clients`, given, folder);
    assert.deepEqual(told, outcomes);
  });
});
