import assert from "node:assert/strict";
import type { BrokerSeen, Duty } from "../../registrar/index.ts";
import { NameServerMemory } from "./name-server-memory.ts";

function broker(brokerName: string, duty: Duty = "master", epoch = 1): BrokerSeen {
  return {
    clusterName: "c",
    brokerName,
    brokerId: duty === "master" ? 0 : 1,
    duty,
    epoch,
    host: "h",
    observedHost: "h",
    port: 1,
    haAddress: "",
  };
}

describe("what NameServers have said", () => {
  let memory: NameServerMemory<BrokerSeen>;

  beforeEach(() => {
    memory = new NameServerMemory();
  });

  const hear = (address: string, atMs: number, brokers: BrokerSeen[], isSettled = true): void =>
    memory.hear({ address, brokers, isSettled }, atMs);
  const names = (askedAtMs: number): string =>
    memory
      .active(askedAtMs)
      .map(({ brokerName, epoch, duty }) => `${brokerName} ${duty} ${epoch}`)
      .join(", ");

  it("is joined: each broker name once, its newest reign", () => {
    hear("one", 10, [broker("a"), broker("b", "master", 4)]);
    hear("two", 11, [broker("b", "master", 5), broker("c", "acting")]);
    assert.equal(names(10), "a master 1, b master 5, c acting 1");
  });

  it("of a silent one fills gaps for ten seconds while a settled one answers, and no more", () => {
    hear("one", 10, [broker("a"), broker("b")]);
    hear("two", 1_000, [broker("b", "acting")]);
    assert.equal(names(1_000), "a master 1, b acting 1", "who answers knows better");
    hear("two", 10_100, [broker("b", "acting")]);
    assert.equal(names(10_100), "b acting 1");
  });

  it("stays for ever when all are silent", () => {
    hear("one", 10, [broker("a")]);
    assert.equal(names(100_000_000), "a master 1");
  });

  it("is not taken back by one that has just been started anew, and is when it has settled", () => {
    hear("one", 10, [broker("a")]);
    hear("one", 1_000, [], false);
    assert.equal(names(1_000), "a master 1");
    hear("one", 2_000, [broker("b")], false);
    assert.equal(names(2_000), "a master 1, b master 1");
    hear("one", 3_000, [broker("b")]);
    assert.equal(names(3_000), "b master 1");
  });

  it("of a silent one outlives the answer of a young one", () => {
    hear("one", 10, [broker("a")]);
    hear("two", 50_000, [], false);
    assert.equal(names(50_000), "a master 1");
  });

  it("names a broker once that a young one has met in a new reign", () => {
    hear("one", 10, [broker("a", "master", 1)]);
    hear("one", 1_000, [broker("a", "master", 2)], false);
    assert.equal(names(1_000), "a master 2");
  });
});
