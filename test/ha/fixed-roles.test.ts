// A master and a slave of fixed roles as real processes that are killed, stopped and robbed of their disks.
import assert from "node:assert/strict";
import { Producer } from "@cometmq/client";
import { send } from "../e2e/sending.ts";
import { until } from "../e2e/waiting.ts";
import { noteFault, printFaults } from "./kit/fault-table.ts";
import type { HaBroker } from "./kit/ha-broker.ts";
import { HaCluster } from "./kit/ha-cluster.ts";
import { progressBoundMs } from "./kit/load.ts";
import { assertSameLog, cutPower } from "./kit/log-files.ts";
import { SteadyReceiver } from "./kit/steady-receiver.ts";
import { SteadySender } from "./kit/steady-sender.ts";

const topic = "orders";
const codes = { ok: 20_000, notAvailable: 50_002, slaveTimeout: 50_402 } as const;

describe("a master and a slave of fixed roles", function () {
  this.timeout(120_000);
  let cluster: HaCluster;
  let master: HaBroker;
  let slave: HaBroker;

  afterEach(async function () {
    if (this.currentTest?.state === "failed") console.log(cluster.complaints("a"));
    await cluster.close();
  });
  after(printFaults);

  async function pair(
    role: "ASYNC_MASTER" | "SYNC_MASTER",
    settings: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    cluster = await HaCluster.start();
    master = cluster.add({
      brokerName: "a",
      brokerId: 0,
      settings: { brokerRole: role, ...settings },
    });
    const slaveSettings = { ...settings, brokerRole: "SLAVE" };
    slave = cluster.add({ brokerName: "a", brokerId: 1, settings: slaveSettings });
    await Promise.all([master.start(), slave.start()]);
    await cluster.whole("a", 1);
    await cluster.makeTopic(topic, ["a"]);
  }

  /** Sends so many messages by the SDK; gives what was acknowledged. */
  async function sendMany(count: number, name = "m"): Promise<ReadonlySet<string>> {
    const producer = new Producer({ endpoints: cluster.endpoints, topics: [topic] });
    await producer.startup();
    const one = (body: string): Promise<unknown> =>
      producer.send({ topic, body: Buffer.from(body) });
    const sender = new SteadySender(one, { name, lanes: 256 });
    await sender.more(count);
    await sender.stop();
    await producer.shutdown();
    assert.deepEqual(sender.failures, []);
    return new Set(sender.acknowledged.keys());
  }

  function receive(group = "g"): Promise<SteadyReceiver> {
    return SteadyReceiver.start({ endpoints: cluster.endpoints, topic, group });
  }

  it("the slave acts for a killed master, and 100,000 acknowledged messages never come again", async () => {
    await pair("SYNC_MASTER");
    const sent = await sendMany(100_000);
    await cluster.whole("a", 1);
    const receiver = await receive();
    const settled = (count: number): Promise<void> =>
      until(`${count} to be acknowledged`, () => receiver.settledCount >= count, 60_000);
    await settled(30_000);
    receiver.takeLongestGap();
    const killedMs = performance.now();
    await master.kill();
    await slave.stands("acting");
    await settled(receiver.settledCount + 30_000);
    const startedMs = performance.now();
    await master.start();
    await until("the slave to follow", async () => (await slave.status())?.standing === "slave");
    const gapMs = receiver.takeLongestGap();
    const missing = await receiver.drain(sent);
    await receiver.settle(receiver.received.keys());
    await receiver.stop();
    const late = receiver.afterAck.filter(({ ackedMs }) => ackedMs < killedMs - progressBoundMs);
    const acting = receiver.afterAck.filter(({ ackedMs }) => ackedMs > killedMs + progressBoundMs);
    noteFault({
      topology: "1m-1s SYNC_MASTER",
      fault: "kill -9 master, slave acts, master back",
      lost: missing.length,
      duplicated: late.length + acting.length,
      storedTwice: receiver.storedTwice.size,
      gap: `receives ${(gapMs / 1_000).toFixed(2)} s`,
    });
    assert.equal(missing.length, 0);
    assert.equal(late.length, 0, "acknowledged at the master");
    assert.equal(acting.length, 0, `acknowledged at the acting master; back at ${startedMs}`);
    const again = await receive();
    await again.drain(["nothing"], 3_000);
    assert.equal(again.received.size, 0, "an acknowledged message is there still");
    await again.stop();
    await cluster.whole("a", 1);
    assert.ok((await assertSameLog(master, slave)) > 10_000_000);
  });

  it("an acting master takes no messages, and says so; they go on when the master is back", async () => {
    await pair("ASYNC_MASTER");
    await cluster.whole("a", 1);
    await master.kill();
    await slave.stands("acting");
    await cluster.routed(topic);
    const client = cluster.client(slave.address);
    assert.equal(await send(client, topic, "refused"), codes.notAvailable);
    const waiting = sendMany(100);
    await master.start();
    const sent = await waiting;
    const receiver = await receive();
    assert.deepEqual(await receiver.drain(sent), []);
    assert.equal(receiver.received.has("refused"), false);
    await receiver.stop();
  });

  it("refuses a second master of the name, names the first, and ends with 1", async () => {
    await pair("ASYNC_MASTER");
    const second = cluster.add({ brokerName: "a", brokerId: 0 });
    const { code, stderr } = await second.launch().ended;
    assert.equal(code, 1);
    assert.doesNotMatch(stderr, /it is copied before anything is served/);
    assert.match(stderr, /brokerName a has a live master already: id 0/);
    assert.match(stderr, /another brokerName, make it a SLAVE, or stop the other/);
    await sendMany(100);
  });

  it("answers a SYNC_MASTER's sends with RocketMQ's statuses", async () => {
    await pair("SYNC_MASTER", { slaveTimeout: "1000" });
    const client = cluster.client(master.address);
    assert.equal(await send(client, topic, "both"), codes.ok);
    slave.signal("SIGSTOP");
    assert.equal(await send(client, topic, "late"), codes.slaveTimeout);
    assert.equal(await send(client, topic, "alone"), codes.notAvailable);
    slave.signal("SIGCONT");
    await cluster.whole("a", 1);
    assert.equal(await send(client, topic, "both again"), codes.ok);
    await slave.kill();
    await until("the master to be alone", async () => {
      const { slaves = [] } = (await master.status()) ?? {};
      return slaves.every(({ inSync }) => !inSync);
    });
    assert.equal(await send(client, topic, "without a slave"), codes.notAvailable);
    const receiver = await receive();
    const all = ["both", "late", "alone", "both again", "without a slave"];
    assert.deepEqual(await receiver.drain(all), [], "all of them are stored and may be seen");
    await receiver.stop();
  });

  it("a slave that stands still never slows an ASYNC_MASTER", async () => {
    await pair("ASYNC_MASTER");
    await sendMany(5_000, "warm");
    const timed = async (name: string): Promise<number> => {
      const startMs = performance.now();
      await sendMany(10_000, name);
      return performance.now() - startMs;
    };
    const together = await timed("together");
    slave.signal("SIGSTOP");
    const alone = await timed("alone");
    slave.signal("SIGCONT");
    noteFault({
      topology: "1m-1s ASYNC_MASTER",
      fault: "SIGSTOP slave",
      lost: 0,
      duplicated: 0,
      gap: `10,000 sends ${together.toFixed(0)} ms, then ${alone.toFixed(0)} ms`,
    });
    assert.ok(alone < together * 2 + 500, `${together} ms with the slave, ${alone} ms without`);
    await cluster.whole("a", 1);
    await assertSameLog(master, slave);
  });

  for (const fault of ["a power cut", "a new disk"] as const) {
    it(`a master with ${fault} takes its slave's tail before it serves`, async () => {
      await pair("SYNC_MASTER", { flushDiskType: "ASYNC_FLUSH" });
      const sent = await sendMany(20_000);
      await master.kill();
      const lost = fault === "a new disk" ? Number.NaN : await cutPower(master);
      assert.notEqual(lost, 0, "the cut took nothing");
      if (fault === "a new disk") await master.loseDisk();
      const startedMs = performance.now();
      await master.start();
      const backMs = performance.now() - startedMs;
      assert.match(master.said, /a replica has what this master has lost/);
      const receiver = await receive();
      const missing = await receiver.drain(sent);
      await receiver.stop();
      noteFault({
        topology: "1m-1s SYNC_MASTER",
        fault: `kill -9 and ${fault} of the master`,
        lost: missing.length,
        duplicated: receiver.afterAck.length,
        storedTwice: receiver.storedTwice.size,
        gap: `start ${(backMs / 1_000).toFixed(2)} s`,
      });
      assert.equal(missing.length, 0);
      await sendMany(100, "after");
      await cluster.whole("a", 1);
      await assertSameLog(master, slave);
    });
  }

  it("a master starts without its dead slave, says so, and cuts nothing when that is back", async () => {
    await pair("ASYNC_MASTER", { preOnlineTimeout: "1000" });
    const sent = await sendMany(1_000);
    await cluster.whole("a", 1);
    await Promise.all([master.kill(), slave.kill()]);
    await master.start();
    assert.match(master.said, /STARTING WITHOUT HAVING ASKED EVERY REPLICA/);
    const more = await sendMany(1_000, "n");
    await slave.start();
    await cluster.whole("a", 1);
    const receiver = await receive();
    assert.deepEqual(await receiver.drain([...sent, ...more]), []);
    await receiver.stop();
    await assertSameLog(master, slave);
  });

  it("gives a new slave everything while messages flow", async () => {
    await pair("ASYNC_MASTER");
    await sendMany(20_000);
    await slave.kill();
    await slave.loseDisk();
    const sending = sendMany(20_000, "meanwhile");
    await slave.start();
    await sending;
    await cluster.whole("a", 1);
    await assertSameLog(master, slave);
  });
});
