import assert from "node:assert/strict";
import { Code, messagingService, rocketmq as protocol, type rocketmq } from "@cometmq/proto";
import { epoch, limits, MqError, position, queueOffset } from "../../base/index.ts";
import type { PulledMessage } from "../delivery/index.ts";
import { RecordType, type RecordView } from "../store/index.ts";
import { messageFlags } from "./message-flags.ts";
import { type CallOptions, TestBroker, TestConnection, TestStream } from "./testkit/index.ts";

const method = messagingService.methods.PullMessage;

interface Answer {
  readonly code: number;
  readonly text: string;
  readonly messages: readonly rocketmq.v2.Message[];
  readonly nextOffset: number | undefined;
}

function pulled(offset: number, parts: { flags?: number; body?: Buffer } = {}): PulledMessage {
  const body = parts.body ?? Buffer.from("hello");
  const record = {
    type: RecordType.message,
    flags: parts.flags ?? 0,
    topic: "t",
    queueId: 2,
    queueOffset: queueOffset(offset),
    position: position(offset * 100),
    size: body.length + 100,
    epoch: epoch(1),
    storeTimeMs: 1_650_000_000_000,
    groupRest: 0,
    systemProperties: protocol.v2.SystemProperties.encode({
      messageId: `id-${offset}`,
      receiptHandle: "of the sender's making",
    }).finish(),
    userProperties: protocol.v2.Message.encode({ userProperties: { a: "b" } }).finish(),
    body,
    tagHash: 0,
    messageGroupHash: 0,
  } as unknown as RecordView;
  return { record, queueOffset: offset };
}

describe("PullMessage", () => {
  let broker: TestBroker;
  let wish: rocketmq.v2.IPullMessageRequest;

  async function pull(
    parts: rocketmq.v2.IPullMessageRequest = {},
    options?: CallOptions,
    stream = new TestStream(options),
  ): Promise<Answer> {
    await broker.stream(method.path, method.request.encode({ ...wish, ...parts }), stream);
    assert.equal(stream.finished, true);
    const frames = stream.written.map((bytes) => method.response.decode(bytes));
    const last = frames.at(-1);
    return {
      code: frames[0]?.status?.code ?? 0,
      text: frames[0]?.status?.message ?? "",
      messages: frames.flatMap((frame) => (frame.message ? [frame.message] : [])),
      nextOffset: last?.content === "nextOffset" ? (last.nextOffset ?? undefined) : undefined,
    };
  }

  beforeEach(() => {
    broker = new TestBroker();
    wish = {
      group: { name: "g" },
      messageQueue: { topic: { name: "t" }, id: 2 },
      offset: 5,
      batchSize: 16,
      filterExpression: { type: 1, expression: "a || b" },
      longPollingTimeout: { seconds: 3 },
    };
  });

  it("hands on what the client asks for", async () => {
    await pull();
    const [asked] = broker.pulled;
    assert.equal(asked?.group.name, "g");
    assert.equal(asked?.topic, "t");
    assert.equal(asked?.queueId, 2);
    assert.equal(asked?.offset, 5);
    assert.equal(asked?.countMax, 16);
    assert.equal(asked?.pollingMs, 3_000);
    assert.equal(asked?.clientId, "client-1");
    assert.equal(asked?.filter.kind, "tags");
  });

  it("answers status, messages and where to go on, with nothing to acknowledge", async () => {
    broker.toPull = { kind: "found", messages: [pulled(5), pulled(7)], nextOffset: 8 };
    const answer = await pull();
    assert.equal(answer.code, Code.OK);
    assert.equal(answer.nextOffset, 8);
    assert.deepEqual(
      answer.messages.map(({ systemProperties }) => [
        systemProperties?.messageId,
        systemProperties?.queueId,
        systemProperties?.queueOffset,
        systemProperties?.receiptHandle,
        systemProperties?.deliveryAttempt,
      ]),
      [
        ["id-5", 2, 5, "", 0],
        ["id-7", 2, 7, "", 0],
      ],
    );
    const [message] = answer.messages;
    assert.equal(Buffer.from(message?.body ?? "").toString(), "hello");
    assert.deepEqual({ ...message?.userProperties }, { a: "b" });
    assert.equal(message?.systemProperties?.storeTimestamp?.seconds, 1_650_000_000);
    const [count] = broker.context.traffic.outs();
    assert.deepEqual({ ...count }, { group: "g", topic: "t", messages: 2, bytes: 10 });
  });

  it("adds a digest where the sender gave none", async () => {
    const message = pulled(5, { flags: messageFlags.bodyDigestMissing });
    broker.toPull = { kind: "found", messages: [message], nextOffset: 6 };
    const { messages } = await pull();
    assert.match(messages[0]?.systemProperties?.bodyDigest?.checksum ?? "", /^5D41402A/);
  });

  it("writes a large answer in parts and stops when its client has gone", async () => {
    const messages = Array.from({ length: 8 }, (_unused, offset) =>
      pulled(offset, { body: Buffer.alloc(100_000) }),
    );
    broker.toPull = { kind: "found", messages, nextOffset: 8 };
    assert.equal((await pull()).messages.length, 8);
    const stream = new TestStream();
    stream.writeFramed = () => {
      stream.controller.abort();
      return true;
    };
    const bytes = method.request.encode(wish);
    await broker.stream(method.path, bytes, stream);
    assert.equal(broker.context.traffic.total.out.messages, 8);
  });

  it("says MESSAGE_NOT_FOUND and how far the filter has looked", async () => {
    broker.toPull = { kind: "nothing", nextOffset: 4_101 };
    const answer = await pull();
    assert.deepEqual([answer.code, answer.nextOffset], [Code.MESSAGE_NOT_FOUND, 4_101]);
  });

  it("says ILLEGAL_OFFSET for what the queue does not have, and the nearest that it has", async () => {
    const bounds = { minOffset: 10, endOffset: 20 };
    broker.toPull = { kind: "outside", nextOffset: 10, ...bounds };
    const early = await pull();
    assert.deepEqual([early.code, early.nextOffset], [Code.ILLEGAL_OFFSET, 10]);
    assert.match(early.text, /offset 5 is too small: queue 2 of t has 10 to 20; the nearest is 10/);
    broker.toPull = { kind: "outside", nextOffset: 20, ...bounds };
    const late = await pull({ offset: 21 });
    assert.deepEqual([late.code, late.nextOffset], [Code.ILLEGAL_OFFSET, 20]);
    assert.match(late.text, /offset 21 is out of range/);
  });

  it("cuts batch and wait to what is allowed, and the wait to the deadline", async () => {
    await pull({ batchSize: 100_000, longPollingTimeout: { seconds: 3_600 } });
    await pull({ batchSize: 0, longPollingTimeout: undefined });
    await pull({ batchSize: -5, longPollingTimeout: { seconds: -1 } });
    await pull({ longPollingTimeout: { seconds: 30 } }, { remainingMs: 2_000 });
    await pull({ longPollingTimeout: { seconds: 30 } }, { remainingMs: 50 });
    assert.deepEqual(
      broker.pulled.map(({ countMax, pollingMs }) => [countMax, pollingMs]),
      [
        [limits.pullBatchCountMax, limits.pollingMaxMs],
        [1, 0],
        [1, 0],
        [16, 2_000 - limits.answerHeadroomMs],
        [16, 0],
      ],
    );
  });

  it("takes everything without a filter, and refuses a wrong one: ILLEGAL_FILTER_EXPRESSION", async () => {
    await pull({ filterExpression: undefined });
    assert.equal(broker.pulled[0]?.filter.kind, "all");
    const filterExpression = { type: 1, expression: "a | b" };
    const answer = await pull({ filterExpression });
    assert.equal(answer.code, Code.ILLEGAL_FILTER_EXPRESSION);
    assert.equal(answer.nextOffset, undefined);
  });

  it("refuses a topic that may not be read and a group that may not consume: FORBIDDEN", async () => {
    await broker.metadata.updateTopic({ name: "t", perm: 2 });
    assert.equal((await pull()).code, Code.FORBIDDEN);
    await broker.metadata.updateTopic({ name: "t", perm: 6 });
    await broker.metadata.updateGroup({ name: "g", consumeEnable: false });
    assert.match((await pull()).text, /may not consume/);
    assert.equal(broker.pulled.length, 0);
  });

  it("makes topic and group when that is allowed", async () => {
    await pull({ group: { name: "fresh" } });
    assert.ok(broker.metadata.topic("t") !== undefined);
    assert.ok(broker.metadata.group("fresh") !== undefined);
    broker = new TestBroker({ flags: { autoCreateTopicEnable: "false" } });
    assert.equal((await pull()).code, Code.TOPIC_NOT_FOUND);
  });

  it("makes its client a member of the group, a pull consumer when it has said nothing else", async () => {
    await pull();
    const [member] = broker.clients.consumers("g");
    assert.equal(member?.type, 4);
    assert.deepEqual(member?.subscriptions, [{ topic: "t", filterType: 1, expression: "a || b" }]);
  });

  it("gives nothing to a client that has said goodbye, and asks on behalf of the pull while it waits", async () => {
    const connection = new TestConnection();
    await pull({}, { connection });
    assert.equal(broker.pulled[0]?.isClientGone(), false);
    broker.clients.terminate("client-1", connection);
    assert.equal(broker.pulled[0]?.isClientGone(), true);
    const answer = await pull({}, { connection });
    assert.deepEqual([answer.code, answer.nextOffset], [Code.MESSAGE_NOT_FOUND, 5]);
    assert.equal(broker.pulled.length, 1);
    await pull();
    broker.isStopping = true;
    assert.equal(broker.pulled[1]?.isClientGone(), true);
  });

  it("answers what the store says, in band", async () => {
    broker.parts.delivery.pulls.pull = () => Promise.reject(new MqError("CORRUPT", "broken"));
    const answer = await pull();
    assert.equal(answer.code, new MqError("CORRUPT", "").status);
    assert.match(answer.text, /broken/);
    const stream = new TestStream();
    await broker.stream(method.path, Uint8Array.of(0xff), stream);
    const [frame] = stream.written;
    assert.equal(frame && method.response.decode(frame).status?.code, Code.BAD_REQUEST);
  });
});
