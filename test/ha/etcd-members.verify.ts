// A coordinator over three real etcd members of which one is dead, stands still, or was the leader.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { Coordinator } from "../../broker/ha/election/index.ts";
import { EtcdCluster } from "./etcd-cluster.ts";

describe("a coordinator over three etcd members", function () {
  this.timeout(120_000);

  let cluster: EtcdCluster;
  let client: Coordinator;
  let told = 0;

  let brokerId = 0;

  /** Writes something, which the watch has to tell of. */
  async function change(): Promise<void> {
    brokerId++;
    const deadline = { timeoutMs: 3_000 };
    const { leaseId } = await client.grantLease({ ttlSeconds: 10, ...deadline });
    const entry = { brokerId, grpcAddress: "", haAddress: "", epoch: 0, logEnd: 0, priority: 0 };
    await client.announce({ ...entry, round: 0 }, { leaseId, ...deadline });
    const { members } = await client.read(deadline);
    assert.ok(members.some((member) => member.brokerId === brokerId));
  }

  /** Until a change is told of, within a while: a watch at a dead member is started elsewhere. */
  async function toldOfChanges(): Promise<void> {
    const endMs = performance.now() + 5_000;
    for (;;) {
      await sleep(50);
      told = 0;
      await change();
      await sleep(100);
      if (told > 0) return;
      assert.ok(performance.now() < endMs, "the watch says nothing");
    }
  }

  before(async () => {
    cluster = await EtcdCluster.start(3);
    client = await cluster.connect();
    client.watch(() => told++);
  });
  after(async () => {
    client.close();
    await cluster.close();
  });

  it("works when the first of them is dead", async () => {
    await cluster.kill(0);
    await cluster.ready();
    await toldOfChanges();
    const status = await client.status({ timeoutMs: 1_000 });
    assert.deepEqual(
      status.map((member) => member.failure === undefined),
      [false, true, true],
    );
    assert.equal(status.filter((member) => member.isLeader).length, 1);
    cluster.revive(0);
    await cluster.ready();
  });

  for (const index of [0, 1, 2]) {
    it(`works when member ${index} stands still`, async () => {
      const isLeader = (await cluster.leader()) === index;
      cluster.signal(index, "SIGSTOP");
      try {
        if (isLeader) await cluster.ready();
        await toldOfChanges();
      } finally {
        cluster.signal(index, "SIGCONT");
        await cluster.ready();
      }
    });
  }

  it("works on when the leader is killed, and when it is back", async () => {
    const leader = await cluster.leader();
    await cluster.kill(leader);
    await cluster.ready();
    await toldOfChanges();
    cluster.revive(leader);
    await cluster.ready();
    await toldOfChanges();
  });

  it("keeps a lease over the death of the leader", async () => {
    const deadline = { timeoutMs: 3_000 };
    const { leaseId } = await client.grantLease({ ttlSeconds: 2, ...deadline });
    const leader = await cluster.leader();
    await cluster.kill(leader);
    await cluster.ready();
    assert.notEqual(await client.keepAlive({ leaseId, ...deadline }), "gone");
    cluster.revive(leader);
    await cluster.ready();
  });

  it("goes on after all were dead", async () => {
    for (let index = 0; index < cluster.count; index++) await cluster.kill(index);
    await assert.rejects(client.read({ timeoutMs: 500 }), { code: "COORDINATOR_UNREACHABLE" });
    for (let index = 0; index < cluster.count; index++) cluster.revive(index);
    await cluster.ready();
    await toldOfChanges();
  });
});
