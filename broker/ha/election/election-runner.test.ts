// What brokers that elect through etcd do, each rule of docs/election.md for itself.
import assert from "node:assert/strict";
import { MqError } from "../../../base/index.ts";
import { ElectionScene, type Elector } from "./testkit/election-scene.ts";

function at(all: readonly Elector[], index: number): Elector {
  const elector = all[index];
  assert.ok(elector);
  return elector;
}

describe("the first election of a group", () => {
  it("makes a record with the broker alone in the set", async () => {
    const scene = new ElectionScene();
    const only = scene.add({ brokerId: 3 });
    await scene.elected(1_000);
    assert.deepEqual(only.told, ["master 1 [3]"]);
    assert.deepEqual(scene.etcd.peek().record?.value, { master: 3, epoch: 1, inSync: [3] });
    assert.equal(only.runner.status.role, "master");
    assert.ok(only.runner.status.leaseLeftMs > 1_000);
  });

  it("prefers the longest log, then the smallest priority", async () => {
    const scene = new ElectionScene();
    scene.add({ brokerId: 1, priority: 1, log: { epoch: 4, end: 100 } });
    scene.add({ brokerId: 2, priority: 9, log: { epoch: 4, end: 200 } });
    scene.add({ brokerId: 3, priority: 2, log: { epoch: 4, end: 200 } });
    scene.add({ brokerId: 4, priority: 1, log: { epoch: 3, end: 900 } });
    const master = await scene.elected(1_000);
    assert.equal(master.brokerId, 3);
    await scene.time.pass(1_000);
    const place = { brokerId: 3, grpcAddress: "broker-3:8081", haAddress: "broker-3:10912" };
    assert.deepEqual(scene.electors.get(1)?.master, place);
    assert.deepEqual(scene.electors.get(1)?.told, ["follow 3 5"]);
  });

  it("takes an epoch beyond those of all logs, also when etcd has lost its data", async () => {
    const scene = new ElectionScene();
    scene.add({ brokerId: 1, log: { epoch: 7, end: 10 } });
    scene.add({ brokerId: 2, log: { epoch: 9, end: 10 } });
    const master = await scene.elected(1_000);
    assert.deepEqual(master.told, ["master 10 [2]"]);
  });

  it("waits for etcd when it is not there at the start", async () => {
    const scene = new ElectionScene();
    scene.etcd.down = true;
    const only = scene.add({ brokerId: 1 });
    await scene.time.pass(10_000);
    assert.deepEqual(only.told, []);
    scene.etcd.down = false;
    await scene.elected(3_000);
  });
});

describe("the death of a master", () => {
  it("elects the best of the in-sync slaves, and leaves the dead one out of the set", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    at(all, 0).log = { epoch: 1, end: 500 };
    at(all, 1).log = { epoch: 1, end: 300 };
    at(all, 2).log = { epoch: 1, end: 400 };
    at(all, 0).kill();
    const killedAtMs = scene.time.nowMs;
    const master = await scene.elected(4_000);
    assert.equal(master.brokerId, 3);
    assert.deepEqual(scene.etcd.peek().record?.value, { master: 3, epoch: 2, inSync: [2, 3] });
    assert.ok(scene.time.nowMs - killedAtMs < 2_700);
    await scene.time.pass(100);
    assert.equal(at(all, 1).told.at(-1), "follow 3 2");
  });

  it("does not wait long for a best candidate that dies as well", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    at(all, 1).log = { epoch: 1, end: 900 };
    at(all, 0).kill();
    await scene.time.until(() => scene.etcd.peek().holder === undefined, 3_000);
    at(all, 1).kill();
    const diedAtMs = scene.time.nowMs;
    const master = await scene.elected(1_000);
    assert.equal(master.brokerId, 3);
    assert.ok(scene.time.nowMs - diedAtMs < 500);
  });

  it("elects nobody outside of the in-sync set, and says so", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(2);
    const late = scene.add({ brokerId: 3, log: { epoch: 1, end: 9_999 } });
    at(all, 0).runner.slaveBehind(2, "test");
    await scene.time.pass(500);
    at(all, 0).kill();
    await scene.time.pass(20_000);
    assert.deepEqual(scene.serving, []);
    assert.match(late.problems.join(), /no master can be elected/);
    const back = scene.add({ brokerId: 1 });
    assert.equal(await scene.elected(3_000), back);
  });

  it("does not elect a broker of the set that comes back with an empty log before another one", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(2);
    at(all, 0).kill();
    at(all, 1).kill();
    const emptied = scene.add({ brokerId: 1, log: { epoch: 0, end: 0 } });
    await scene.time.pass(20_000);
    assert.deepEqual(scene.serving, []);
    assert.match(emptied.problems.join(), /no master can be elected/);
    const other = scene.add({ brokerId: 2, log: { epoch: 1, end: 100 } });
    assert.equal(await scene.elected(3_000), other);
  });

  it("elects one of a set that is there again as a whole and never had a log", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(1, { log: { epoch: 0, end: 0 } });
    at(all, 0).kill();
    const back = scene.add({ brokerId: 1, log: { epoch: 0, end: 0 } });
    assert.equal(await scene.elected(4_000), back);
  });

  it("writes its log end again when a late call has put an older one there", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(2);
    at(all, 0).runner.slaveBehind(2, "test");
    await scene.time.pass(500);
    at(all, 0).kill();
    await scene.time.until(() => scene.etcd.peek().members[0]?.round === 2, 5_000);
    const [entry] = scene.etcd.peek().members;
    assert.ok(entry !== undefined);
    const { leaseId } = entry;
    const late = scene.etcd
      .connect("late")
      .announce({ ...entry, round: 1 }, { leaseId, timeoutMs: 100 });
    assert.equal(await scene.time.run(late), "done");
    await scene.time.until(() => scene.etcd.peek().members[0]?.round === 2, 1_000);
  });

  it("elects one outside of the set when unclean elections are on, and is loud about it", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(1, { uncleanElection: true });
    const late = scene.add({ brokerId: 2, uncleanElection: true });
    await scene.time.pass(500);
    at(all, 0).kill();
    const master = await scene.elected(10_000);
    assert.equal(master, late);
    assert.match(late.problems.join(), /UNCLEAN ELECTION/);
    assert.deepEqual(scene.etcd.peek().record?.value, { master: 2, epoch: 2, inSync: [2] });
  });

  it("lets the process that comes back with the same id wait for the lease of its predecessor", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(1);
    at(all, 0).kill();
    const back = scene.add({ brokerId: 1, log: { epoch: 1, end: 1 } });
    await scene.time.pass(1_000);
    assert.deepEqual(back.told, []);
    await scene.elected(3_000);
    assert.deepEqual(back.told, ["master 2 [1]"]);
  });
});

describe("a master that cannot renew", () => {
  for (const way of ["both", "requests", "answers"] as const) {
    it(`stops before another is elected when its network is cut (${way})`, async () => {
      const scene = new ElectionScene({ etcdRate: 1.1, lateMaxMs: 0 });
      const all = await scene.group(3);
      const old = at(all, 0);
      scene.etcd.cut("broker-1", way);
      let stoppedAtMs = 0;
      await scene.time.until(() => {
        if (stoppedAtMs === 0 && !old.runner.mayServe()) stoppedAtMs = scene.time.nowMs;
        const other = at(all, 1).runner.mayServe() || at(all, 2).runner.mayServe();
        assert.ok(!other || stoppedAtMs > 0);
        return other;
      }, 10_000);
      assert.ok(stoppedAtMs > 0);
      assert.match(old.told.at(-1) ?? "", /^stop: /);
      scene.etcd.heal("broker-1");
      await scene.time.pass(3_000);
      assert.equal(scene.serving.length, 1);
    });
  }

  it("goes on in a reign of its own when its lease outlives a short absence of etcd", async () => {
    const scene = new ElectionScene();
    const old = at(await scene.group(3), 0);
    scene.etcd.down = true;
    await scene.time.until(() => !old.runner.mayServe(), 3_000);
    scene.etcd.down = false;
    await scene.elected(500);
    assert.equal(old.told.at(-1), "master 2 [1,2,3]");
    assert.equal(scene.serving[0], old);
  });

  it("serves by its lease while etcd is down, then stops, and the group elects again", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    const old = at(all, 0);
    scene.etcd.down = true;
    await scene.time.pass(1_200);
    assert.ok(old.runner.mayServe());
    await scene.time.pass(700);
    assert.ok(!old.runner.mayServe());
    assert.match(old.told.at(-1) ?? "", /could not be renewed/);
    await scene.time.pass(30_000);
    assert.deepEqual(scene.serving, []);
    scene.etcd.down = false;
    await scene.elected(1_000);
    assert.equal(scene.etcd.peek().record?.value.epoch, 2);
  });

  it("does not serve for a moment after standing still", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    const old = at(all, 0);
    old.clock.pause();
    await scene.time.until(
      () => at(all, 1).runner.mayServe() || at(all, 2).runner.mayServe(),
      4_000,
    );
    assert.ok(!old.runner.mayServe());
    old.clock.resume();
    await scene.time.pass(1_000);
    assert.match(old.told.at(-1) ?? "", /^follow 2 2/);
    assert.equal(scene.serving.length, 1);
  });
});

describe("the in-sync set", () => {
  it("counts a new member from before etcd knows it", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(1);
    const master = at(all, 0);
    scene.add({ brokerId: 2 });
    await scene.time.pass(500);
    master.runner.slaveCaughtUp(2);
    assert.deepEqual(master.inSync, [1, 2]);
    assert.deepEqual(scene.etcd.peek().record?.value.inSync, [1]);
    await scene.time.pass(50);
    assert.deepEqual(scene.etcd.peek().record?.value.inSync, [1, 2]);
  });

  it("counts a member until etcd knows that it has left", async () => {
    const scene = new ElectionScene();
    const master = at(await scene.group(3), 0);
    let stood: readonly number[] | undefined;
    master.onInSync = () => {
      stood = scene.etcd.peek().record?.value.inSync;
    };
    master.runner.slaveBehind(3, "test");
    assert.deepEqual(master.inSync, [1, 2, 3]);
    await scene.time.pass(50);
    assert.deepEqual(master.inSync, [1, 2]);
    assert.deepEqual(stood, [1, 2]);
  });

  it("goes on counting a member that may have joined when the answer is lost", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(1);
    const master = at(all, 0);
    scene.add({ brokerId: 2 });
    await scene.time.pass(500);
    scene.etcd.cut("broker-1", "answers");
    master.runner.slaveCaughtUp(2);
    await scene.time.pass(1_100);
    master.runner.slaveBehind(2, "test");
    assert.deepEqual(master.inSync, [1, 2]);
    scene.etcd.heal("broker-1");
    await scene.time.pass(3_000);
    assert.deepEqual(scene.etcd.peek().record?.value.inSync, master.inSync);
    assert.deepEqual(master.inSync, [1]);
  });

  it("does not change for one that has been overthrown", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    scene.etcd.cut("broker-1", "both");
    at(all, 0).runner.slaveBehind(2, "test");
    at(all, 0).runner.slaveBehind(3, "test");
    await scene.time.until(() => at(all, 1).runner.mayServe(), 4_000);
    scene.etcd.heal("broker-1");
    await scene.time.pass(2_000);
    assert.deepEqual(scene.etcd.peek().record?.value, { master: 2, epoch: 2, inSync: [2, 3] });
    assert.ok(!at(all, 0).told.includes("set 1 [1]"));
  });
});

describe("a hand-over", () => {
  it("gives the group to a slave at once", async () => {
    const scene = new ElectionScene({ delayMaxMs: 20 });
    const all = await scene.group(3);
    const beganAtMs = scene.time.nowMs;
    const done = at(all, 0).runner.handOver(3);
    assert.ok(!at(all, 0).runner.mayServe());
    await scene.time.run(done);
    assert.match(at(all, 0).told.at(-2) ?? "", /handed over to broker 3/);
    assert.equal((await scene.elected(1_000)).brokerId, 3);
    assert.ok(scene.time.nowMs - beganAtMs < 200);
    assert.deepEqual(scene.etcd.peek().record?.value, { master: 3, epoch: 2, inSync: [1, 2, 3] });
    await scene.time.pass(3_000);
    assert.equal(scene.serving[0]?.brokerId, 3);
    assert.equal(at(all, 0).told.at(-1), "follow 3 2");
  });

  it("is refused for a broker that is not in sync, not alive, or when this one is no master", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(2);
    scene.add({ brokerId: 3 });
    await scene.time.pass(500);
    const master = at(all, 0).runner;
    await assert.rejects(master.handOver(3), /not in sync; allowed are 1, 2/);
    await assert.rejects(at(all, 1).runner.handOver(1), /not the master/);
    at(all, 1).kill();
    await scene.time.pass(4_000);
    await assert.rejects(master.handOver(2), /not alive/);
    assert.ok(master.mayServe());
  });

  it("waits for a slave that is just being taken into the set", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(1);
    scene.add({ brokerId: 2 });
    await scene.time.pass(500);
    at(all, 0).runner.slaveCaughtUp(2);
    await scene.time.run(at(all, 0).runner.handOver(2));
    assert.deepEqual(scene.etcd.peek().record?.value, { master: 2, epoch: 2, inSync: [1, 2] });
  });

  it("does not serve while it is not known whether it happened, and resolves by reading", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    scene.etcd.cut("broker-1", "answers");
    const outcome = at(all, 0)
      .runner.handOver(2)
      .catch((error: unknown) => error);
    await scene.time.pass(500);
    assert.ok(!at(all, 0).runner.mayServe());
    assert.ok(at(all, 1).runner.mayServe());
    scene.etcd.heal("broker-1");
    assert.equal(await scene.time.run(outcome), undefined);
    assert.equal(scene.serving[0]?.brokerId, 2);
  });

  it("fails when etcd is away, and the group elects when etcd is back", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    scene.etcd.down = true;
    const outcome = at(all, 0)
      .runner.handOver(2)
      .catch((error: unknown) => error);
    await scene.time.pass(5_000);
    assert.ok((await scene.time.run(outcome)) instanceof MqError);
    scene.etcd.down = false;
    await scene.elected(3_000);
  });
});

describe("leaving", () => {
  it("lets the others elect at once", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    const beganAtMs = scene.time.nowMs;
    await scene.time.run(at(all, 0).runner.resign());
    assert.equal((await scene.elected(1_000)).brokerId, 2);
    assert.ok(scene.time.nowMs - beganAtMs < 200);
    assert.equal(at(all, 0).runner.status.role, "gone");
  });

  it("passes the group on when the broker cannot become master", async () => {
    const scene = new ElectionScene();
    const all = await scene.group(3);
    at(all, 1).failure = new Error("disk");
    at(all, 0).kill();
    const master = await scene.elected(4_000);
    assert.equal(master.brokerId, 3);
    assert.match(at(all, 1).told.join(), /could not become master: disk/);
  });

  it("is reported when two processes have one brokerId", async () => {
    const scene = new ElectionScene();
    await scene.group(1);
    const double = scene.add({ brokerId: 1 });
    await scene.time.pass(10_000);
    assert.match(double.problems.join(), /the same brokerId/);
    assert.deepEqual(double.told, []);
  });
});
