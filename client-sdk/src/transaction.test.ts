// The message of a transaction on its way to a broker: sent twice it would be two transactions.
import assert from "node:assert/strict";
import { status as grpcStatus } from "@grpc/grpc-js";
import { Producer } from "./producer.ts";
import { type FakeBehaviour, FakeBroker, GrpcFailure } from "./testkit/fake-broker.ts";
import { TransactionResolution } from "./transaction.ts";

const topic = "orders";
const half = { topic, body: Buffer.from("hello") };

describe("the message of a transaction", () => {
  let brokers: FakeBroker[] = [];
  let producer: Producer;

  /** Two brokers that behave so, and a producer that knows both. */
  async function start(send: NonNullable<FakeBehaviour["send"]>): Promise<void> {
    const names = await FakeBroker.start({ nameServer: true });
    const [a, b] = [
      await FakeBroker.start({ send }),
      await FakeBroker.start({ send }, { name: "fake-b" }),
    ];
    brokers = [a, b, names];
    for (const broker of brokers) broker.messageTypes = [4];
    names.routeTo = [a, b].map(({ name, port }) => ({ name, port }));
    const checker = { check: () => TransactionResolution.COMMIT };
    producer = new Producer({ endpoints: names.endpoints, topics: [topic], checker });
    await producer.startup();
  }

  afterEach(async () => {
    await producer.shutdown();
    for (const broker of brokers) broker.stop();
  });

  const sendCount = (): number => brokers.reduce((sum, { batches }) => sum + batches.length, 0);

  it("is not sent again when it may be stored", async () => {
    await start(() => {
      throw new GrpcFailure(grpcStatus.DEADLINE_EXCEEDED);
    });
    await assert.rejects(producer.send(half, producer.beginTransaction()), { code: "TIMEOUT" });
    assert.equal(sendCount(), 1);
  });

  it("is not sent to another broker when a master has it and no slave", async () => {
    const status = { code: 50_002, message: "no slave" };
    await start((_request, usual) => ({
      status,
      entries: (usual.entries ?? []).map((entry) => ({ ...entry, status })),
    }));
    const sending = producer.send(half, producer.beginTransaction());
    await assert.rejects(sending, { code: "HA_NOT_AVAILABLE", stored: true });
    assert.equal(sendCount(), 1);
  });

  it("is sent again while nobody takes it, and its transaction may have another one when it failed", async () => {
    let calls = 0;
    await start((_request, usual) => {
      calls += 1;
      if (calls === 1) throw new GrpcFailure(grpcStatus.DEADLINE_EXCEEDED);
      if (calls < 4) return { status: { code: 50_002, message: "no master" }, entries: [] };
      return usual;
    });
    const transaction = producer.beginTransaction();
    await assert.rejects(producer.send(half, transaction), { code: "TIMEOUT" });
    await assert.rejects(transaction.commit(), { code: "BAD_OPTION" });
    const receipt = await producer.send(half, transaction);
    assert.equal(receipt.transactionId, receipt.messageId);
    assert.equal(calls, 4);
  });
});
