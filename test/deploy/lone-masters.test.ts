// The sets without slaves as they are shipped: topics by mqadmin, traffic, a process that dies, and on.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { mqadmin } from "../e2e/mqadmin-run.ts";
import { ProgramProcess } from "../e2e/program-process.ts";
import { until } from "../e2e/waiting.ts";
import { RunningSet, Traffic } from "./running-set.ts";

const program = fileURLToPath(new URL("../../dist/deploy/main.js", import.meta.url));

describe("sets without slaves", function () {
  this.timeout(180_000);
  let set: RunningSet | undefined;
  let traffic: Traffic | undefined;

  afterEach(async () => {
    await traffic?.close();
    await set?.clear();
    set = undefined;
    traffic = undefined;
  });

  it("2m-noslave goes on without one master, and without one NameServer", async () => {
    set = await RunningSet.start("2m-noslave");
    assert.deepEqual([...set.names].toSorted(), ["broker-a", "broker-b", "namesrv-1", "namesrv-2"]);
    await until("both masters", async () => (await set?.masters())?.length === 2);
    await set.makeTopic("orders");
    traffic = await Traffic.start("orders", set.nameServers);
    assert.equal(await traffic.send(200), 0);
    const queues = await set.mqadmin<{ broker: string; maxOffset: number }[]>(
      ...["topicStatus", "-t", "orders"],
    );
    for (const broker of ["broker-a", "broker-b"]) {
      const held = queues.filter((queue) => queue.broker === broker);
      assert.ok(
        held.some(({ maxOffset }) => maxOffset > 0),
        `${broker} has no message`,
      );
    }

    await set.kill("broker-a");
    assert.match(set.runner.stderr, /!!! broker-a \(pid \d+\) HAS ENDED: signal SIGKILL/);
    assert.match(set.runner.stderr, /3 of 4 processes go on/);
    assert.equal(await traffic.send(100), 0);

    await set.restart("broker-a");
    await until("both masters again", async () => (await set?.masters())?.length === 2);
    await traffic.receiveAll();

    await set.kill("namesrv-1");
    assert.equal(await traffic.send(100), 0);
    await traffic.receiveAll();
    await traffic.close();
    traffic = undefined;
    await set.stop();
  });

  it("standalone keeps what it has acknowledged when it is killed", async () => {
    set = await RunningSet.start("standalone");
    const { folder } = set;
    await set.makeTopic("orders");
    traffic = await Traffic.start("orders", set.process("cometmq").addresses["grpc"] ?? "");
    assert.equal(await traffic.send(100), 0);
    await set.kill("cometmq");
    // Nothing is left to run for.
    const { code, stderr } = await set.runner.ended;
    assert.equal(code, 1);
    assert.match(stderr, /no process is left/);
    const bodies = new Set(traffic.acknowledged);
    await traffic.close();

    set = await RunningSet.start("standalone", folder);
    traffic = await Traffic.start("orders", set.process("cometmq").addresses["grpc"] ?? "");
    for (const body of bodies) traffic.acknowledged.add(body);
    await traffic.receiveAll();
    await traffic.close();
    traffic = undefined;
    await set.stop();
  });

  it("a port that is taken is named before anything starts", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" ? String(address?.port) : "";
    const args = [program, "2m-noslave", "--ephemeral", "--base-port", port];
    const { code, stdout, stderr } = await new ProgramProcess(process.execPath, args).ended;
    server.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`port ${port} .* is taken: stop what listens there`));
    assert.equal(stdout, "");
  });

  it("a set that cannot start says why and leaves nothing running", async () => {
    set = await RunningSet.start("single");
    // Its folder is locked: a second cluster on it ends at once.
    const args = [program, "single", "--data", set.folder, "--base-port", "0"];
    const second = await new ProgramProcess(process.execPath, args).ended;
    assert.equal(second.code, 1);
    assert.match(second.stderr, /!!! broker \(pid \d+\) HAS ENDED: exit code 1/);
    assert.match(second.stderr, /single could not be started/);
    const pids = [...second.stdout.matchAll(/pid (\d+)$/gm)].map(([, pid]) => Number(pid));
    assert.ok(pids.length > 0);
    for (const pid of pids) assert.throws(() => process.kill(pid, 0), /ESRCH/);
    const { code } = await mqadmin("clusterList", "-n", set.nameServers);
    assert.equal(code, 0);
    await set.stop();
  });

  it("refuses what it does not know, with exit code 2", async () => {
    for (const [args, pattern] of [
      [[], /name a set/],
      [["nope"], /there is no set nope; there are 2m-2s-async/],
      [["ha", "--base-port", "1"], /--base-port must be 0 or from 1024/],
    ] as const) {
      const { code, stderr } = await new ProgramProcess(process.execPath, [program, ...args]).ended;
      assert.equal(code, 2);
      assert.match(stderr, pattern);
    }
  });

  it("says how to get etcd where there is none", async () => {
    const command = ["-i", "PATH=/nowhere", process.execPath, program, "ha", "--ephemeral"];
    const { code, stderr } = await new ProgramProcess("/usr/bin/env", command).ended;
    assert.equal(code, 1);
    assert.match(stderr, /no program etcd on PATH[\s\S]*apt-get install etcd-server/);
  });
});
