import assert from "node:assert/strict";
import { brokerRole, Configuration, systemRandom } from "../../base/index.ts";
import type { TopicHolder } from "../../registrar/index.ts";
import { ToldRegistrar } from "../../registrar/testkit/index.ts";
import type { Standing } from "../ha/index.ts";
import { type Metadata, memoryMetadata } from "../metadata/index.ts";
import { ManualClock } from "../remoting/testkit/index.ts";
import { ClusterView } from "./cluster-view.ts";
import { isWritable, type TopicPlace } from "./place.ts";

function holder(brokerName: string, parts: Partial<TopicHolder> = {}): TopicHolder {
  return {
    clusterName: "c",
    brokerName,
    brokerId: 0,
    duty: "master",
    epoch: 1,
    host: "",
    observedHost: `${brokerName}.seen`,
    port: 8081,
    haAddress: "",
    topic: {
      name: "t",
      readQueueNums: 2,
      writeQueueNums: 2,
      perm: 6,
      messageType: "NORMAL",
      order: false,
    },
    ...parts,
  };
}

describe("a broker's view of the cluster", () => {
  let clock: ManualClock;
  let registrar: ToldRegistrar;
  let metadata: Metadata;
  let isServing: boolean;
  let canSend: boolean;
  let standing: Standing;
  let config: ReturnType<typeof load>;

  const load = (): ReturnType<typeof Configuration.load<Parameters<typeof brokerRole.finish>[0]>> =>
    Configuration.load(brokerRole, { flags: { brokerName: "b" } });

  beforeEach(() => {
    clock = new ManualClock();
    registrar = new ToldRegistrar();
    metadata = memoryMetadata({ clock, random: systemRandom });
    [isServing, canSend] = [true, true];
    standing = { kind: "master", epoch: 1 };
    config = load();
  });

  function open(told: ToldRegistrar | undefined = registrar): ClusterView {
    return new ClusterView({
      registrar: told,
      config,
      clock,
      local: () => (isServing ? { metadata, canSend } : undefined),
      standing: () => standing,
    });
  }

  const names = (places: readonly TopicPlace[]): string =>
    places.map(({ brokerName, address }) => `${brokerName}@${address}`).join();

  it("joins its own topics with those of others, by name", async () => {
    const view = open();
    registrar.servers = [{ brokers: [holder("c"), holder("a", { host: "h" })], isSettled: true }];
    assert.equal(names(await view.topic("t")), "a@h:8081,c@c.seen:8081");
    await metadata.ensureTopic({ name: "t", readQueueNums: 2, writeQueueNums: 2 });
    const places = await view.topic("t");
    assert.equal(names(places), "a@h:8081,b@,c@c.seen:8081");
    assert.deepEqual(
      places.map(({ isOwn }) => isOwn),
      [false, true, false],
    );
  });

  it("asks once a second at most, whoever asks, and not at all without NameServers", async () => {
    const view = open();
    await Promise.all([view.topic("t"), view.topic("t"), view.knownTopic("t")]);
    assert.equal(registrar.askedCount, 1);
    clock.pass(999);
    await view.topic("t");
    assert.equal(registrar.askedCount, 1);
    clock.pass(1);
    await view.topic("t");
    assert.equal(registrar.askedCount, 2);
    assert.deepEqual(await new ClusterView({ ...optionsAlone() }).topic("t"), []);
  });

  function optionsAlone(): ConstructorParameters<typeof ClusterView>[0] {
    return {
      registrar: undefined,
      config,
      clock,
      local: () => undefined,
      standing: () => standing,
    };
  }

  it("gives what is known at once, however old, while it asks anew; a doubt makes it old", async () => {
    const view = open();
    registrar.servers = [{ brokers: [holder("a")], isSettled: true }];
    await view.topic("t");
    registrar.servers = [{ brokers: [holder("c")], isSettled: true }];
    view.doubt({ topic: "t" });
    assert.equal(names(await view.knownTopic("t")), "a@a.seen:8081");
    assert.equal(registrar.askedCount, 2);
    assert.equal(names(await view.topic("t")), "c@c.seen:8081");
  });

  it("keeps what it knew when no NameServer answers", async () => {
    const view = open();
    registrar.servers = [{ brokers: [holder("a")], isSettled: true }];
    await view.topic("t");
    registrar.servers = [undefined];
    clock.pass(3_600_000);
    assert.equal(names(await view.topic("t")), "a@a.seen:8081");
  });

  it("waits only a moment for a NameServer that is silent when another has answered", async () => {
    const view = open();
    registrar.servers = [{ brokers: [holder("a")], isSettled: true }];
    const never = new Promise<undefined>(() => {});
    const answers = registrar.askTopic("t");
    registrar.askTopic = () => [...answers, never];
    const asked = view.topic("t");
    await new Promise((resolve) => setImmediate(resolve));
    clock.pass(50);
    assert.equal(names(await asked), "a@a.seen:8081");
  });

  it("takes no sends for itself when it may not be written to, or acts", async () => {
    const view = open();
    await metadata.ensureTopic({ name: "t", readQueueNums: 2, writeQueueNums: 2 });
    const isOwnWritable = async (): Promise<boolean | undefined> => {
      const [own] = await view.topic("t");
      return own && isWritable(own);
    };
    assert.equal(await isOwnWritable(), true);
    config.updateLive("brokerPermission", "4");
    assert.equal(await isOwnWritable(), false);
    config.updateLive("brokerPermission", "6");
    canSend = false;
    assert.equal(await isOwnWritable(), false);
    isServing = false;
    assert.equal(await isOwnWritable(), undefined);
  });

  it("finds all other brokers of a name, also of its own", async () => {
    const view = open();
    const slave = { brokerId: 1, duty: "slave", port: 8082 } as const;
    const ours = [holder("b"), holder("b", slave)];
    registrar.servers = [
      { brokers: [holder("a"), holder("a", slave), ...ours], isSettled: true },
      { brokers: [holder("a")], isSettled: true },
      undefined,
    ];
    assert.deepEqual(await view.replicas("a"), ["a.seen:8081", "a.seen:8082"]);
    assert.deepEqual(await view.replicas("b"), ["b.seen:8082"]);
    assert.deepEqual(await new ClusterView(optionsAlone()).replicas("a"), []);
  });

  it("finds its own master: what the link says, then NameServers; none when it is one", async () => {
    const view = open();
    assert.equal(await view.ownMaster(), undefined);
    isServing = false;
    standing = {
      kind: "slave",
      epoch: 1,
      master: { brokerId: 3, grpcAddress: "told:1", haAddress: "told:2" },
    };
    assert.equal(await view.ownMaster(), "told:1");
    standing = { kind: "slave", epoch: 1, master: undefined };
    assert.equal(await view.ownMaster(), undefined);
    registrar.seen = [
      {
        brokerId: 4,
        duty: "master",
        epoch: 2,
        grpcAddress: "seen:1",
        haAddress: "",
        nameServers: ["ns"],
      },
    ];
    assert.equal(await view.ownMaster(), "seen:1");
    registrar.seen = [];
    registrar.servers = [{ brokers: [holder("b", { brokerId: 5 })], isSettled: true }];
    view.doubt({ brokerName: "b" });
    await view.ownMaster();
    assert.equal(await view.ownMaster(), "b.seen:8081");
  });
});
