import assert from "node:assert/strict";
import { ElectedQuorum } from "./elected-quorum.ts";
import { FixedQuorum } from "./fixed-quorum.ts";

const options = { inSyncReplicas: 2, gapMaxBytes: 1_000, slaveTimeoutMs: 3_000 };

/** A quorum whose slave `1` has caught up with a log that ends at 100. */
function caughtUp(given = options): FixedQuorum {
  const quorum = new FixedQuorum(given);
  quorum.tick(0, { durable: 100, end: 100 });
  quorum.acked(1, 100);
  quorum.tick(100, { durable: 100, end: 100 });
  assert.ok(quorum.isInSync(1));
  return quorum;
}

describe("the quorum of fixed roles", () => {
  it("answers SLAVE_NOT_AVAILABLE at once, and shows what the own disk has, without a slave", () => {
    const quorum = new FixedQuorum(options);
    assert.equal(quorum.refusal(), undefined);
    assert.equal(quorum.confirmed(80), 80);
    assert.equal(quorum.answered(80), 80);
    assert.equal(quorum.outcome(80)?.code, "HA_NOT_AVAILABLE");
    assert.match(quorum.outcome(80)?.message ?? "", /SLAVE_NOT_AVAILABLE/);
  });

  it("waits for a slave in sync, and shows nothing that it does not have", () => {
    const quorum = caughtUp();
    assert.equal(quorum.confirmed(200), 100);
    assert.equal(quorum.answered(200), 100);
    quorum.acked(1, 150);
    assert.equal(quorum.answered(200), 150);
    assert.equal(quorum.outcome(150), undefined);
    assert.equal(quorum.confirmed(200), 150);
    assert.equal(quorum.confirmed(120), 120);
  });

  it("does not wait for a slave that is still catching up", () => {
    const quorum = new FixedQuorum(options);
    quorum.tick(0, { durable: 900, end: 900 });
    quorum.acked(1, 100);
    quorum.tick(100, { durable: 900, end: 900 });
    assert.ok(!quorum.isInSync(1));
    assert.equal(quorum.confirmed(900), 900);
    quorum.acked(1, 900);
    assert.ok(quorum.isInSync(1));
  });

  it("answers FLUSH_SLAVE_TIMEOUT when the slave is late, and waits for it no more", () => {
    const quorum = caughtUp();
    assert.deepEqual(quorum.tick(200, { durable: 200, end: 200 }), []);
    assert.deepEqual(quorum.tick(3_199, { durable: 200, end: 200 }), []);
    assert.equal(quorum.answered(200), 100);
    assert.deepEqual(quorum.tick(3_201, { durable: 200, end: 200 }), [1]);
    assert.equal(quorum.answered(200), 200);
    assert.equal(quorum.outcome(200)?.code, "SLAVE_PERSISTENCE_TIMEOUT");
    assert.equal(quorum.outcome(100), undefined);
    assert.equal(quorum.outcome(300)?.code, "HA_NOT_AVAILABLE");
  });

  it("lets go of a slave whose gap is over haMaxGapNotInSync", () => {
    const quorum = caughtUp();
    assert.deepEqual(quorum.tick(200, { durable: 100, end: 1_100 }), []);
    assert.deepEqual(quorum.tick(300, { durable: 100, end: 1_101 }), [1]);
    assert.equal(quorum.confirmed(1_101), 1_101);
    assert.equal(quorum.outcome(1_101)?.code, "HA_NOT_AVAILABLE");
  });

  it("answers what a slave had when it was lost, and the rest of the batch with SLAVE_NOT_AVAILABLE", () => {
    const quorum = caughtUp();
    quorum.acked(1, 150);
    assert.equal(quorum.answered(200), 150);
    quorum.disconnected(1);
    assert.equal(quorum.answered(200), 200);
    assert.equal(quorum.outcome(150), undefined);
    assert.equal(quorum.outcome(200)?.code, "HA_NOT_AVAILABLE");
    assert.equal(quorum.confirmed(200), 200);
  });

  it("answers when enough have it and shows what all in sync have", () => {
    const quorum = caughtUp();
    quorum.acked(2, 100);
    quorum.tick(150, { durable: 100, end: 100 });
    quorum.acked(2, 300);
    assert.equal(quorum.answered(300), 300);
    assert.equal(quorum.outcome(300), undefined);
    assert.equal(quorum.confirmed(300), 100);
    const three = caughtUp({ ...options, inSyncReplicas: 3 });
    three.acked(2, 100);
    three.tick(150, { durable: 100, end: 100 });
    three.acked(2, 300);
    assert.equal(three.answered(300), 100);
    three.acked(1, 200);
    assert.equal(three.answered(300), 200);
  });

  it("waits for nobody with inSyncReplicas 1", () => {
    const quorum = caughtUp({ ...options, inSyncReplicas: 1 });
    assert.equal(quorum.answered(500), 500);
    assert.equal(quorum.outcome(500), undefined);
    assert.equal(quorum.confirmed(500), 500);
  });
});

describe("the quorum of an elected master", () => {
  const elected = (waits: boolean, mayServe = (): boolean => true): ElectedQuorum =>
    new ElectedQuorum({ brokerId: 1, waits, minInSyncReplicas: 2, mayServe }, [1, 2, 3]);

  it("waits for every member, connected or not", () => {
    const quorum = elected(true);
    quorum.acked(2, 100);
    assert.equal(quorum.answered(100), 0);
    quorum.acked(3, 60);
    assert.equal(quorum.answered(100), 60);
    quorum.disconnected(3);
    assert.equal(quorum.answered(100), 0);
    quorum.members = [1, 2];
    assert.equal(quorum.answered(100), 100);
  });

  it("answers earlier as ASYNC_MASTER, but shows no more", () => {
    const quorum = elected(false);
    assert.equal(quorum.answered(100), 100);
    assert.equal(quorum.confirmed(100), 0);
  });

  it("refuses sends below minInSyncReplicas and without a lease", () => {
    let holds = true;
    const quorum = elected(true, () => holds);
    assert.equal(quorum.refusal(), undefined);
    quorum.members = [1];
    assert.equal(quorum.refusal()?.code, "HA_NOT_AVAILABLE");
    assert.deepEqual(quorum.refusal()?.facts, {});
    assert.equal(quorum.answered(50), 50);
    holds = false;
    assert.equal(quorum.refusal()?.code, "NOT_MASTER");
    assert.equal(quorum.answered(100), 50);
  });
});
