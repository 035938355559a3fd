// The disk of an elected master is full, or fails: it hands its reign on, and comes back when its disk is well again.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
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
const diskSize = 256 * 2 ** 20;
const lastWords = "this broker is no longer the master";

describe("an elected group and bad disks", function () {
  this.timeout(300_000);
  let etcd: EtcdCluster;
  let cluster: HaCluster;
  let brokers: readonly HaBroker[];
  let load: Load | undefined;
  const mounted: string[] = [];

  beforeEach(async () => {
    [etcd, cluster] = await Promise.all([EtcdCluster.start(1), HaCluster.start()]);
  });
  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.log(cluster.complaints("a"));
    await load?.close();
    await Promise.all(cluster.brokers.map((broker) => broker.close()));
    for (const folder of mounted.splice(0)) spawnSync("umount", ["--lazy", folder]);
    await cluster.close();
    await etcd.close();
  });
  after(printFaults);

  async function sameLogs(): Promise<void> {
    const master = await cluster.whole("a", 2);
    for (const other of brokers) if (other !== master) await assertSameLog(master, other);
  }

  it("the disk of the master is full, and has space again", async function () {
    const prepare = async (broker: HaBroker): Promise<void> => {
      await mkdir(broker.folder, { recursive: true });
      const args = ["-t", "tmpfs", "-o", `size=${diskSize}`, "tmpfs", broker.folder];
      if (spawnSync("mount", args).status !== 0) this.skip();
      mounted.push(broker.folder);
    };
    const settings = { mappedFileSizeCommitLog: String(8 * 2 ** 20) };
    brokers = await startElected(cluster, etcd, { brokerName: "a", settings, prepare });
    await cluster.makeTopic(topic, ["a"]);
    const running = await Load.start(cluster, { topic });
    load = running;
    const gaps: number[] = [];
    for (let round = 0; round < 3; round++) {
      const master = await cluster.whole("a", 2);
      const filler = join(master.folder, "filler");
      running.sender.takeLongestGap();
      await writeFile(filler, Buffer.alloc(diskSize)).catch(() => {});
      const next = await cluster.master("a", master);
      assert.notEqual(next, master);
      // It serves until one of its writes fails: what it could not log of acknowledgements by then comes again.
      running.fault(master.saidAt(lastWords));
      await running.sender.more(500);
      gaps.push(running.sender.takeLongestGap());
      await rm(filler);
      running.fault();
      await cluster.whole("a", 2, 60_000);
    }
    await running.finish({ topology, fault: "disk of the master full", gap: summary(gaps) });
    await sameLogs();
  });

  it("the disk of the master fails", async function () {
    if (spawnSync("prlimit", ["--version"]).status !== 0) this.skip();
    brokers = await startElected(cluster, etcd, { brokerName: "a" });
    await cluster.makeTopic(topic, ["a"]);
    const running = await Load.start(cluster, { topic });
    load = running;
    const gaps: number[] = [];
    for (let round = 0; round < 3; round++) {
      const master = await cluster.whole("a", 2);
      // From now on every write beyond the first bytes of a file is refused with EFBIG.
      const fail = (): unknown =>
        execFileSync("prlimit", ["--pid", String(master.pid), "--fsize=4096"]);
      gaps.push(await running.gapOf(fail));
      const next = await cluster.master("a", master);
      assert.notEqual(next, master);
      running.fault(master.saidAt(lastWords));
      await running.sender.more(500);
      await master.kill();
      await master.start();
    }
    await cluster.whole("a", 2);
    await running.finish({ topology, fault: "disk of the master fails", gap: summary(gaps) });
    await sameLogs();
  });
});
