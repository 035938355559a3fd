import assert from "node:assert/strict";
import { endpointsOf } from "./endpoints.ts";
import type { Route } from "./route.ts";
import { holdersOf, queueKey, queuesText, readableQueues, type TopicQueue } from "./topic-queue.ts";

const queue = (brokerName: string, queueId: number): TopicQueue => ({
  topic: "t",
  brokerName,
  queueId,
});

const route: Route = {
  topic: "t",
  brokers: [
    { name: "b", id: 0, readable: [0, 1, 2] },
    { name: "a", id: 0, readable: [10, 9] },
    { name: "a", id: 1, readable: [9, 10, 11] },
    { name: "c", id: 0, readable: [] },
  ].map(({ name, id, readable }, index) => ({
    name,
    id,
    endpoints: endpointsOf([{ host: "127.0.0.1", port: 1_000 + index }]),
    readableQueueIds: readable,
    writableQueueIds: [],
    acceptMessageTypes: [],
  })),
  groupQueues: [],
  awayNames: [],
};

describe("queues of a topic", () => {
  it("are those that can be read at masters, in one order for everybody", () => {
    assert.deepEqual(readableQueues(route), [
      queue("a", 9),
      queue("a", 10),
      queue("b", 0),
      queue("b", 1),
      queue("b", 2),
    ]);
  });

  it("are held by the broker of that name", () => {
    const holders = holdersOf(queue("b", 1))(route);
    assert.deepEqual(
      holders.map(({ endpoints }) => endpoints.facade),
      ["127.0.0.1:1000"],
    );
    assert.deepEqual(holdersOf(queue("d", 1))(route), []);
  });

  it("have a key each", () => {
    assert.equal(new Set(readableQueues(route).map(queueKey)).size, 5);
  });

  it("are short as a text", () => {
    assert.equal(queuesText([]), "");
    assert.equal(
      queuesText([3, 1, 2, 7, 5, 0].map((id) => queue("a b:c", id)).concat(queue("z", 4))),
      "a%20b%3Ac:0-3,5,7;z:4",
    );
  });
});
