import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import type { Orphan } from "../transactions/index.ts";
import { messageFlags } from "./message-flags.ts";
import { orphanedTransactions } from "./orphaned-transactions.ts";
import { TestBidi, TestBroker } from "./testkit/index.ts";

const method = messagingService.methods.Telemetry;

function orphanOf(text: string, topic = "t"): Orphan {
  const systemProperties = rocketmq.v2.SystemProperties.encode({
    messageId: `id of ${text}`,
    tag: "red",
    keys: ["k"],
    messageType: 4,
    bodyEncoding: 1,
    bornHost: "host",
  }).finish();
  const userProperties = rocketmq.v2.Message.encode({ userProperties: { color: "red" } }).finish();
  const record: Partial<Orphan["record"]> = {
    topic,
    flags: messageFlags.bodyDigestMissing,
    systemProperties,
    userProperties,
    body: Buffer.from(text),
    storeTimeMs: 1_700_000_000_123,
  };
  return { topic, transactionId: `transaction of ${text}`, record: record as Orphan["record"] };
}

describe("questions about orphaned transactions", () => {
  let broker: TestBroker;
  let ends: (() => void)[] = [];

  beforeEach(() => {
    broker = new TestBroker();
  });

  afterEach(() => {
    for (const end of ends) end();
    ends = [];
  });

  async function producer(clientId: string, ...topics: string[]): Promise<TestBidi> {
    const stream = new TestBidi({
      headers: { "x-mq-client-id": clientId, "x-mq-language": "JAVA" },
    });
    const handler = broker.methods.get(method.path);
    assert.equal(handler?.kind, "bidi");
    const done = handler.handle(stream);
    ends.push(() => stream.hangUp());
    const publishing = { topics: topics.map((name) => ({ name })) };
    stream.say(method.request.encode({ settings: { clientType: 1, publishing } }));
    await new Promise(setImmediate);
    void done;
    return stream;
  }

  function questions(stream: TestBidi): rocketmq.v2.IRecoverOrphanedTransactionCommand[] {
    return stream.written.flatMap((bytes) => {
      const { recoverOrphanedTransactionCommand: command } = method.response.decode(bytes);
      return command === null || command === undefined ? [] : [command];
    });
  }

  it("go to a producer of the topic, with all of the message", async () => {
    const stream = await producer("p", "other", "t");
    const producers = orphanedTransactions(broker.clients);
    assert.equal(producers.canAsk("t"), true);
    assert.equal(producers.ask(orphanOf("a")), true);
    const [question] = questions(stream);
    assert.equal(question?.transactionId, "transaction of a");
    const { topic, userProperties, systemProperties: system, body } = question?.message ?? {};
    assert.deepEqual([topic?.name, userProperties], ["t", { color: "red" }]);
    assert.equal(Buffer.from(body ?? []).toString(), "a");
    assert.deepEqual([system?.messageId, system?.tag, system?.keys], ["id of a", "red", ["k"]]);
    assert.deepEqual(
      [system?.bodyDigest?.type, system?.bodyDigest?.checksum],
      [2, "0CC175B9C0F1B6A831C399E269772661"],
    );
    assert.deepEqual([system?.deliveryAttempt, system?.messageType], [1, 4]);
  });

  it("go to each producer in its turn, and to none of another topic", async () => {
    const streams = [await producer("a", "t"), await producer("b", "t"), await producer("c", "u")];
    const producers = orphanedTransactions(broker.clients);
    for (let round = 0; round < 4; round++) assert.ok(producers.ask(orphanOf(`m${round}`)));
    assert.deepEqual(
      streams.map((stream) => questions(stream).length),
      [2, 2, 0],
    );
  });

  it("go to nobody without a producer, or without its stream", async () => {
    const producers = orphanedTransactions(broker.clients);
    assert.deepEqual([producers.canAsk("t"), producers.ask(orphanOf("a"))], [false, false]);
    const stream = await producer("a", "t");
    stream.hangUp();
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    assert.deepEqual([producers.canAsk("t"), producers.ask(orphanOf("a"))], [false, false]);
  });

  it("go past a producer that does not take what it is sent", async () => {
    const [slow, fast] = [await producer("slow", "t"), await producer("fast", "t")];
    slow.write = (bytes) => {
      slow.written.push(bytes);
      return false;
    };
    slow.drained = () => new Promise(() => {});
    const producers = orphanedTransactions(broker.clients);
    for (let round = 0; round < 5; round++) assert.ok(producers.ask(orphanOf(`m${round}`)));
    assert.deepEqual([questions(slow).length, questions(fast).length], [1, 4]);
  });
});
