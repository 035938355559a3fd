// The fixed bounds of a broker, made small: what a client gets at one, and what makes room again. A broker in this process,
// real connections.
import assert from "node:assert/strict";
import { Code, type rocketmq } from "@cometmq/proto";
import { ManualClock } from "../../broker/store/testkit/manual-clock.ts";
import { deferred } from "../../broker/store/testkit/open-store.ts";
import { SimulatedDisk } from "../../broker/store/testkit/simulated-disk.ts";
import { type BrokerFixture, type BrokerParts, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, messagingService, RawClient, type Received } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const admin = brokerAdminService.methods;

describe("a broker at a bound", function () {
  this.timeout(30_000);
  let fixture: BrokerFixture;
  let client: RawClient;

  async function start(
    parts: BrokerParts,
    flags: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    fixture = await startBroker({ defaultTopicQueueNums: "1", ...flags }, parts);
    client = new RawClient(fixture.endpoints);
  }

  afterEach(async () => {
    client.close();
    await fixture.close();
  });

  async function send(topic: string, body = "x"): Promise<rocketmq.v2.SendMessageResponse> {
    const systemProperties = { messageId: body.slice(0, 20), messageType: 1, bodyEncoding: 1 };
    const message = { topic: { name: topic }, systemProperties, body: Buffer.from(body) };
    return await client.call(methods.SendMessage, { messages: [message] });
  }

  function receive(topic: string, group: string, timeoutMs = 5_500): Promise<Received> {
    const wish = {
      group: { name: group },
      messageQueue: { topic: { name: topic }, id: -1 },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 1,
      invisibleDuration: { seconds: 60 },
    };
    return client.receive(wish, timeoutMs).done;
  }

  async function metric(name: string, labels = ""): Promise<number> {
    const page = await fixture.broker.metrics.text();
    const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`));
    const line = lines.find((one) => one.includes(labels));
    return Number(line?.split(" ").at(-1));
  }

  it("of held polls refuses those that find nothing, and holds one more when one has ended", async () => {
    await start({ bounds: { heldPollsMax: 2 } });
    await send("other");
    await client.call(admin.UpdateTopic, { name: "t", readQueues: 1, writeQueues: 1 });
    const heldPolls = (count: number): Promise<void> =>
      until(`${count} held polls`, async () => (await metric("cometmq_held_polls")) === count);
    const polls = [receive("t", "g", 25_000), receive("t", "g", 25_000)];
    await heldPolls(2);
    const refused = await receive("t", "g");
    assert.equal(refused.code, Code.TOO_MANY_REQUESTS);
    assert.match(refused.text, /2 polls are held already: ask again later/);
    const queue = { topic: { name: "t" }, id: 0 };
    const longPollingTimeout = { seconds: 5 };
    const pull = { group: { name: "g" }, messageQueue: queue, longPollingTimeout };
    assert.equal((await client.pull(pull).done).code, Code.TOO_MANY_REQUESTS);
    assert.equal((await receive("other", "g")).messages.length, 1, "there is something to give");
    assert.equal((await send("t", "one")).status?.code, Code.OK);
    assert.equal((await Promise.race(polls)).messages.length, 1);
    polls.push(receive("t", "g", 25_000));
    await heldPolls(2);
    for (const body of ["two", "three"]) await send("t", body);
    const received = (await Promise.all(polls)).flatMap(({ messages }) => messages);
    assert.deepEqual(
      received.map(({ systemProperties }) => systemProperties?.messageId ?? "").toSorted(),
      ["one", "three", "two"],
    );
  });

  it("of what the disk is behind refuses a send, counts it, and takes it when the disk has followed", async () => {
    const disk = new SimulatedDisk();
    await start({ disk, bounds: { appendBacklogSizeMax: 2_000 } }, { messageIndexEnable: "false" });
    const refusedCount = (): Promise<number> =>
      metric("cometmq_refused_total", 'bound="appendBacklogSizeMax"');
    assert.equal((await send("t", "first")).entries[0]?.offset, 0);
    const { promise: held, resolve: release } = deferred();
    disk.onOperation = ({ kind, path }) =>
      kind === "write" && path.includes("commitlog") ? held : undefined;
    const slow = send("t", "s".repeat(3_000));
    try {
      await until("the log to be behind", async () => {
        return (await metric("rocketmq_storage_dispatch_behind_bytes")) > 2_000;
      });
      assert.equal(await refusedCount(), 0);
      const refused = await send("t", "refused");
      assert.equal(refused.status?.code, Code.TOO_MANY_REQUESTS);
      assert.match(refused.status?.message ?? "", /the disk is behind/);
      assert.equal(await refusedCount(), 1);
    } finally {
      release();
    }
    assert.equal((await slow).entries[0]?.offset, 1);
    const again = await send("t", "again");
    assert.equal(again.status?.code, Code.OK, again.status?.message);
    assert.equal(again.entries[0]?.offset, 2, "the refused message is stored");
    assert.equal(await refusedCount(), 1);
  });

  it("of topics makes none for a send, says so, and takes the send when one is deleted", async () => {
    await start({ bounds: { topicCountMax: 2 } });
    for (const topic of ["a", "b"]) assert.equal((await send(topic)).status?.code, Code.OK);
    const says = /this broker has 2 topics: no more than 2 are allowed/;
    const refused = await send("c");
    assert.equal(refused.status?.code, Code.FORBIDDEN);
    assert.match(refused.status?.message ?? "", says);
    const route = await client.call(methods.QueryRoute, { topic: { name: "c" } });
    assert.equal(route.status?.code, Code.FORBIDDEN);
    const wish = { name: "c", readQueues: 1, writeQueues: 1 };
    const made = await client.call(admin.UpdateTopic, wish);
    assert.equal(made.status?.code, Code.FORBIDDEN);
    assert.match(made.status?.message ?? "", says);
    assert.equal((await send("b")).status?.code, Code.OK);
    assert.equal((await client.call(admin.DeleteTopic, { name: "a" })).status?.code, Code.OK);
    assert.equal((await send("c")).status?.code, Code.OK);
    assert.equal((await send("a")).status?.code, Code.FORBIDDEN);
  });

  it("of topics keeps a message that would be a dead letter, and buries it when one is deleted", async () => {
    const clock = new ManualClock();
    await start({ clock, bounds: { topicCountMax: 2 } });
    for (const topic of ["t", "other"]) await send(topic);
    const receiveAndBury = async (attempt: number): Promise<number | undefined> => {
      const { messages } = await receive("t", "g");
      assert.equal(messages[0]?.systemProperties?.deliveryAttempt, attempt);
      const receiptHandle = messages[0]?.systemProperties?.receiptHandle ?? "";
      const wish = { group: { name: "g" }, topic: { name: "t" }, messageId: "x", receiptHandle };
      return (await client.call(methods.ForwardMessageToDeadLetterQueue, wish)).status?.code;
    };
    assert.equal(await receiveAndBury(1), Code.FORBIDDEN);
    clock.pass(60_000);
    assert.equal(await receiveAndBury(2), Code.FORBIDDEN);
    assert.equal((await client.call(admin.DeleteTopic, { name: "other" })).status?.code, Code.OK);
    clock.pass(60_000);
    assert.equal(await receiveAndBury(3), Code.OK);
    const dead = await receive("%DLQ%g", "gravedigger");
    assert.deepEqual(
      dead.messages.map(({ body }) => Buffer.from(body).toString()),
      ["x"],
    );
  });

  it("of topics and groups makes no more when many are named at once", async () => {
    await start({ bounds: { topicCountMax: 3, groupCountMax: 3 } });
    const names = Array.from({ length: 10 }, (_unused, index) => `n${index}`);
    const sent = await Promise.all(names.map((name) => send(name)));
    const codes = sent.map(({ status }) => status?.code);
    assert.deepEqual(
      [Code.OK, Code.FORBIDDEN].map((code) => codes.filter((got) => got === code).length),
      [3, 7],
    );
    const topic = names[codes.indexOf(Code.OK)] ?? "";
    for (const body of ["two", "three"]) await send(topic, body);
    const received = await Promise.all(names.map((name) => receive(topic, name)));
    assert.deepEqual(
      [Code.OK, Code.FORBIDDEN].map((code) => received.filter((got) => got.code === code).length),
      [3, 7],
    );
  });

  it("of groups makes none for a receive, says so, and serves it when one is deleted", async () => {
    await start({ bounds: { groupCountMax: 1 } });
    for (const body of ["one", "two"]) await send("t", body);
    assert.equal((await receive("t", "g")).messages.length, 1);
    const refused = await receive("t", "h");
    assert.equal(refused.code, Code.FORBIDDEN);
    assert.match(refused.text, /this broker has 1 consumer groups: no more than 1 are allowed/);
    assert.equal((await receive("t", "g")).messages.length, 1);
    assert.equal((await client.call(admin.DeleteGroup, { name: "g" })).status?.code, Code.OK);
    assert.equal((await receive("t", "h")).code, Code.OK);
  });
});
