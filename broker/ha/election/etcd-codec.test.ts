// What stands in etcd is read with suspicion.
import assert from "node:assert/strict";
import { base64, decodeView, encodeEntry, encodeRecord } from "./etcd-codec.ts";

const prefix = "/cometmq/c/b/";

function pair(name: string, value: string, fields: Record<string, string> = {}): unknown {
  return { key: base64(prefix + name), value, mod_revision: "5", ...fields };
}

const entry = {
  brokerId: 3,
  grpcAddress: "a:1",
  haAddress: "[::1]:2",
  epoch: 4,
  logEnd: 5,
  priority: 6,
  round: 7,
};

describe("a group in etcd's keys", () => {
  it("comes back as it was written, sorted", () => {
    const kvs = [
      pair("record", encodeRecord({ master: 3, epoch: 9, inSync: [7, 3] })),
      pair("holder", base64("3"), { lease: "2324035617735408901" }),
      pair("members/7", encodeEntry({ ...entry, brokerId: 7 }), { lease: "8" }),
      pair("members/3", encodeEntry(entry), { lease: "2324035617735408901" }),
      pair("what-a-later-version-keeps", base64("?")),
    ];
    const view = decodeView({ kvs }, prefix);
    assert.deepEqual(view.record, { value: { master: 3, epoch: 9, inSync: [3, 7] }, revision: 5 });
    assert.deepEqual(view.holder, { brokerId: 3, leaseId: "2324035617735408901" });
    assert.deepEqual(
      view.members.map((member) => member.brokerId),
      [3, 7],
    );
    assert.deepEqual(view.members[0], { ...entry, leaseId: "2324035617735408901" });
  });

  const spoiled: readonly (readonly [string, string])[] = [
    ["record", "no JSON"],
    ["record", "[]"],
    ["record", '{"master":1,"epoch":-1,"inSync":[1]}'],
    ["record", '{"master":1,"epoch":1,"inSync":"1"}'],
    ["record", '{"master":1,"epoch":1,"inSync":[1.5]}'],
    ["holder", "me"],
    ["members/3", '{"brokerId":3}'],
  ];
  for (const [name, value] of spoiled) {
    it(`is refused by name when ${name} is ${value}`, () => {
      const kvs = [pair(name, base64(value))];
      assert.throws(() => decodeView({ kvs }, prefix), {
        code: "CORRUPT",
        message: new RegExp(`the key ${prefix}${name} in etcd cannot be understood`),
      });
    });
  }
});
