// What happens to clients of several masters while brokers and NameServers come and go: nothing.
import assert from "node:assert/strict";
import { brokerAdminService, Code } from "@cometmq/proto";
import { ClusterLoad } from "./cluster-load.ts";
import { ClusterProcesses, type Member } from "./cluster-processes.ts";
import { messagingService } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;

describe("clients of a cluster", function () {
  this.timeout(90_000);
  let cluster: ClusterProcesses;
  let load: ClusterLoad | undefined;

  beforeEach(async () => {
    cluster = await ClusterProcesses.start({ nameServers: 2, masters: 2 });
  });

  afterEach(async () => {
    load = undefined;
    await cluster.close();
  });

  /** A topic that only m2 holds, used through m1: every call has to be passed on. */
  async function startRemoteLoad(): Promise<ClusterLoad> {
    await cluster.mqadmin("updateTopic", "-b", cluster.addressOf("m2"), "-t", "far");
    load = new ClusterLoad(cluster, { through: "m1", topic: "far", brokers: ["m2"] });
    await load.advance(20);
    return load;
  }

  async function finish(running: ClusterLoad): Promise<void> {
    await running.stop();
    assert.deepEqual(running.failures, []);
  }

  const server = (index: number): Member => {
    const member = cluster.nameServers[index];
    assert.ok(member !== undefined);
    return member;
  };

  it("do not notice that a NameServer is killed, and comes back empty", async () => {
    const running = await startRemoteLoad();
    await server(0).program.stop("SIGKILL");
    await running.advance(50);
    await cluster.restartNameServer(0);
    await server(1).program.stop("SIGKILL");
    // The one that is left has just been born and may know nobody yet.
    await running.advance(50);
    await cluster.knows(server(0), "m2");
    await running.advance(50);
    await finish(running);
  });

  it("do not notice that a NameServer stands still and goes on", async () => {
    const running = await startRemoteLoad();
    server(0).program.child.kill("SIGSTOP");
    const stoppedAtMs = Date.now();
    // Longer than its brokers take to give it up.
    await until(
      "four seconds",
      () => Date.now() - stoppedAtMs > 4_000 || running.failures.length > 0,
    );
    await running.advance(20);
    server(0).program.child.kill("SIGCONT");
    await running.advance(50);
    await finish(running);
  });

  it("go on when all NameServers are down", async () => {
    const running = await startRemoteLoad();
    await Promise.all(cluster.nameServers.map(({ program }) => program.stop("SIGKILL")));
    const downAtMs = Date.now();
    await until(
      "three seconds",
      () => Date.now() - downAtMs > 3_000 || running.failures.length > 0,
    );
    await running.advance(50);
    await finish(running);
  });

  it("use a broker that is added while they run within one refresh of the route", async () => {
    await cluster.createTopic("grown", "-r", "2", "-w", "2");
    const names = async (): Promise<string> => {
      const wish = { topic: { name: "grown" } };
      const client = cluster.client(cluster.addressOf("m1"));
      const { messageQueues } = await client.call(methods.QueryRoute, wish);
      return [...new Set(messageQueues.map(({ broker }) => broker?.name))].join();
    };
    assert.equal(await names(), "m1,m2");
    const added = await cluster.addMaster("m3");
    await cluster.mqadmin("updateTopic", "-b", added.address, "-t", "grown", "-r", "2", "-w", "2");
    const madeAtMs = Date.now();
    await until("m3 in the route", async () => (await names()) === "m1,m2,m3");
    assert.ok(Date.now() - madeAtMs < 3_000, "a route is older than its promise");
    const running = new ClusterLoad(cluster, { through: "m3", topic: "grown", brokers: ["m3"] });
    await running.advance(20);
    await finish(running);
  });

  it("drain a broker whose write permission is wiped: sends to it go elsewhere, its messages are consumed", async () => {
    await cluster.createTopic("drained", "-r", "2", "-w", "2");
    const both = new ClusterLoad(cluster, {
      through: "m1",
      topic: "drained",
      brokers: ["m1", "m2"],
    });
    await both.advance(20);
    await cluster.mqadmin("wipeWritePerm", "-b", "m1");
    const route = async (): Promise<string> => {
      const wish = { topic: { name: "drained" } };
      const client = cluster.client(cluster.addressOf("m2"));
      const { messageQueues } = await client.call(methods.QueryRoute, wish);
      return messageQueues.map(({ broker, permission }) => `${broker?.name}:${permission}`).join();
    };
    // Last, and for reading only.
    await until("the new route", async () => (await route()) === "m2:4,m2:4,m1:2,m1:2");
    const before = await storedAt("m1");
    await both.advance(50);
    await finish(both);
    assert.equal(await storedAt("m1"), before, "the wiped broker took a message");
    await cluster.mqadmin("addWritePerm", "-b", "m1");
    await until("the old route", async () => (await route()) === "m1:4,m1:4,m2:4,m2:4");
  });

  async function storedAt(name: string): Promise<number> {
    const client = cluster.client(cluster.addressOf(name));
    const wish = { name: "drained" };
    const { status, queues } = await client.call(brokerAdminService.methods.GetTopicStatus, wish);
    assert.equal(status?.code, Code.OK);
    return queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
  }
});
