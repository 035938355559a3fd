import assert from "node:assert/strict";
import { status as grpcStatus } from "@grpc/grpc-js";
import { Producer } from "./producer.ts";
import { type FakeBehaviour, FakeBroker, GrpcFailure, ok } from "./testkit/fake-broker.ts";

const topic = "t";

describe("recalling a message", () => {
  let broker: FakeBroker;
  let producer: Producer;

  async function start(behaviour: FakeBehaviour = {}): Promise<void> {
    broker = await FakeBroker.start(behaviour);
    producer = new Producer({ endpoints: broker.endpoints, topics: [topic] });
    await producer.startup();
  }

  afterEach(async () => {
    await producer.shutdown();
    broker.stop();
  });

  it("gives the id of the message", async () => {
    const asked: unknown[] = [];
    await start({
      recall: ({ topic: resource, recallHandle }) => {
        asked.push([resource?.name, recallHandle]);
        return { status: ok, messageId: "id" };
      },
    });
    assert.equal(await producer.recall(topic, "handle"), "id");
    assert.deepEqual(asked, [[topic, "handle"]]);
  });

  it("fails as the server says, without a second call", async () => {
    let calls = 0;
    await start({
      recall: () => {
        calls += 1;
        return { status: { code: 40_401, message: "too late" } };
      },
    });
    await assert.rejects(producer.recall(topic, "handle"), {
      code: "MESSAGE_NOT_FOUND",
      message: /too late/,
    });
    assert.equal(calls, 1);
  });

  it("waits for a master that takes the call", async () => {
    let calls = 0;
    await start({
      recall: () => {
        calls += 1;
        if (calls < 3) return { status: { code: 50_002, message: "no master" } };
        return { status: ok, messageId: "id" };
      },
    });
    assert.equal(await producer.recall(topic, "handle"), "id");
    assert.equal(calls, 3);
  });

  it("does not ask again when the call may have been taken", async () => {
    let calls = 0;
    await start({
      recall: () => {
        calls += 1;
        throw new GrpcFailure(grpcStatus.DEADLINE_EXCEEDED);
      },
    });
    await assert.rejects(producer.recall(topic, "handle"), { code: "TIMEOUT" });
    assert.equal(calls, 1);
  });

  it("needs a handle and a producer that runs", async () => {
    await start();
    await assert.rejects(producer.recall(topic, ""), { code: "BAD_OPTION" });
    await producer.shutdown();
    await assert.rejects(producer.recall(topic, "handle"), { code: "CLOSED" });
  });
});
