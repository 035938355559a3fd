// One broker over real gRPC, call by call: what clients that behave oddly, operators and a closing broker see.
import assert from "node:assert/strict";
import { readdir, rm } from "node:fs/promises";
import type { rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { openWire } from "./cuttable-wire.ts";
import { brokerAdminService, messagingService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const admin = brokerAdminService.methods;
const ok = 20_000;

describe("a broker", function () {
  this.timeout(40_000);
  let fixture: BrokerFixture;
  let clients: RawClient[];

  function connect(clientId: string): RawClient {
    const client = new RawClient(fixture.endpoints, clientId);
    clients.push(client);
    return client;
  }

  beforeEach(async () => {
    clients = [];
    fixture = await startBroker();
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    await fixture.close();
  });

  it("stores a batch as one group, in order, and hands it out in order", async () => {
    const client = connect("a");
    const ids = Array.from({ length: 20 }, (_, index) => `id-${index}`);
    const answer = await send(client, "batch", ids);
    assert.deepEqual(
      answer.entries.map(({ messageId, offset }) => [messageId, offset]),
      ids.map((id, index) => [id, index]),
    );
    const { messages } = await client.receive(wish("g", "batch")).done;
    assert.deepEqual(messages.map(idOf), ids);
  });

  it("serves receive and ack of clients it knows nothing of, also across a restart", async () => {
    await send(connect("p"), "t", ["1", "2"]);
    const first = await connect("c").receive({ ...wish("g", "t"), batchSize: 1 }).done;
    const [held] = first.messages;
    assert.ok(held);
    fixture = await fixture.restart();
    const again = connect("c");
    const answer = await again.call(methods.AckMessage, {
      group: { name: "g" },
      topic: { name: "t" },
      entries: [{ messageId: idOf(held), receiptHandle: held.systemProperties?.receiptHandle }],
    });
    assert.equal(answer.status?.code, ok, answer.status?.message);
    const second = await again.receive(wish("g", "t")).done;
    assert.deepEqual(second.messages.map(idOf), ["2"]);
  });

  it("gives a held poll's messages to another when its client vanished", async () => {
    const wire = await openWire(fixture.broker.grpcPort);
    const leaving = new RawClient(wire.endpoints, "leaving");
    clients.push(leaving);
    const held = leaving.receive({ ...wish("g", "t"), longPollingTimeout: { seconds: 20 } });
    held.done.catch(() => {});
    await until("the poll", () => heldPolls(fixture, 1));
    wire.cut();
    await until("its end", () => heldPolls(fixture, 0), 2_000);
    const staying = connect("staying").receive(wish("g", "t"));
    await until("the other poll", () => heldPolls(fixture, 1));
    await send(connect("p"), "t", ["1"]);
    const { messages } = await staying.done;
    assert.deepEqual(messages.map(idOf), ["1"]);
    assert.equal(messages[0]?.systemProperties?.deliveryAttempt, 1);
  });

  it("ends a cancelled poll and gives nothing to it", async () => {
    const client = connect("c");
    const held = client.receive(wish("g", "t"));
    held.done.catch(() => {});
    await until("the poll", () => heldPolls(fixture, 1));
    held.cancel();
    await until("its end", () => heldPolls(fixture, 0));
    await send(client, "t", ["1"]);
    const { messages } = await client.receive(wish("g", "t")).done;
    assert.equal(messages[0]?.systemProperties?.deliveryAttempt, 1);
  });

  it("shows a renewed message again when its client says goodbye", async () => {
    const leaving = connect("leaving");
    await send(leaving, "t", ["1"]);
    const first = await leaving.receive({ ...wish("g", "t"), autoRenew: true }).done;
    assert.equal(first.messages.length, 1);
    const waiting = connect("staying").receive(wish("g", "t"));
    await until("the poll", () => heldPolls(fixture, 1));
    const goodbye = await leaving.call(methods.NotifyClientTermination, { group: { name: "g" } });
    assert.equal(goodbye.status?.code, ok);
    const { messages } = await waiting.done;
    assert.deepEqual(messages.map(idOf), ["1"]);
    // What its client had no time for was no attempt.
    assert.equal(messages[0]?.systemProperties?.deliveryAttempt, 1);
  });

  it("answers an empty poll when its time is up, with MESSAGE_NOT_FOUND", async () => {
    const startMs = Date.now();
    const empty = await connect("c").receive(wish("g", "t")).done;
    assert.equal(empty.code, 40_401);
    const elapsedMs = Date.now() - startMs;
    assert.ok(elapsedMs >= 4_900 && elapsedMs < 7_000, `${elapsedMs} ms`);
  });

  it("closes in under five seconds: sends are answered, polls and streams end", async () => {
    const client = connect("c");
    const telemetry = client.telemetry();
    telemetry.write({ settings: { clientType: 1, publishing: { topics: [{ name: "t" }] } } });
    const ended = new Promise<void>((resolve) => {
      telemetry.on("data", () => {});
      telemetry.on("end", resolve);
      telemetry.on("error", () => resolve());
    });
    const held = client.receive({ ...wish("g", "t"), longPollingTimeout: { seconds: 20 } });
    await until("the poll", () => heldPolls(fixture, 1));
    const sends = Array.from({ length: 50 }, (_, index) => send(client, "u", [`s${index}`]));
    await Promise.race(sends);
    const startMs = Date.now();
    await fixture.broker.close();
    assert.ok(Date.now() - startMs < 5_000, `${Date.now() - startMs} ms`);
    assert.equal((await held.done).code, 40_401);
    await ended;
    const results = await Promise.allSettled(sends);
    for (const result of results) {
      if (result.status === "fulfilled") assert.equal(result.value.status?.code, ok);
    }
    assert.ok(results.some(({ status }) => status === "fulfilled"));
    await fixture.broker.close();
  });

  it("refuses a data folder in use, and names who uses it", async () => {
    const { storePathRootDir } = await configOf(connect("a"));
    await assert.rejects(
      startBroker({ storePathRootDir: storePathRootDir ?? "" }),
      (error: Error) => error.message.includes(String(process.pid)),
    );
  });

  it("keeps the commit log where it is told to, for itself alone", async () => {
    const { storePathRootDir } = await configOf(connect("a"));
    const storePathCommitLog = `${storePathRootDir}-log`;
    let apart = await startBroker({ storePathCommitLog });
    try {
      const client = new RawClient(apart.endpoints);
      clients.push(client);
      await send(client, "t", ["1"]);
      await assert.rejects(startBroker({ storePathCommitLog }), /use/);
      apart = await apart.restart();
      const again = new RawClient(apart.endpoints);
      clients.push(again);
      const { messages } = await again.receive(wish("g", "t")).done;
      assert.deepEqual(messages.map(idOf), ["1"]);
      assert.ok((await readdir(storePathCommitLog)).includes("0".repeat(20)));
    } finally {
      await apart.close();
      await rm(storePathCommitLog, { recursive: true, force: true });
    }
  });

  it("keeps topics, groups and progress over a restart", async () => {
    let client = connect("a");
    await client.call(admin.UpdateTopic, { name: "kept", writeQueues: 3, readQueues: 3 });
    await client.call(admin.UpdateGroup, { name: "kept-group", retryMaxTimes: 5 });
    await send(client, "kept", ["1", "2", "3"]);
    const { messages } = await client.receive(wish("kept-group", "kept")).done;
    assert.equal(messages.length, 3);
    await ack(client, "kept-group", "kept", messages.slice(0, 2));
    fixture = await fixture.restart();
    client = connect("a");
    const topics = await client.call(admin.ListTopics, {});
    const kept = topics.topics.find(({ name }) => name === "kept");
    assert.equal(kept?.writeQueues, 3);
    const groups = await client.call(admin.ListGroups, {});
    assert.equal(groups.groups.find(({ name }) => name === "kept-group")?.retryMaxTimes, 5);
    const progress = await client.call(admin.GetConsumerProgress, { group: "kept-group" });
    const sum = (field: "pending" | "cursor"): number =>
      progress.queues.reduce((total, queue) => total + queue[field], 0);
    assert.equal(sum("cursor"), 3);
    assert.equal(sum("pending"), 1);
  });

  it("tells operators what they ask", async () => {
    const client = connect("operator");
    const created = await client.call(admin.UpdateTopic, { name: "t", writeQueues: 2 });
    assert.equal(created.created, true);
    assert.equal(created.topic?.readQueues, 2);
    const changed = await client.call(admin.UpdateTopic, { name: "t", perm: 4 });
    assert.equal(changed.created, false);
    assert.equal(changed.topic?.writeQueues, 2);
    assert.equal(changed.topic?.perm, 4);
    await client.call(admin.UpdateTopic, { name: "t", perm: 6 });
    await send(client, "t", ["1", "2"]);
    const status = await client.call(admin.GetTopicStatus, { name: "t" });
    assert.equal(
      status.queues.reduce((total, queue) => total + queue.maxOffset, 0),
      2,
    );
    assert.ok(status.queues.some((queue) => queue.lastUpdateMs > Date.now() - 60_000));
    const queueId = status.queues.find((queue) => queue.maxOffset > 0)?.queueId ?? 0;
    const found = await client.call(admin.QueryMessageByOffset, { topic: "t", queueId, offset: 1 });
    assert.equal(found.messages[0]?.message?.systemProperties?.messageId, "2");
    assert.deepEqual({ ...found.messages[0]?.message?.userProperties }, { a: "b" });
    const none = await client.call(admin.QueryMessageByOffset, { topic: "t", queueId, offset: 9 });
    assert.equal(none.status?.code, 40_401);
    await until("the index", async () => {
      const byId = await client.call(admin.QueryMessageById, { topic: "t", messageId: "2" });
      return byId.messages[0]?.queueOffset === 1;
    });
    const byKey = await client.call(admin.QueryMessageByKey, { topic: "t", key: "key of 1" });
    assert.equal(byKey.messages[0]?.message?.systemProperties?.messageId, "1");
    const noKey = await client.call(admin.QueryMessageByKey, { topic: "t", key: "none" });
    assert.equal(noKey.status?.code, 40_401);
    await client.receive(wish("g", "t")).done;
    const members = await client.call(admin.GetConsumerConnection, { group: "g" });
    assert.equal(members.clients[0]?.clientId, "operator");
    assert.equal(members.clients[0]?.language, "JAVA");
    assert.equal(members.subscriptionsDiffer, false);
    const broker = await client.call(admin.GetBrokerStatus, {});
    assert.equal(broker.brokerName, "broker-a");
    assert.equal(broker.messagesPutTotal, 2);
    assert.equal(broker.messagesGotTotal, 2);
    assert.ok(broker.rows.length > 10);
    const deleted = await client.call(admin.DeleteTopic, { name: "t" });
    assert.equal(deleted.status?.code, ok);
    const gone = await client.call(admin.GetTopicStatus, { name: "t" });
    assert.equal(gone.status?.code, 40_402);
    const group = await client.call(admin.DeleteGroup, { name: "g" });
    assert.equal(group.status?.code, ok);
    const unknown = await client.call(admin.GetConsumerConnection, { group: "g" });
    assert.equal(unknown.status?.code, 40_403);
  });

  it("tells operators what was wrong", async () => {
    const client = connect("operator");
    const wrong: [number | undefined, number][] = [
      [(await client.call(admin.UpdateTopic, { name: "a b" })).status?.code, 40_002],
      [
        (await client.call(admin.UpdateTopic, { name: "t", messageType: "ODD" })).status?.code,
        40_000,
      ],
      [(await client.call(admin.UpdateTopic, { name: "t", perm: 9 })).status?.code, 40_000],
      [(await client.call(admin.UpdateTopic, { name: "t", readQueues: 0 })).status?.code, 40_000],
      [(await client.call(admin.UpdateGroup, { name: "" })).status?.code, 40_003],
      [(await client.call(admin.UpdateGroup, { name: "g", retryPolicy: {} })).status?.code, 40_000],
      [
        (await client.call(admin.UpdateGroup, { name: "g", consumeFrom: "x" })).status?.code,
        40_000,
      ],
      [(await client.call(admin.DeleteTopic, { name: "none" })).status?.code, 40_402],
      [(await client.call(admin.DeleteGroup, { name: "none" })).status?.code, 40_403],
      [(await client.call(admin.GetConsumerProgress, { group: "none" })).status?.code, 40_403],
      [(await client.call(admin.GetBrokerConfig, { key: "none" })).status?.code, 40_000],
      [(await client.call(admin.UpdateBrokerConfig, { key: "none" })).status?.code, 40_000],
      [(await client.call(admin.QueryMessageById, { topic: "none" })).status?.code, 40_402],
    ];
    assert.deepEqual(
      wrong.map(([code]) => code),
      wrong.map(([, expected]) => expected),
    );
    const { topics } = await client.call(admin.ListTopics, {});
    assert.deepEqual(topics, []);
  });

  it("sets and removes attributes of topics and groups", async () => {
    const client = connect("operator");
    const typed = await client.call(admin.UpdateTopic, { name: "f", messageType: "FIFO" });
    assert.equal(typed.topic?.messageType, "FIFO");
    const plain = await client.call(admin.UpdateTopic, {
      name: "f",
      removedAttributes: ["message.type"],
    });
    assert.equal(plain.topic?.messageType, "NORMAL");
    const first = await client.call(admin.UpdateGroup, { name: "g", consumeFrom: "first" });
    assert.equal(first.group?.consumeFrom, "first");
    const kept = await client.call(admin.UpdateGroup, { name: "g", retryMaxTimes: 2 });
    assert.equal(kept.group?.consumeFrom, "first");
    assert.equal(kept.group?.retryMaxTimes, 2);
  });

  it("changes live configuration keys, and only those", async () => {
    const client = connect("operator");
    const changed = await client.call(admin.UpdateBrokerConfig, {
      key: "maxMessageSize",
      value: "3",
    });
    assert.equal(changed.status?.code, ok, changed.status?.message);
    assert.equal(changed.row?.value, "3");
    assert.equal(changed.row?.source, "live");
    const answer = await send(client, "t", ["1"]);
    assert.equal(answer.status?.code, 41_301);
    const refused = await client.call(admin.UpdateBrokerConfig, {
      key: "brokerName",
      value: "other",
    });
    assert.equal(refused.status?.code, 40_000);
    const config = await client.call(admin.GetBrokerConfig, { key: "maxMessageSize" });
    assert.equal(config.rows[0]?.defaultValue, "4194304");
    assert.equal(config.rows[0]?.live, true);
  });

  it("measures itself, and says when it is ready", async () => {
    const client = connect("a");
    await send(client, "t", ["1"]);
    await client.receive(wish("g", "t")).done;
    assert.match(await page(fixture, "/readyz"), /ready/);
    assert.match(await page(fixture, "/healthz"), /ok/);
    const text = await page(fixture, "/metrics");
    for (const line of [
      /^rocketmq_messages_in_total\{topic="t",message_type="normal".*\} 1$/m,
      /^rocketmq_throughput_in_total\{.*\} 5$/m,
      /^rocketmq_messages_out_total\{topic="t",consumer_group="g".*\} 1$/m,
      /^rocketmq_topic_number\{.*\} 1$/m,
      /^rocketmq_consumer_connections\{consumer_group="g".*\} 1$/m,
      /^rocketmq_consumer_inflight_messages\{.*\} 1$/m,
      /^rocketmq_consumer_lag_messages\{.*\} 1$/m,
      /^rocketmq_storage_size\{.*node_type="broker".*\} \d+$/m,
      /^cometmq_log_flush_seconds_count\{.*\} [1-9]/m,
      /^cometmq_log_write_bytes_count\{.*\} [1-9]/m,
      /^cometmq_event_loop_delay_seconds\{/m,
      /^cometmq_calls_total\{method="SendMessage",grpc_status="0".*\} 1$/m,
    ]) {
      assert.match(text, line);
    }
  });
});

async function page(fixture: BrokerFixture, path: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${fixture.broker.metricsPort}${path}`);
  assert.equal(response.status, 200);
  return await response.text();
}

function wish(group: string, topic: string): rocketmq.v2.IReceiveMessageRequest {
  return {
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1 },
    batchSize: 32,
    invisibleDuration: { seconds: 30 },
    longPollingTimeout: { seconds: 5 },
    filterExpression: { type: 1, expression: "*" },
  };
}

async function send(
  client: RawClient,
  topic: string,
  ids: readonly string[],
): Promise<rocketmq.v2.SendMessageResponse> {
  return await client.call(methods.SendMessage, {
    messages: ids.map((messageId) => ({
      topic: { name: topic },
      userProperties: { a: "b" },
      systemProperties: { messageId, messageType: 1, keys: [`key of ${messageId}`] },
      body: Buffer.from("hello"),
    })),
  });
}

async function ack(
  client: RawClient,
  group: string,
  topic: string,
  messages: readonly rocketmq.v2.Message[],
): Promise<void> {
  const answer = await client.call(methods.AckMessage, {
    group: { name: group },
    topic: { name: topic },
    entries: messages.map((message) => ({
      messageId: idOf(message),
      receiptHandle: message.systemProperties?.receiptHandle,
    })),
  });
  assert.equal(answer.status?.code, ok);
}

function idOf(message: rocketmq.v2.Message): string {
  return message.systemProperties?.messageId ?? "";
}

async function heldPolls(fixture: BrokerFixture, count: number): Promise<boolean> {
  const text = await fixture.broker.metrics.text();
  return new RegExp(`^cometmq_held_polls\\{[^}]*\\} ${count}$`, "m").test(text);
}

async function configOf(client: RawClient): Promise<Record<string, string>> {
  const { rows } = await client.call(admin.GetBrokerConfig, {});
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}
