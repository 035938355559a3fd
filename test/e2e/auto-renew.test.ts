// How long a broker renews the invisible time of what a living client holds: as its configuration says. A broker in this
// process on a clock that the test moves, real connections.
import assert from "node:assert/strict";
import { Code } from "@cometmq/proto";
import { ManualClock } from "../../broker/store/testkit/manual-clock.ts";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, messagingService, RawClient, type Received } from "./raw-client.ts";
import { RawTelemetry } from "./raw-telemetry.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const topic = { name: "t" };
const group = { name: "g" };
const pushConsumer = 2;

describe("a message that is renewed for a living client", function () {
  this.timeout(30_000);
  let clock: ManualClock;
  let fixture: BrokerFixture;
  let worker: RawClient;
  let other: RawClient;
  let stream: RawTelemetry;

  afterEach(async () => {
    stream.close();
    worker.close();
    other.close();
    await fixture.close();
  });

  /** Starts a broker, and has the worker take one message. Gives its handle. */
  async function start(flags: Readonly<Record<string, string>>): Promise<string> {
    clock = new ManualClock();
    fixture = await startBroker({ defaultTopicQueueNums: "1", ...flags }, { clock });
    worker = new RawClient(fixture.endpoints, "worker");
    other = new RawClient(fixture.endpoints, "other");
    const systemProperties = { messageId: "m", messageType: 1, bodyEncoding: 1 };
    const message = { topic, systemProperties, body: Buffer.from("x") };
    await other.call(methods.SendMessage, { messages: [message] });
    stream = new RawTelemetry(fixture.endpoints, { "x-mq-client-id": "worker" });
    const subscription = { group, subscriptions: [{ topic, expression: { expression: "*" } }] };
    stream.say({ settings: { clientType: pushConsumer, subscription } });
    await until("settings", () => stream.commands.length === 1);
    const { messages } = await receive(worker, true);
    assert.equal(messages[0]?.systemProperties?.deliveryAttempt, 1);
    return messages[0]?.systemProperties?.receiptHandle ?? "";
  }

  function receive(client: RawClient, autoRenew: boolean): Promise<Received> {
    const wish = {
      group,
      messageQueue: { topic, id: -1 },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 1,
      longPollingTimeout: { seconds: 20 },
      autoRenew,
      ...(autoRenew ? {} : { invisibleDuration: { seconds: 60 } }),
    };
    return client.receive(wish, 28_000).done;
  }

  /** Time goes on, and the worker says that it lives. */
  async function live(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 10) {
      clock.pass(10_000);
      const beat = await worker.call(methods.Heartbeat, { group, clientType: pushConsumer });
      assert.equal(beat.status?.code, Code.OK);
    }
  }

  /** Gives what another client gets that begins to wait after so long, and waits for 20 seconds. */
  async function pollAfter(seconds: number): Promise<Received> {
    await live(seconds);
    const waiting = receive(other, false);
    await until("the poll", async () => {
      return /^cometmq_held_polls\{.*\} 1$/m.test(await fixture.broker.metrics.text());
    });
    await live(20);
    return await waiting;
  }

  async function acknowledge(receiptHandle: string): Promise<number | undefined> {
    const entries = [{ messageId: "m", receiptHandle }];
    const { status } = await worker.call(methods.AckMessage, { topic, group, entries });
    return status?.code;
  }

  it("comes again after renewMaxTimeMillis", async () => {
    const handle = await start({ renewMaxTimeMillis: "1m" });
    const { messages } = await pollAfter(50);
    assert.deepEqual(
      messages.map(({ systemProperties }) => systemProperties?.deliveryAttempt),
      [2],
    );
    assert.equal(await acknowledge(handle), Code.INVALID_RECEIPT_HANDLE);
  });

  it("does not come again by default", async () => {
    const handle = await start({});
    for (let polls = 0; polls < 3; polls++) {
      assert.equal((await pollAfter(50)).code, Code.MESSAGE_NOT_FOUND);
    }
    assert.equal(await acknowledge(handle), Code.OK);
  });

  it("comes again when renewMaxTimeMillis is lowered while it is held", async () => {
    await start({});
    assert.equal((await pollAfter(50)).code, Code.MESSAGE_NOT_FOUND);
    const { UpdateBrokerConfig } = brokerAdminService.methods;
    const change = { key: "renewMaxTimeMillis", value: "1m" };
    const changed = await other.call(UpdateBrokerConfig, change);
    assert.equal(changed.status?.code, Code.OK, changed.status?.message);
    assert.equal((await pollAfter(40)).messages[0]?.systemProperties?.deliveryAttempt, 2);
  });
});
