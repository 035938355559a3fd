import assert from "node:assert/strict";
import * as fc from "fast-check";
import { dialledHost, endpointsOf, messageQueues, type RegisteredTopic } from "./index.ts";

const broker = { name: "broker-a", id: 0, host: "10.0.0.1", port: 8081 };

function topic(parts: Partial<RegisteredTopic>): RegisteredTopic {
  const plain = {
    readQueueNums: 2,
    writeQueueNums: 2,
    perm: 6,
    messageType: "NORMAL",
    order: false,
  };
  return { name: "t", ...plain, ...parts };
}

function shape(parts: Partial<RegisteredTopic>): [number, number][] {
  return messageQueues(topic(parts), broker).map((queue) => [queue.id, queue.permission]);
}

function types(messageType: string): number[] | undefined {
  return messageQueues(topic({ messageType }), broker)[0]?.acceptMessageTypes;
}

describe("message queues of a route", () => {
  it("sets every field the clients read", () => {
    assert.deepEqual(messageQueues(topic({ readQueueNums: 1, writeQueueNums: 1 }), broker), [
      {
        topic: { resourceNamespace: "", name: "t" },
        id: 0,
        permission: 4,
        broker: {
          name: "broker-a",
          id: 0,
          endpoints: { scheme: 1, addresses: [{ host: "10.0.0.1", port: 8081 }] },
        },
        acceptMessageTypes: [1],
      },
    ]);
  });

  it("lists read-write queues first, then read-only or write-only ones", () => {
    assert.deepEqual(shape({ readQueueNums: 3, writeQueueNums: 1 }), [
      [0, 4],
      [1, 2],
      [2, 2],
    ]);
    assert.deepEqual(shape({ readQueueNums: 1, writeQueueNums: 2 }), [
      [0, 4],
      [1, 3],
    ]);
  });

  it("follows the permission of the topic", () => {
    assert.deepEqual(shape({ perm: 4 }), [
      [0, 2],
      [1, 2],
    ]);
    assert.deepEqual(shape({ perm: 2 }), [
      [0, 3],
      [1, 3],
    ]);
    assert.deepEqual(shape({ perm: 0 }), [
      [0, 1],
      [1, 1],
    ]);
    assert.deepEqual(shape({ perm: 0, readQueueNums: 0, writeQueueNums: 0 }), [[0, 1]]);
  });

  it("says which message types the topic accepts", () => {
    assert.deepEqual(types("FIFO"), [2]);
    assert.deepEqual(types("MIXED"), [1, 2, 3, 4]);
    assert.deepEqual(types("unheard of"), [1]);
  });

  it("never leaves a permission unset, ids are dense, the rest keeps to the numbers", () => {
    const count = fc.integer({ min: 0, max: 20 });
    fc.assert(
      fc.property(
        count,
        count,
        fc.integer({ min: 0, max: 7 }),
        (readQueueNums, writeQueueNums, perm) => {
          const queues = messageQueues(topic({ readQueueNums, writeQueueNums, perm }), broker);
          assert.deepEqual(
            queues.map((queue) => queue.id),
            queues.map((_queue, index) => index),
          );
          const having = (...kinds: number[]): number =>
            queues.filter((queue) => kinds.includes(queue.permission)).length;
          assert.equal(having(2, 4), (perm & 4) !== 0 ? readQueueNums : 0);
          assert.equal(having(3, 4), (perm & 2) !== 0 ? writeQueueNums : 0);
        },
      ),
    );
  });

  it("chooses the address scheme", () => {
    assert.equal(endpointsOf("10.0.0.1", 1).scheme, 1);
    assert.deepEqual(endpointsOf("[::1]", 1), { scheme: 2, addresses: [{ host: "::1", port: 1 }] });
    assert.deepEqual(endpointsOf("::ffff:10.0.0.1", 1).addresses, [{ host: "10.0.0.1", port: 1 }]);
    assert.equal(endpointsOf("broker.example", 1).scheme, 3);
  });

  it("finds the dialled host in an authority", () => {
    assert.equal(dialledHost("broker:8081"), "broker");
    assert.equal(dialledHost("[::1]:8081"), "::1");
    assert.equal(dialledHost("IPAuthority"), undefined);
    assert.equal(dialledHost(""), undefined);
  });
});
