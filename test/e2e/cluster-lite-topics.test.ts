// Exclusive lite topics among brokers: who loses one is told, whichever broker it is connected to.
import assert from "node:assert/strict";
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import type { Broker } from "../../broker/index.ts";
import { brokerAdminService, type RawClient } from "./raw-client.ts";
import { holder, ToldBrokers } from "./told-brokers.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const topic = "t";
const group = { name: "g" };

describe("a consumer that loses an exclusive lite topic", function () {
  this.timeout(30_000);
  let world: ToldBrokers;

  beforeEach(async () => {
    world = await ToldBrokers.create();
  });

  afterEach(() => world.close());

  /** A LITE topic with an exclusive group. */
  async function makeNames(broker: Broker): Promise<void> {
    await world.makeTopic(broker, "LITE");
    const { UpdateGroup } = brokerAdminService.methods;
    const attributes = { "lite.sub.model": "Exclusive" };
    await world.client(broker, "admin").call(UpdateGroup, { ...group, attributes });
  }

  async function subscribe(consumer: RawClient, liteTopic: string): Promise<void> {
    // As one that says it to one broker alone.
    consumer.language = "PYTHON";
    const wish = { topic: { name: topic }, group, liteTopicSet: [liteTopic] };
    const { status } = await consumer.call(methods.SyncLiteSubscription, wish);
    assert.equal(status?.code, Code.OK, status?.message);
  }

  /** What a consumer is told on its telemetry stream, once that is settled. */
  async function listen(consumer: RawClient): Promise<readonly string[]> {
    const told: string[] = [];
    const stream = consumer.telemetry();
    stream.on("error", () => {});
    let isSettled = false;
    stream.on("data", (command: rocketmq.v2.TelemetryCommand) => {
      if (command.settings) isSettled = true;
      const lost = command.notifyUnsubscribeLiteCommand?.liteTopic;
      if (lost !== undefined) told.push(lost);
    });
    const subscriptions = [{ topic: { name: topic }, expression: { type: 1, expression: "*" } }];
    stream.write({ settings: { clientType: 5, subscription: { group, subscriptions } } });
    await until("the settings", () => isSettled);
    return told;
  }

  /** Each of them is told once, in the order of the losses. */
  async function checkTold(formerAt: Broker, latterAt: Broker): Promise<void> {
    const former = world.client(formerAt, "former@1");
    const latter = world.client(latterAt, "latter@1");
    const told = await listen(former);
    for (const liteTopic of ["x", "y", "z"]) {
      await subscribe(former, liteTopic);
      await subscribe(latter, liteTopic);
      await until(`the news of ${liteTopic}`, () => told.at(-1) === liteTopic);
    }
    assert.deepEqual(told, ["x", "y", "z"]);
  }

  it("is told by a broker that has not the topic", async () => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    await makeNames(b);
    world.tell("a", holder("b", b.grpcPort));
    const seen = holder("a", a.grpcPort);
    world.tell("b", { ...seen, topic: { ...seen.topic, name: "another" } });
    await checkTold(a, b);
  });

  it("is told by a broker that has the topic as well", async () => {
    const [a, b] = [await world.open("a"), await world.open("b")];
    await makeNames(a);
    await makeNames(b);
    world.tell("a", holder("b", b.grpcPort));
    world.tell("b", holder("a", a.grpcPort));
    await checkTold(a, b);
  });

  it("is told by a slave", async () => {
    const b = await world.open("b");
    const haMasterAddress = `127.0.0.1:${b.haPort}`;
    const flags = { brokerName: "b", brokerRole: "SLAVE", brokerId: "1", haMasterAddress };
    const slave = await world.open("slave", flags);
    await makeNames(b);
    world.tell("slave", holder("b", b.grpcPort));
    world.tell("b", holder("b", slave.grpcPort, { brokerId: 1, duty: "slave" }));
    await checkTold(slave, b);
  });
});
