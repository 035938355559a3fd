import assert from "node:assert/strict";
import { messagingService, msOfDuration, type rocketmq } from "@cometmq/proto";
import { limits } from "../../base/index.ts";
import { RpcError } from "../../transport/index.ts";
import { type CallOptions, TestBidi, TestBroker } from "./testkit/index.ts";

const method = messagingService.methods.Telemetry;

const producer: rocketmq.v2.ISettings = {
  clientType: 1,
  requestTimeout: { seconds: 3 },
  publishing: { topics: [{ name: "t" }] },
};
const consumer: rocketmq.v2.ISettings = {
  clientType: 2,
  subscription: {
    group: { name: "g" },
    subscriptions: [{ topic: { name: "t" }, expression: { type: 1, expression: "*" } }],
  },
};

/** A telemetry stream of a client. */
class Conversation {
  readonly stream: TestBidi;
  readonly done: Promise<unknown>;

  constructor(broker: TestBroker, options?: CallOptions) {
    this.stream = new TestBidi(options);
    const handler = broker.methods.get(method.path);
    assert.equal(handler?.kind, "bidi");
    assert.equal(handler.ignoreDeadline, true);
    this.done = handler.handle(this.stream).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  async say(command: rocketmq.v2.ITelemetryCommand): Promise<void> {
    this.stream.say(method.request.encode(command));
    await new Promise(setImmediate);
  }

  get replies(): rocketmq.v2.TelemetryCommand[] {
    return this.stream.written.map((bytes) => method.response.decode(bytes));
  }
}

describe("Telemetry", () => {
  let broker: TestBroker;

  beforeEach(() => {
    broker = new TestBroker();
    broker.clients.start();
  });

  afterEach(() => broker.clients.close());

  it("answers a producer's settings at once, with status OK", async () => {
    const conversation = new Conversation(broker);
    await conversation.say({ settings: producer });
    const [reply, ...more] = conversation.replies;
    assert.equal(more.length, 0);
    assert.equal(reply?.status?.code, 20_000);
    const settings = reply?.settings;
    assert.equal(settings?.clientType, 1);
    assert.equal(settings?.publishing?.topics[0]?.name, "t");
    assert.equal(settings?.publishing?.maxBodySize, 4_194_304);
    assert.equal(settings?.publishing?.validateMessageType, true);
    assert.equal(msOfDuration(settings?.backoffPolicy?.exponentialBackoff?.initial ?? {}), 10);
    assert.equal(broker.clients.producers("t").length, 1);
  });

  it("answers a consumer's settings from its group, created when allowed", async () => {
    const conversation = new Conversation(broker);
    await conversation.say({ settings: consumer });
    const settings = conversation.replies[0]?.settings;
    assert.equal(settings?.subscription?.receiveBatchSize, 32);
    assert.equal(settings?.subscription?.fifo, false);
    assert.equal(settings?.backoffPolicy?.maxAttempts, 17);
    assert.ok(settings?.backoffPolicy?.customizedBackoff);
    assert.ok(broker.metadata.group("g"));
    assert.equal(broker.clients.consumers("g").length, 1);
  });

  it("makes a group that consumes in order when all its topics are FIFO, and says so", async () => {
    for (const name of ["one", "other"]) {
      await broker.metadata.updateTopic({ name, messageType: "FIFO" });
    }
    const isOrdered = async (group: string, ...topics: readonly string[]): Promise<unknown> => {
      const conversation = new Conversation(broker);
      const subscriptions = topics.map((name) => ({ topic: { name } }));
      const subscription = { group: { name: group }, subscriptions };
      await conversation.say({ settings: { ...consumer, subscription } });
      return conversation.replies[0]?.settings?.subscription?.fifo;
    };
    assert.equal(await isOrdered("both", "one", "other"), true);
    assert.equal(await isOrdered("mixed", "one", "t"), false);
    assert.equal(await isOrdered("mixed", "one"), false, "it is there already");
  });

  it("repeats the first settings to Node.js, and only to it", async () => {
    const java = new Conversation(broker);
    const headers = { "x-mq-client-id": "node", "x-mq-language": "HTTP" };
    const node = new Conversation(broker, { headers });
    await java.say({ settings: consumer });
    await node.say({ settings: consumer });
    broker.clock.pass(999);
    assert.equal(node.replies.length, 1);
    broker.clock.pass(1);
    assert.equal(java.replies.length, 1);
    assert.equal(node.replies.length, 2);
    assert.deepEqual(node.replies[1], node.replies[0]);
    assert.ok(node.replies[0]?.settings?.backoffPolicy?.exponentialBackoff);
    node.stream.hangUp();
    await node.done;
    broker.clock.pass(60_000);
    assert.equal(node.replies.length, 2);
  });

  it("takes new settings on the same stream", async () => {
    const conversation = new Conversation(broker);
    await conversation.say({ settings: producer });
    const publishing = { topics: [{ name: "u" }] };
    await conversation.say({ settings: { ...producer, publishing } });
    assert.equal(conversation.replies.length, 2);
    assert.deepEqual(broker.clients.producers()[0]?.topics, ["u"]);
  });

  it("passes over answers to questions it has not asked", async () => {
    const conversation = new Conversation(broker);
    await conversation.say({ threadStackTrace: { nonce: "n" } });
    await conversation.say({});
    await conversation.say({ settings: producer });
    assert.equal(conversation.replies.length, 1);
  });

  it("serves two streams of one client, and keeps it while one is left", async () => {
    const one = new Conversation(broker);
    const two = new Conversation(broker);
    await one.say({ settings: consumer });
    await two.say({ settings: consumer });
    assert.equal(broker.clients.get("client-1")?.sessions.size, 2);
    one.stream.hangUp();
    assert.equal(await one.done, undefined);
    assert.equal(broker.clients.get("client-1")?.sessions.size, 1);
    assert.equal(broker.clients.consumers("g").length, 1);
  });

  it("keeps a client that has lost its stream and goes on sending heartbeats", async () => {
    const conversation = new Conversation(broker);
    await conversation.say({ settings: consumer });
    conversation.stream.hangUp();
    await conversation.done;
    const { connection } = conversation.stream;
    for (let beat = 0; beat < 60; beat++) {
      broker.clock.pass(10_000);
      broker.clients.heartbeat({ id: "client-1", language: "PYTHON", version: "" }, connection, {
        type: 2,
        group: "g",
      });
    }
    assert.equal(broker.clients.consumers("g").length, 1);
    assert.deepEqual(broker.calls, []);
  });

  it("ends the stream of a client that falls silent", async () => {
    const conversation = new Conversation(broker);
    await conversation.say({ settings: consumer });
    broker.clock.pass(limits.clientSilenceMaxMs + 1_000);
    assert.equal(await conversation.done, undefined);
    assert.deepEqual(broker.calls, ["gone client-1 g"]);
  });

  async function refused(
    settings: rocketmq.v2.ISettings,
    code: number,
    words: RegExp,
  ): Promise<void> {
    const conversation = new Conversation(broker);
    await conversation.say({ settings });
    const error = await conversation.done;
    assert.ok(error instanceof RpcError);
    assert.equal(error.status, 3);
    assert.match(error.message, words);
    const [reply] = conversation.replies;
    assert.equal(reply?.command, undefined);
    assert.equal(reply?.status?.code, code);
    assert.match(reply?.status?.message ?? "", words);
  }

  it("says what is wrong with settings and ends the stream with INVALID_ARGUMENT", async () => {
    await refused({ clientType: 1 }, 40_000, /neither/);
    await refused({ clientType: 9, publishing: {} }, 40_015, /client type 9/);
    await refused({ clientType: 1, publishing: { topics: [{ name: "a b" }] } }, 40_002, /a b/);
    const group = { name: "a b" };
    await refused({ clientType: 2, subscription: { group } }, 40_003, /a b/);
    const clientProperties = { "rocketmq.x": "y" };
    await refused({ clientType: 1, publishing: {}, clientProperties }, 40_021, /reserved/);
  });

  it("refuses a filter that no receive could use, as receives do: ILLEGAL_FILTER_EXPRESSION", async () => {
    const refusedFilter = (type: number, expression: string, words: RegExp): Promise<void> => {
      const entry = { topic: { name: "t" }, expression: { type, expression } };
      const good = { topic: { name: "u" }, expression: { type: 2, expression: "a > 1" } };
      const subscription = { group: { name: "g" }, subscriptions: [good, entry] };
      return refused({ clientType: 2, subscription }, 40_010, words);
    };
    await refusedFilter(2, "a > 'x'", /at character 5: > takes numbers and properties/);
    await refusedFilter(2, "a = 1 AND", /at character 10: expected a property or a value/);
    await refusedFilter(2, "", /at character 1: expected a property or a value, found the end/);
    await refusedFilter(1, "a|b", /a\|b/);
    await refusedFilter(1, "x".repeat(16_385), /at most 16384/);
    await refusedFilter(3, "a", /filter type 3 is unknown/);
    const long = { type: 2, expression: `a = '${"x".repeat(16_000)}'` };
    const subscriptions = Array.from({ length: 17 }, () => ({
      topic: { name: "t" },
      expression: long,
    }));
    const subscription = { group: { name: "g" }, subscriptions };
    await refused({ clientType: 2, subscription }, 40_010, /in all, at most 262144/);
    assert.deepEqual(broker.clients.consumers("g"), []);
    assert.equal(broker.metadata.group("g"), undefined);
  });

  it("says that a group does not exist when it may not create it", async () => {
    broker = new TestBroker({ flags: { autoCreateSubscriptionGroup: "false" } });
    await refused(consumer, 40_403, /group g does not exist/);
  });

  it("leaves Node.js its stream when it says what is wrong", async () => {
    const headers = { "x-mq-client-id": "node", "x-mq-language": "HTTP" };
    const conversation = new Conversation(broker, { headers });
    await conversation.say({ settings: { clientType: 1 } });
    assert.equal(conversation.replies[0]?.status?.code, 40_000);
    await conversation.say({ settings: producer });
    assert.equal(conversation.replies[1]?.status?.code, 20_000);
  });

  it("refuses a stream without client id", async () => {
    const conversation = new Conversation(broker, { headers: {} });
    assert.match(String(await conversation.done), /x-mq-client-id/);
  });

  it("ends with broken bytes", async () => {
    const conversation = new Conversation(broker);
    conversation.stream.say(Uint8Array.of(10, 200, 1));
    assert.ok((await conversation.done) instanceof RpcError);
  });
});
