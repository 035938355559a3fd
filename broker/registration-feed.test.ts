import assert from "node:assert/strict";
import { brokerRole, Configuration, systemClock, systemRandom } from "../base/index.ts";
import { ToldRegistrar } from "../registrar/testkit/index.ts";
import type { Standing } from "./ha/index.ts";
import { type Metadata, memoryMetadata } from "./metadata/index.ts";
import { feedRegistrar, type RegistrationFeed } from "./registration-feed.ts";

describe("the registration of a broker", () => {
  let registrar: ToldRegistrar;
  let metadata: Metadata;
  let standing: Standing;
  let config: Configuration<Parameters<typeof brokerRole.finish>[0]>;
  let feed: RegistrationFeed | undefined;

  beforeEach(() => {
    registrar = new ToldRegistrar();
    metadata = memoryMetadata({ clock: systemClock, random: systemRandom });
    standing = { kind: "master", epoch: 3 };
    config = Configuration.load(brokerRole, { flags: { brokerName: "b", brokerIP1: "h" } });
  });

  afterEach(() => feed?.close());

  function open(): RegistrationFeed {
    feed = feedRegistrar({
      registrar,
      config,
      standing: () => standing,
      metadata: () => (standing.kind === "slave" ? undefined : metadata),
      port: 8081,
      haPort: 10912,
    });
    return feed;
  }

  const last = (): ToldRegistrar["published"][number] => {
    const registration = registrar.published.at(-1);
    assert.ok(registration !== undefined, "nothing was published");
    return registration;
  };

  it("tells duty, reign and topics, and each change of a topic under a new version", async () => {
    open();
    assert.equal(last().duty, "master");
    assert.equal(last().version.epoch, 3);
    assert.equal(last().haPort, 10912);
    const before = last().version.counter;
    await metadata.ensureTopic({ name: "t", readQueueNums: 2, writeQueueNums: 2 });
    assert.deepEqual(
      last().topics.map(({ name, perm }) => [name, perm]),
      [["t", 6]],
    );
    assert.ok(last().version.counter > before);
  });

  it("takes the right to write off all topics while brokerPermission says so", async () => {
    open();
    await metadata.ensureTopic({ name: "t", readQueueNums: 2, writeQueueNums: 2 });
    const before = last().version.counter;
    config.updateLive("brokerPermission", "4");
    assert.equal(last().topics[0]?.perm, 4);
    assert.ok(last().version.counter > before);
    config.updateLive("brokerPermission", "6");
    assert.equal(last().topics[0]?.perm, 6);
    const { length } = registrar.published;
    config.updateLive("maxMessageSize", "1m");
    assert.equal(registrar.published.length, length, "other keys are nobody's business");
  });

  it("has no topics as a slave, and says nothing before it is anything", async () => {
    await metadata.ensureTopic({ name: "t", readQueueNums: 2, writeQueueNums: 2 });
    standing = { kind: "none", epoch: 0, reason: "starting" };
    open();
    assert.deepEqual(registrar.published, []);
    standing = { kind: "slave", epoch: 3, master: undefined };
    feed?.update();
    assert.equal(last().duty, "slave");
    assert.deepEqual(last().topics, []);
    standing = { kind: "acting", epoch: 3 };
    feed?.update();
    assert.equal(last().duty, "acting");
    assert.equal(last().topics.length, 1);
    standing = { kind: "none", epoch: 3, reason: "no lease" };
    feed?.update();
    assert.equal(last().duty, "slave");
    assert.deepEqual(last().topics, []);
  });
});
