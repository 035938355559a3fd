// The wire of an elected master is cut, one way and both ways: another one rules, the former one gives up before that,
// and nothing that was acknowledged is lost. Brokers run in network namespaces; where none can be made, the simulation
// has to do.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster } from "./etcd-cluster.ts";
import { BrokerNetwork } from "./kit/broker-network.ts";
import { startElected } from "./kit/elected-group.ts";
import { printFaults } from "./kit/fault-table.ts";
import type { HaBroker } from "./kit/ha-broker.ts";
import { HaCluster } from "./kit/ha-cluster.ts";
import { Load } from "./kit/load.ts";
import { assertSameLog } from "./kit/log-files.ts";
import { roundCount, summary } from "./rounds.ts";

const topic = "orders";
const topology = "1 group of 3, elected, namespaces";

describe("an elected group and cut wires", function () {
  this.timeout(600_000);
  let network: BrokerNetwork;
  let etcd: EtcdCluster;
  let cluster: HaCluster;
  let brokers: readonly HaBroker[];
  let load: Load;

  before(function () {
    const opened = BrokerNetwork.open(3);
    if (opened === undefined) this.skip();
    network = opened;
  });
  beforeEach(async () => {
    const { host, wires } = network;
    [etcd, cluster] = await Promise.all([EtcdCluster.start(1, [], host), HaCluster.start(1, host)]);
    brokers = await startElected(cluster, etcd, { brokerName: "a", places: wires });
    await cluster.makeTopic(topic, ["a"]);
    load = await Load.start(cluster, { topic });
  });
  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.log(cluster.complaints("a"));
    for (const wire of network.wires) network.heal(wire);
    await load?.close();
    await cluster.close();
    await etcd.close();
  });
  after(() => {
    printFaults();
    network?.close();
  });

  for (const direction of ["both", "from", "to"] as const) {
    const what = { both: "both ways", from: "from it", to: "to it" }[direction];
    it(`the wire of the master is cut ${what}`, async () => {
      const gaps: number[] = [];
      for (let round = 0; round < Math.min(roundCount, 5); round++) {
        const master = await cluster.whole("a", 2);
        const place = network.wires[brokers.indexOf(master)] ?? assert.fail();
        gaps.push(await load.gapOf(() => network.cut(place, direction)));
        await sleep(3_000);
        load.fault();
        network.heal(place);
        await master.stands("slave");
      }
      const master = await cluster.whole("a", 2);
      await load.finish({
        topology,
        fault: `master's wire cut ${what}`,
        gap: summary(gaps),
      });
      for (const other of brokers) if (other !== master) await assertSameLog(master, other);
    });
  }

  it("the wire of a slave is cut, and sends go on without it", async () => {
    const master = await cluster.whole("a", 2);
    const slave = brokers.find((broker) => broker !== master) ?? assert.fail();
    const place = network.wires[brokers.indexOf(slave)] ?? assert.fail();
    network.cut(place, "both");
    await sleep(8_000);
    network.heal(place);
    await cluster.whole("a", 2);
    await load.finish({ topology, fault: "slave's wire cut both ways" });
    await assertSameLog(master, slave);
  });
});
