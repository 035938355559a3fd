// The published Node.js client of Apache RocketMQ while elected masters die: its longest gap with one group and with
// two, and a rolling restart of everything. The figures stand in docs/replication.md.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { brokerAdminService } from "@cometmq/proto";
import { type ILogger, Producer } from "rocketmq-client-nodejs";
import { EtcdCluster } from "./etcd-cluster.ts";
import { startElected } from "./kit/elected-group.ts";
import { noteFault, printFaults } from "./kit/fault-table.ts";
import type { HaBroker } from "./kit/ha-broker.ts";
import { HaCluster } from "./kit/ha-cluster.ts";
import { Load } from "./kit/load.ts";
import { SteadyReceiver } from "./kit/steady-receiver.ts";
import { SteadySender } from "./kit/steady-sender.ts";
import { roundCount, summary } from "./rounds.ts";

const topic = "orders";
const lanes = 4;
const quiet: ILogger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

for (const groups of [["a"], ["a", "b"]]) {
  const topology = `${groups.length} group${groups.length > 1 ? "s" : ""} of 3, elected`;
  describe(`the official Node.js client and ${topology}`, function () {
    this.timeout(600_000);
    let etcd: EtcdCluster;
    let cluster: HaCluster;
    let producer: Producer;
    let sender: SteadySender | undefined;
    let running: SteadySender;
    let accessPoint: HaBroker;

    beforeEach(async () => {
      [etcd, cluster] = await Promise.all([EtcdCluster.start(1), HaCluster.start()]);
      for (const brokerName of groups) await startElected(cluster, etcd, { brokerName });
      await cluster.makeTopic(topic, groups);
      // It takes one address only, and has no routes without it: that broker must not be the one that dies.
      accessPoint = cluster.brokers.at(-1) ?? assert.fail();
      const endpoints = accessPoint.address;
      producer = new Producer({ endpoints, namespace: "", topics: [topic], logger: quiet });
      await producer.startup();
      const send = (body: string): Promise<unknown> =>
        producer.send({ topic, body: Buffer.from(body) });
      running = new SteadySender(send, { name: "official", lanes, pauseMs: 20 });
      sender = running;
      await running.more(100);
    });
    afterEach(async function () {
      if (this.currentTest?.state === "failed") console.log(cluster.complaints("a"));
      await sender?.stop();
      await cluster.close();
      await etcd.close();
    });
    after(printFaults);

    async function finish(fault: string, gap: string, failuresMax = 0): Promise<void> {
      await running.stop();
      // It says farewell to brokers that it has known, and fails when one is gone.
      await producer.shutdown().catch(() => {});
      const { endpoints } = cluster;
      const receiver = await SteadyReceiver.start({ endpoints, topic, group: "g", lanes: 32 });
      const missing = await receiver.drain(running.acknowledged.keys());
      await receiver.stop();
      noteFault({
        topology,
        fault: `official client: ${fault}`,
        lost: missing.length,
        duplicated: receiver.afterAck.length,
        storedTwice: receiver.storedTwice.size,
        failed: running.failures.length,
        gap,
      });
      assert.equal(missing.length, 0);
      if (groups.length > 1) {
        assert.ok(running.failures.length <= failuresMax, running.failures.slice(0, 5).join());
      }
    }

    /** The master of the first group, another one than the access point. */
    async function otherMaster(): Promise<HaBroker> {
      const master = await cluster.whole("a", 2);
      if (master !== accessPoint) return master;
      const { brokerId } = cluster.group("a")[0] ?? assert.fail();
      const client = cluster.client(master.address);
      const wish = { brokerName: "a", brokerId };
      await client.call(brokerAdminService.methods.ElectMaster, wish);
      return await cluster.whole("a", 2);
    }

    it("a master is killed", async () => {
      const gaps: number[] = [];
      for (let round = 0; round < Math.min(roundCount, 5); round++) {
        const master = await otherMaster();
        running.takeLongestGap();
        await master.kill();
        await cluster.master("a", master);
        if (groups.length > 1) await running.more(50);
        await sleep(2_000);
        // Its producers keep the first route that they were given: with one group they wait for the address to serve.
        const startedMs = performance.now();
        await master.start();
        await running.more(50);
        gaps.push(groups.length > 1 ? running.takeLongestGap() : performance.now() - startedMs);
      }
      const what = groups.length > 1 ? "" : "until the killed broker is back and passes on, then ";
      await finish("kill -9 master", what + summary(gaps));
    });

    it("everything is restarted, one broker after another", async () => {
      const load = await Load.start(cluster, { topic, lanes, pauseMs: 20 });
      let failedEarly: number | undefined;
      for (const broker of cluster.brokers) {
        if (broker.brokerName !== "a") failedEarly ??= running.failures.length;
        const ended = await broker.stop();
        assert.equal(ended?.code, 0);
        await broker.start();
        await cluster.whole(broker.brokerName, 2);
      }
      const failed = running.failures.length;
      await running.more(50, 90_000);
      const gap = `${(running.takeLongestGap() / 1_000).toFixed(2)} s`;
      await load.finish({ topology, fault: "SDK: rolling restart, SIGTERM" });
      // An address that has failed once is tried no more, until both have: then sends fail until that broker is back.
      if (groups.length > 1) {
        assert.equal(failedEarly, 0, "the other group's master was there");
        assert.equal(running.failures.length, failed, "all are back");
      }
      await finish("rolling restart, SIGTERM", gap, failed);
    });
  });
}
