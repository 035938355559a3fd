import assert from "node:assert/strict";
import {
  messagingService,
  msOfDuration,
  rocketmq as protocol,
  type rocketmq,
} from "@cometmq/proto";
import { epoch, MqError, position, queueOffset } from "../../base/index.ts";
import type { Delivered } from "../delivery/index.ts";
import { RecordType, type RecordView } from "../store/index.ts";
import { messageFlags } from "./message-flags.ts";
import { type CallOptions, TestBroker, TestConnection, TestStream } from "./testkit/index.ts";

const method = messagingService.methods.ReceiveMessage;

interface Answer {
  readonly status: rocketmq.v2.Status | null;
  readonly messages: readonly rocketmq.v2.Message[];
  readonly deliveryTimestamp: rocketmq.v2.ReceiveMessageResponse["deliveryTimestamp"];
  readonly stream: TestStream;
}

function delivered(offset: number, parts: { flags?: number; size?: number } = {}): Delivered {
  const record = {
    type: RecordType.message,
    flags: parts.flags ?? 0,
    topic: "t",
    queueId: 2,
    queueOffset: queueOffset(offset),
    position: position(offset * 100),
    size: parts.size ?? 100,
    epoch: epoch(1),
    storeTimeMs: 1_650_000_000_000,
    groupRest: 0,
    systemProperties: protocol.v2.SystemProperties.encode({ messageId: `id-${offset}` }).finish(),
    userProperties: protocol.v2.Message.encode({ userProperties: { a: "b" } }).finish(),
    body: Buffer.from("hello"),
    tagHash: 0,
    messageGroupHash: 0,
  } as unknown as RecordView;
  return {
    record,
    queueId: 2,
    queueOffset: offset,
    attempt: 3,
    invisibleMs: 30_000,
    receiptHandle: `handle-${offset}`,
    deliveryNumber: 1,
    lease: { offset },
  };
}

describe("ReceiveMessage", () => {
  let broker: TestBroker;
  let wish: rocketmq.v2.IReceiveMessageRequest;

  async function receive(
    parts: rocketmq.v2.IReceiveMessageRequest = {},
    options?: CallOptions,
  ): Promise<Answer> {
    const stream = new TestStream(options);
    await broker.stream(method.path, method.request.encode({ ...wish, ...parts }), stream);
    assert.equal(stream.finished, true);
    const frames = stream.written.map((bytes) => method.response.decode(bytes));
    assert.ok(frames.every((frame) => frame.content !== undefined));
    return {
      status: frames[0]?.status ?? null,
      messages: frames.flatMap((frame) => (frame.message ? [frame.message] : [])),
      deliveryTimestamp: frames.at(-1)?.deliveryTimestamp ?? null,
      stream,
    };
  }

  async function refused(
    parts: rocketmq.v2.IReceiveMessageRequest,
    code: number,
    words: RegExp,
    options?: CallOptions,
  ): Promise<void> {
    const answer = await receive(parts, options);
    assert.equal(answer.status?.code, code, answer.status?.message);
    assert.match(answer.status?.message ?? "", words);
    assert.ok(answer.deliveryTimestamp);
    assert.equal(broker.received.length, 0);
  }

  beforeEach(() => {
    broker = new TestBroker();
    wish = {
      group: { name: "g" },
      messageQueue: { topic: { name: "t" }, id: 3 },
      batchSize: 16,
      invisibleDuration: { seconds: 30 },
      longPollingTimeout: { seconds: 10 },
      filterExpression: { type: 1, expression: "a || b" },
    };
  });

  it("hands on what the client asks for", async () => {
    await receive();
    const [asked] = broker.received;
    assert.equal(asked?.group.name, "g");
    assert.equal(asked?.topic.name, "t");
    assert.equal(asked?.queueId, 3);
    assert.equal(asked?.countMax, 16);
    assert.equal(asked?.invisibleMs, 30_000);
    assert.equal(asked?.autoRenew, false);
    assert.equal(asked?.pollingMs, 10_000);
    assert.equal(asked?.clientId, "client-1");
    assert.deepEqual(asked?.filter.kind === "tags" && [...asked.filter.tags], ["a", "b"]);
  });

  it("answers status, messages and delivery time, in this order", async () => {
    broker.toDeliver = [delivered(5), delivered(6)];
    const answer = await receive();
    assert.equal(answer.status?.code, 20_000);
    assert.ok(answer.deliveryTimestamp);
    const [first, second] = answer.messages;
    assert.equal(second?.systemProperties?.messageId, "id-6");
    assert.equal(first?.topic?.name, "t");
    assert.deepEqual({ ...first?.userProperties }, { a: "b" });
    assert.equal(Buffer.from(first?.body ?? []).toString(), "hello");
    const system = first?.systemProperties;
    assert.equal(system?.receiptHandle, "handle-5");
    assert.equal(system?.queueId, 2);
    assert.equal(system?.queueOffset, 5);
    assert.equal(system?.deliveryAttempt, 3);
    assert.equal(system?.storeHost, "10.0.0.1:8081");
    assert.equal(system?.storeTimestamp?.seconds, 1_650_000_000);
    assert.equal(msOfDuration(system?.invisibleDuration ?? {}), 30_000);
    assert.equal(system?.bodyDigest, null);
    assert.deepEqual(broker.context.traffic.total.out, { messages: 2, bytes: 10 });
  });

  it("adds an MD5 digest where the sender gave none", async () => {
    broker.toDeliver = [delivered(1, { flags: messageFlags.bodyDigestMissing })];
    const answer = await receive();
    const digest = answer.messages[0]?.systemProperties?.bodyDigest;
    assert.equal(digest?.type, 2);
    assert.equal(digest?.checksum, "5D41402ABC4B2A76B9719D911017C592");
  });

  it("answers MESSAGE_NOT_FOUND when the poll ends empty", async () => {
    const answer = await receive();
    assert.equal(answer.status?.code, 40_401);
    assert.equal(answer.status?.message, "no new message");
    assert.equal(answer.messages.length, 0);
  });

  it("gives the messages back when the answer could not be written", async () => {
    broker.toDeliver = [delivered(1), delivered(2)];
    const stream = new TestStream();
    stream.outcome = "reset";
    await broker.stream(method.path, method.request.encode(wish), stream);
    assert.deepEqual(broker.calls, ["giveBack 2"]);
    assert.equal(broker.context.traffic.total.out.messages, 0);
  });

  it("lets a message wait that may be too large for the client that refused the answer", async () => {
    broker.toDeliver = [delivered(1), delivered(2, { size: 4_194_400 })];
    const connection = new TestConnection();
    const refusing = new TestStream({ connection });
    refusing.outcome = "reset";
    await broker.stream(method.path, method.request.encode(wish), refusing);
    assert.deepEqual(broker.calls.splice(0), ["giveBack 1", "change g t handle-2 10000"]);
    // Whoever has gone has refused nothing.
    const lost = new TestStream({ connection });
    lost.outcome = "reset";
    connection.close();
    await broker.stream(method.path, method.request.encode(wish), lost);
    assert.deepEqual(broker.calls, ["giveBack 2"]);
  });

  it("gives the messages back when writing them fails", async () => {
    broker.toDeliver = [delivered(1)];
    const stream = new TestStream();
    stream.finish = () => Promise.reject(new Error("broken"));
    const receiving = broker.stream(method.path, method.request.encode(wish), stream);
    await assert.rejects(receiving, /broken/);
    assert.deepEqual(broker.calls, ["giveBack 1"]);
  });

  it("takes the wait from the settings when the request has none, as Go's simple consumer", async () => {
    const connection = new TestConnection();
    broker.clients.settle(
      { id: "client-1", language: "GO", version: "5" },
      {
        kind: "consumer",
        type: 3,
        group: "g",
        subscriptions: [],
        pollingMs: 7_000,
        requestTimeoutMs: 3_000,
      },
      connection,
    );
    await receive({ longPollingTimeout: null }, { connection, remainingMs: 10_000 });
    assert.equal(broker.received[0]?.pollingMs, 7_000);
  });

  it("takes the queue id -1 and no queue id, and cuts a batch to 32", async () => {
    await receive({ messageQueue: { topic: { name: "t" }, id: -1 }, batchSize: 100_000 });
    assert.equal(broker.received[0]?.queueId, -1);
    assert.equal(broker.received[0]?.countMax, 32);
    await receive({ batchSize: 0 });
    assert.equal(broker.received[1]?.countMax, 1);
  });

  it("asks by an SQL filter, and notes it as one", async () => {
    const filterExpression = { type: 2, expression: "a > 1" };
    await receive({ filterExpression });
    await receive({ filterExpression });
    const [first, second] = broker.received.map(({ filter }) => filter);
    assert.equal(first?.kind, "sql");
    assert.equal(second, first, "compiled once");
    const [row] = broker.clients.consumers("g");
    assert.deepEqual(row?.subscriptions, [{ topic: "t", filterType: 2, expression: "a > 1" }]);
    // The same text, another meaning.
    await receive({ filterExpression: { type: 1, expression: "a > 1" } });
    assert.equal(broker.received[2]?.filter.kind, "tags");
    assert.equal(broker.clients.consumers("g")[0]?.subscriptions[0]?.filterType, 1);
  });

  it("chooses the invisible time itself when it renews", async () => {
    await receive({ autoRenew: true, invisibleDuration: { seconds: 1 } });
    assert.equal(broker.received[0]?.invisibleMs, 60_000);
    assert.equal(broker.received[0]?.autoRenew, true);
  });

  it("creates topic and group when allowed, and knows the consumer from then on", async () => {
    await receive();
    assert.ok(broker.metadata.topic("t"));
    assert.ok(broker.metadata.group("g"));
    const [row] = broker.clients.consumers("g");
    assert.equal(row?.clientId, "client-1");
    assert.deepEqual(row?.subscriptions, [{ topic: "t", filterType: 1, expression: "a || b" }]);
  });

  it("refuses an invisible time out of range: ILLEGAL_INVISIBLE_TIME", async () => {
    await refused({ invisibleDuration: { seconds: 9 } }, 40_011, /the invisibleTime is too small/);
    await refused({ invisibleDuration: null }, 40_011, /too small/);
    await refused({ invisibleDuration: { seconds: 43_201 } }, 40_011, /too large/);
  });

  it("refuses a wait that does not fit the deadline: ILLEGAL_POLLING_TIME", async () => {
    await refused({ longPollingTimeout: { seconds: 20 } }, 40_018, /deadline/, {
      remainingMs: 3_000,
    });
  });

  it("refuses a filter that cannot be read: ILLEGAL_FILTER_EXPRESSION", async () => {
    await refused({ filterExpression: { type: 1, expression: "a|b" } }, 40_010, /a\|b/);
    const sql = { type: 2, expression: "a >> 1" };
    await refused({ filterExpression: sql }, 40_010, /at character 4: expected .*, found >/);
    await refused({ filterExpression: { type: 3, expression: "a" } }, 40_010, /filter type 3/);
  });

  it("refuses names that are not allowed: ILLEGAL_TOPIC, ILLEGAL_CONSUMER_GROUP", async () => {
    await refused({ messageQueue: { topic: { name: "a b" } } }, 40_002, /a b/);
    await refused({ messageQueue: null }, 40_002, /blank/);
    await refused({ group: { name: "x".repeat(121) } }, 40_003, /121 characters/);
    await refused({ group: { name: "CID_RMQ_SYS_x" } }, 40_003, /CID_RMQ_SYS_/);
    await refused({ group: null }, 40_003, /blank/);
  });

  it("refuses unknown names when creating is off: TOPIC_NOT_FOUND, CONSUMER_GROUP_NOT_FOUND", async () => {
    const flags = { autoCreateTopicEnable: "false", autoCreateSubscriptionGroup: "false" };
    broker = new TestBroker({ flags });
    await refused({}, 40_402, /No topic route info/);
    await broker.metadata.updateTopic({ name: "t" });
    await refused({}, 40_403, /group g does not exist/);
  });

  it("refuses a topic that is not readable and a group that may not consume: FORBIDDEN", async () => {
    await broker.metadata.updateTopic({ name: "t", perm: 2 });
    await refused({}, 40_300, /not readable/);
    await broker.metadata.updateTopic({ name: "t" });
    await broker.metadata.updateGroup({ name: "g", consumeEnable: false });
    await refused({}, 40_300, /may not consume/);
  });

  it("refuses a call without client id: CLIENT_ID_REQUIRED", async () => {
    await refused({}, 40_017, /x-mq-client-id/, { headers: {} });
  });

  it("answers broken bytes with BAD_REQUEST", async () => {
    const stream = new TestStream();
    await broker.stream(method.path, Uint8Array.of(10, 200, 1), stream);
    assert.equal(method.response.decode(stream.written[0] ?? Uint8Array.of()).status?.code, 40_000);
  });

  it("lets a push consumer wait for an error, so that it does not spin", async () => {
    const stream = new TestStream();
    const bad = method.request.encode({ ...wish, autoRenew: true, group: null });
    const done = broker.stream(method.path, bad, stream);
    await new Promise(setImmediate);
    assert.equal(stream.finished, false);
    broker.clock.pass(1_000);
    await done;
    assert.equal(method.response.decode(stream.written[0] ?? Uint8Array.of()).status?.code, 40_003);
  });

  it("ends that wait when the client goes", async () => {
    const stream = new TestStream();
    const timersBefore = broker.clock.timerCount;
    const bad = method.request.encode({ ...wish, autoRenew: true, group: null });
    const done = broker.stream(method.path, bad, stream);
    await new Promise(setImmediate);
    stream.controller.abort();
    await done;
    assert.equal(broker.clock.timerCount, timersBefore);
  });

  it("gives nothing to a client that said goodbye on this connection", async () => {
    const connection = new TestConnection();
    broker.clients.terminate("client-1", connection);
    broker.toDeliver = [delivered(1)];
    const stream = new TestStream({ connection });
    const done = broker.stream(method.path, method.request.encode(wish), stream);
    await new Promise(setImmediate);
    broker.clock.pass(1_000);
    await done;
    assert.equal(method.response.decode(stream.written[0] ?? Uint8Array.of()).status?.code, 40_401);
    assert.equal(broker.received.length, 0);
  });

  it("tells delivery when the client is gone or the broker stops", async () => {
    const connection = new TestConnection();
    await receive({}, { connection });
    const [asked] = broker.received;
    assert.equal(asked?.isClientGone(), false);
    broker.isStopping = true;
    assert.equal(asked?.isClientGone(), true);
    broker.isStopping = false;
    connection.close();
    assert.equal(asked?.isClientGone(), true);
  });

  it("passes on what delivery refuses", async () => {
    broker.parts.delivery.receive = async () => {
      throw new MqError("TOO_MANY_REQUESTS", "100000 polls are held already");
    };
    await refused({}, 42_900, /polls/);
  });
});
