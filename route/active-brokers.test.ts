import assert from "node:assert/strict";
import * as fc from "fast-check";
import { activeBrokers, type Candidate, isLoopback, reachableHost } from "./index.ts";

const candidate: fc.Arbitrary<Candidate> = fc.record({
  brokerName: fc.constantFrom("a", "b"),
  brokerId: fc.integer({ min: 0, max: 3 }),
  duty: fc.constantFrom("master" as const, "slave" as const, "acting" as const),
  epoch: fc.integer({ min: 0, max: 3 }),
});

/** Only one broker has an id in a name. */
function keyOf(broker: Candidate): string {
  return `${broker.brokerName}/${broker.brokerId}`;
}

describe("active brokers", () => {
  it("are one a name, never a slave, a master where there is one, of the newest reign; in any order of input", () => {
    fc.assert(
      fc.property(fc.uniqueArray(candidate, { selector: keyOf }), (brokers) => {
        const active = activeBrokers(brokers);
        for (const name of ["a", "b"]) {
          const named = brokers.filter(({ brokerName }) => brokerName === name);
          const masters = named.filter(({ duty }) => duty === "master");
          const able = masters.length > 0 ? masters : named.filter(({ duty }) => duty === "acting");
          const chosen = active.filter(({ brokerName }) => brokerName === name);
          assert.equal(chosen.length, able.length > 0 ? 1 : 0);
          const newest = Math.max(...able.map(({ epoch }) => epoch));
          for (const broker of chosen) {
            assert.ok(able.includes(broker));
            assert.equal(broker.epoch, newest);
          }
        }
        assert.deepEqual(activeBrokers([...brokers].reverse()), active);
      }),
    );
  });
});

describe("the reachable host of a broker", () => {
  const asker = { authority: "broker.example:8081", localAddress: "10.0.0.1" };

  it("is what it advertises, else where it was seen, else where the asker found this machine", () => {
    const at = (host: string, observedHost: string): string =>
      reachableHost({ host, observedHost }, asker);
    assert.equal(at("told.example", "10.0.0.7"), "told.example");
    assert.equal(at("", "10.0.0.7"), "10.0.0.7");
    assert.equal(at("", "127.0.0.1"), "broker.example");
    const java = { ...asker, authority: "IPAuthority" };
    assert.equal(reachableHost({ host: "", observedHost: "::1" }, java), "10.0.0.1");
  });

  it("knows the loopback addresses", () => {
    for (const host of ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"]) {
      assert.equal(isLoopback(host), true, host);
    }
    for (const host of ["10.0.0.1", "::2", "localhost.example", ""]) {
      assert.equal(isLoopback(host), false, host);
    }
  });
});
