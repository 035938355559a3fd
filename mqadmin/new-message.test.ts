import assert from "node:assert/strict";
import { msOfTimestamp, rocketmq } from "@cometmq/proto";
import { Flags } from "./flags.ts";
import { messageOf } from "./new-message.ts";

const { MessageType } = rocketmq.v2;

function make(values: Readonly<Record<string, unknown>>) {
  return messageOf(new Flags({ body: "b", ...values }), "t");
}

describe("mqadmin messages to be sent", () => {
  it("are of the kind that the flags say, with what makes it", () => {
    const of = (values: Record<string, string | true>) => {
      const system = make(values).message.systemProperties ?? {};
      const { messageType, messageGroup, priority, liteTopic, deliveryTimestamp } = system;
      const at = deliveryTimestamp ? msOfTimestamp(deliveryTimestamp) : undefined;
      return [MessageType[messageType ?? 0], messageGroup ?? priority ?? liteTopic ?? at];
    };
    assert.deepEqual(of({}), ["NORMAL", undefined]);
    assert.deepEqual(of({ messageGroup: "g" }), ["FIFO", "g"]);
    assert.deepEqual(of({ priority: "7" }), ["PRIORITY", 7]);
    assert.deepEqual(of({ liteTopic: "l" }), ["LITE", "l"]);
    assert.deepEqual(of({ deliverAt: "1900000000000" }), ["DELAY", 1_900_000_000_000]);
    assert.deepEqual(of({ transaction: "open" }), ["TRANSACTION", undefined]);
    const [, atMs] = of({ delay: "2h" });
    assert.ok(Math.abs(Number(atMs) - Date.now() - 7_200_000) < 60_000);
  });

  it("have keys, a tag and properties", () => {
    const { message } = make({ key: "a  b", tags: "x", property: ["p=1", "q=a=b"] });
    assert.deepEqual(message.systemProperties?.keys, ["a", "b"]);
    assert.equal(message.systemProperties?.tag, "x");
    assert.deepEqual(message.userProperties, { p: "1", q: "a=b" });
  });

  it("are refused when the flags make no sense, with what is allowed", () => {
    assert.throws(() => make({ messageGroup: "g", delay: "1s" }), /--messageGroup and --delay/);
    assert.throws(() => make({ delay: "soon" }), /--delay must be .*30s, 5m, 2h or 7d, not "soon"/);
    assert.throws(() => make({ transaction: "maybe" }), /commit, rollback or open, not "maybe"/);
    assert.throws(() => make({ property: "p" }), /--property must be NAME=VALUE, not "p"/);
    assert.throws(() => make({ priority: "high" }), /--priority must be a whole number/);
  });
});
