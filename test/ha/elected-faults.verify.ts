// A group of three and three members of etcd under load, with one fault after another. ROUNDS=20 for numbers that
// count; the table that is printed stands in docs/replication.md.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster } from "./etcd-cluster.ts";
import { startElected } from "./kit/elected-group.ts";
import { printFaults } from "./kit/fault-table.ts";
import type { HaBroker } from "./kit/ha-broker.ts";
import { HaCluster } from "./kit/ha-cluster.ts";
import { Load } from "./kit/load.ts";
import { assertSameLog } from "./kit/log-files.ts";
import { median, roundCount, summary } from "./rounds.ts";

const topic = "orders";
const topology = "1 group of 3, elected, 3 etcd";

describe("an elected group under faults", function () {
  this.timeout(600_000);
  let etcd: EtcdCluster;
  let cluster: HaCluster;
  let brokers: readonly HaBroker[];
  let load: Load;

  beforeEach(async () => {
    [etcd, cluster] = await Promise.all([EtcdCluster.start(3), HaCluster.start()]);
    brokers = await startElected(cluster, etcd, { brokerName: "a" });
    await cluster.makeTopic(topic, ["a"]);
    load = await Load.start(cluster, { topic });
  });
  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.log(cluster.complaints("a"));
    await load?.close();
    await cluster.close();
    await etcd.close();
  });
  after(printFaults);

  async function sameLogs(): Promise<void> {
    const master = await cluster.whole("a", 2);
    for (const other of brokers) if (other !== master) await assertSameLog(master, other);
  }

  it("the master is killed", async () => {
    const gaps: number[] = [];
    for (let round = 0; round < roundCount; round++) {
      const master = await cluster.whole("a", 2);
      gaps.push(await load.gapOf(() => master.kill()));
      await master.start();
    }
    await cluster.whole("a", 2);
    await load.finish({ topology, fault: "kill -9 master", gap: summary(gaps) });
    await sameLogs();
    assert.ok(median(gaps) < 3_000, summary(gaps));
  });

  it("the master stands still, and goes on when another rules", async () => {
    const gaps: number[] = [];
    for (let round = 0; round < roundCount; round++) {
      const master = await cluster.whole("a", 2);
      gaps.push(await load.gapOf(() => master.signal("SIGSTOP")));
      await cluster.master("a", master);
      load.fault();
      master.signal("SIGCONT");
      await master.stands("slave");
    }
    await cluster.whole("a", 2);
    await load.finish({ topology, fault: "SIGSTOP master, SIGCONT", gap: summary(gaps) });
    await sameLogs();
    assert.ok(median(gaps) < 4_000, summary(gaps));
  });

  it("a slave is killed, and another one stands still", async () => {
    const master = await cluster.whole("a", 2);
    const [one, other] = brokers.filter((broker) => broker !== master);
    await one?.kill();
    await load.sender.more(500);
    await one?.start();
    await cluster.whole("a", 2);
    other?.signal("SIGSTOP");
    await sleep(6_000);
    other?.signal("SIGCONT");
    await cluster.whole("a", 2);
    await load.finish({ topology, fault: "kill -9 slave, SIGSTOP other slave" });
    await sameLogs();
  });

  it("the leader of etcd is killed", async () => {
    const gaps: number[] = [];
    for (let round = 0; round < roundCount; round++) {
      const leader = await etcd.leader();
      gaps.push(await load.gapOf(() => etcd.kill(leader)));
      await sleep(3_000);
      etcd.revive(leader);
      await etcd.ready();
    }
    await cluster.whole("a", 2);
    await load.finish({ topology, fault: "kill -9 etcd leader" });
    await sameLogs();
  });

  it("all of etcd is down for 30 seconds", async () => {
    const beganMs = load.fault();
    for (let index = 0; index < etcd.count; index++) await etcd.kill(index);
    await sleep(30_000);
    const servedMs = Math.max(...load.sender.acknowledged.values()) - beganMs;
    for (let index = 0; index < etcd.count; index++) etcd.revive(index);
    const backMs = load.fault();
    load.sender.mark();
    const againMs = await load.sender.firstAckAfter(backMs);
    await cluster.whole("a", 2);
    const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
    const gap = `serves ${seconds(servedMs)} on, again ${seconds(againMs)} after etcd is back`;
    await load.finish({ topology, fault: "etcd all down for 30 s", gap }, { mayFail: true });
    await sameLogs();
    assert.ok(servedMs < 3_000, "it served longer than its lease");
  });

  it("all three are restarted one after another", async () => {
    const gaps: number[] = [];
    for (const broker of brokers) {
      load.sender.takeLongestGap();
      const ended = await broker.stop();
      assert.equal(ended?.code, 0);
      await broker.start();
      await cluster.whole("a", 2);
      gaps.push(load.sender.takeLongestGap());
    }
    await load.finish({ topology, fault: "rolling restart, SIGTERM", gap: summary(gaps) });
    await sameLogs();
  });
});
