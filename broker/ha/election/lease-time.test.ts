// The arithmetic of leases: a master stops before etcd can give the group to another.
import assert from "node:assert/strict";
import fc from "fast-check";
import { renewEveryMs, renewTimeoutMs, serveUntilMs } from "./lease-time.ts";
import { timings } from "./timings.ts";

describe("how long a lease surely holds", () => {
  it("is 1718 ms from the sending of the last renewal, for 2 s", () => {
    const until = serveUntilMs({ id: "1", ttlSeconds: 2, sentAtMs: 1_000 });
    assert.equal(Math.floor(until), 1_000 + 1_718);
  });

  it("ends before the lease does, whatever the rates of two clocks within 10 %", () => {
    const rate = fc.double({ min: 1, max: timings.clockRateRatioMax, noNaN: true });
    const ttl = fc.integer({ min: 1, max: 60 });
    const travel = fc.double({ min: 0, max: 5_000, noNaN: true });
    fc.assert(
      fc.property(ttl, rate, rate, travel, (ttlSeconds, brokerRate, etcdRate, travelMs) => {
        // True time 0: the renewal is sent; it arrives later, and etcd counts from then on.
        const until = serveUntilMs({ id: "1", ttlSeconds, sentAtMs: 0 });
        const stopsAtMs = until / brokerRate;
        const endsAtMs = travelMs + (ttlSeconds * 1_000) / etcdRate;
        assert.ok(stopsAtMs < endsAtMs);
      }),
    );
  });

  it("leaves time for several renewals, one of which may fail", () => {
    for (const ttlSeconds of [1, 2, 5, 60]) {
      const untilMs = serveUntilMs({ id: "1", ttlSeconds, sentAtMs: 0 });
      assert.ok(renewEveryMs(ttlSeconds) < (ttlSeconds * 1_000) / 3);
      assert.ok(renewEveryMs(ttlSeconds) + renewTimeoutMs(ttlSeconds) + timings.retryMs < untilMs);
    }
  });
});
