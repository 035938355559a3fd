import assert from "node:assert/strict";
import { brokerOfMessageGroup } from "./message-group-broker.ts";
import { messageGroupHash } from "./message-group-hash.ts";

const broker = (group: string, names: readonly string[]): string =>
  brokerOfMessageGroup(messageGroupHash(group), names);

describe("the broker of a message group", () => {
  it("is the same for ever, in whatever order the brokers are named", () => {
    const groups = ["order-1", "order-2", "order-3", "客户"];
    const found = groups.map((group) => broker(group, ["broker-a", "broker-b", "broker-c"]));
    assert.deepEqual(found, ["broker-a", "broker-a", "broker-c", "broker-b"]);
    const turned = groups.map((group) => broker(group, ["broker-c", "broker-a", "broker-b"]));
    assert.deepEqual(turned, found);
  });

  it("moves only to a broker that was added, and they share evenly", () => {
    const counts = new Map<string, number>();
    let moved = 0;
    for (let i = 0; i < 6_000; i++) {
      const before = broker(`group ${i}`, ["a", "b"]);
      const after = broker(`group ${i}`, ["a", "b", "c"]);
      counts.set(after, (counts.get(after) ?? 0) + 1);
      if (before === after) continue;
      assert.equal(after, "c");
      moved++;
    }
    assert.ok(moved > 1_800 && moved < 2_200, `${moved} of 6000`);
    for (const [name, count] of counts) assert.ok(count > 1_800 && count < 2_200, name);
  });

  it("is none where there are no brokers", () => {
    assert.equal(broker("order-1", []), "");
  });
});
