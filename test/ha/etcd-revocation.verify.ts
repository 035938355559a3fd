// How long a key outlives its holder in a real etcd: what a failover has to wait for. Prints the numbers that stand in
// docs/election.md; ROUNDS=20 for numbers that count.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster } from "./etcd-cluster.ts";
import { roundCount, summary } from "./rounds.ts";

const renewEveryMs = 400;

/** Renews like a master, stops at a moment in the period, and gives how long the holder's key stood after that. */
async function outlived(cluster: EtcdCluster, ttlSeconds: number, round: number): Promise<number> {
  const name = `revoked-${ttlSeconds}-${round}`;
  const holder = await cluster.connect(name);
  const watcher = await cluster.connect(name);
  const deadline = { timeoutMs: 2_000 };
  try {
    const { leaseId } = await holder.grantLease({ ttlSeconds, ...deadline });
    const entry = { brokerId: 1, grpcAddress: "", haAddress: "", epoch: 0, logEnd: 0, priority: 0 };
    await holder.announce({ ...entry, round: 0 }, { leaseId, ...deadline });
    for (let renewal = 0; renewal < 4; renewal++) {
      await holder.keepAlive({ leaseId, ...deadline });
      await sleep(renewal < 3 ? renewEveryMs : (round * 137) % renewEveryMs);
    }
    const killedAtMs = performance.now();
    await new Promise<void>((resolve, reject) => {
      watcher.watch(() => {
        watcher.read(deadline).then(({ members }) => {
          if (members.length === 0) resolve();
          return undefined;
        }, reject);
      });
    });
    return performance.now() - killedAtMs;
  } finally {
    holder.close();
    watcher.close();
  }
}

for (const { name, flags, ttls } of [
  { name: "default timings", flags: [], ttls: [2, 3] },
  {
    name: "--heartbeat-interval=50 --election-timeout=500",
    flags: ["--heartbeat-interval=50", "--election-timeout=500"],
    ttls: [1, 2],
  },
]) {
  describe(`keys whose holder is gone, ${name}`, function () {
    this.timeout(600_000);

    let cluster: EtcdCluster;
    before(async () => {
      cluster = await EtcdCluster.start(3, flags);
    });
    after(() => cluster.close());

    for (const ttlSeconds of ttls) {
      it(`are deleted after their lease of ${ttlSeconds} s, not before`, async () => {
        const rounds = Array.from({ length: roundCount }, async (_, round) => {
          await sleep(round * 173);
          return outlived(cluster, ttlSeconds, round);
        });
        const times = await Promise.all(rounds);
        console.log(`      lease ${ttlSeconds} s, ${name}: ${summary(times)}`);
        assert.ok(Math.min(...times) > ttlSeconds * 1_000 - renewEveryMs - 50);
        assert.ok(Math.max(...times) < ttlSeconds * 1_000 + 1_500);
      });
    }
  });
}
