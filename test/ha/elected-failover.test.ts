// Groups of three that elect their master, as real processes with a real etcd member: killed, stopped, handed over.
// The long rounds: elected-faults.verify.ts.
import assert from "node:assert/strict";
import { brokerAdminService, messagingService } from "@cometmq/proto";
import { EtcdCluster } from "./etcd-cluster.ts";
import { startElected } from "./kit/elected-group.ts";
import { printFaults } from "./kit/fault-table.ts";
import type { HaBroker } from "./kit/ha-broker.ts";
import { HaCluster } from "./kit/ha-cluster.ts";
import { Load } from "./kit/load.ts";
import { assertSameLog } from "./kit/log-files.ts";
import { summary } from "./rounds.ts";

const topic = "orders";
const topology = "1 group of 3, elected";

describe("an elected group of processes", function () {
  this.timeout(120_000);
  let etcd: EtcdCluster;
  let cluster: HaCluster;
  let load: Load;

  before(async () => {
    etcd = await EtcdCluster.start(1);
  });
  beforeEach(async () => {
    cluster = await HaCluster.start();
  });
  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.log(cluster.complaints("a"));
    await load?.close();
    await cluster.close();
  });
  after(async () => {
    printFaults();
    await etcd.close();
  });

  it("has another master within 3 seconds when one is killed, and loses nothing", async () => {
    await startElected(cluster, etcd, { brokerName: "a" });
    await cluster.makeTopic(topic, ["a"]);
    load = await Load.start(cluster, { topic });
    const gaps: number[] = [];
    for (let round = 0; round < 4; round++) {
      const master = await cluster.whole("a", 2);
      gaps.push(await load.gapOf(() => master.kill()));
      await master.start();
    }
    const master = await cluster.whole("a", 2);
    await load.finish({ topology, fault: "kill -9 of the master", gap: summary(gaps) });
    for (const other of cluster.brokers) {
      if (other !== master) await assertSameLog(master, other);
    }
    const said = cluster.brokers.map((broker) => broker.complaints + broker.said).join("");
    assert.doesNotMatch(said, /does not keep up/, "a slave was given no time to find its master");
    assert.ok(Math.max(...gaps) < 5_000, summary(gaps));
  });

  it("hands over in less than a second, without a failed send", async () => {
    const brokers = await startElected(cluster, etcd, { brokerName: "b" });
    await cluster.makeTopic(topic, ["b"]);
    load = await Load.start(cluster, { topic });
    const gaps: number[] = [];
    for (let round = 0; round < 3; round++) {
      const master = await cluster.whole("b", 2);
      const next = brokers.find((broker) => broker !== master) ?? assert.fail();
      const { ElectMaster } = brokerAdminService.methods;
      const wish = { brokerName: "b", brokerId: next.brokerId };
      const client = cluster.client(master.address);
      gaps.push(
        await load.gapOf(async () => {
          const { status, tookMs } = await client.call(ElectMaster, wish);
          assert.equal(status?.code, 20_000, status?.message);
          assert.ok(tookMs < 1_000, `${tookMs} ms`);
        }),
      );
      assert.equal((await cluster.master("b")).brokerId, next.brokerId);
    }
    await load.finish({ topology, fault: "electMaster", gap: summary(gaps) });
    assert.ok(Math.max(...gaps) < 1_000, summary(gaps));
  });

  it("stores once what a client sends again to the next master", async () => {
    await startElected(cluster, etcd, { brokerName: "c" });
    await cluster.makeTopic(topic, ["c"]);
    const first = await cluster.whole("c", 2);
    const messages = Array.from({ length: 40 }, (_, number) => ({
      topic: { name: topic },
      systemProperties: { messageId: `01${String(number).padStart(32, "0")}`, messageType: 1 },
      body: Buffer.from(`message ${number}`),
    }));
    const sendAll = async (master: HaBroker): Promise<unknown[]> => {
      const client = cluster.client(master.address);
      const { SendMessage } = messagingService.methods;
      const places: unknown[] = [];
      for (const message of messages) {
        const { status, entries } = await client.call(SendMessage, { messages: [message] });
        assert.equal(status?.code, 20_000, status?.message);
        places.push(entries[0]?.offset);
      }
      return places;
    };
    const places = await sendAll(first);
    await first.kill();
    const next = await cluster.master("c", first);
    assert.deepEqual(await sendAll(next), places);
    const { GetTopicStatus } = brokerAdminService.methods;
    const { queues } = await cluster.client(next.address).call(GetTopicStatus, { name: topic });
    assert.equal(
      queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0),
      messages.length,
    );
  });
});
