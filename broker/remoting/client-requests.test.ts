import assert from "node:assert/strict";
import { messagingService, type rocketmq } from "@cometmq/proto";
import { type CallOptions, TestBroker, TestConnection } from "./testkit/index.ts";

const { methods } = messagingService;

describe("QueryRoute", () => {
  let broker: TestBroker;

  beforeEach(() => {
    broker = new TestBroker();
  });

  async function route(
    wish: rocketmq.v2.IQueryRouteRequest,
    options?: CallOptions,
  ): Promise<rocketmq.v2.QueryRouteResponse> {
    const { path, request, response } = methods.QueryRoute;
    return response.decode(await broker.unary(path, request.encode(wish), options));
  }

  it("lists all queues of this broker with what every client needs", async () => {
    const endpoints = { scheme: 3, addresses: [{ host: "mq.example.com", port: 9_000 }] };
    const answer = await route({ topic: { name: "t" }, endpoints });
    assert.equal(answer.status?.code, 20_000);
    assert.deepEqual(
      answer.messageQueues.map((queue) => queue.id),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    for (const queue of answer.messageQueues) {
      assert.equal(queue.topic?.name, "t");
      assert.equal(queue.permission, 4);
      assert.deepEqual(queue.acceptMessageTypes, [1]);
      assert.equal(queue.broker?.name, "broker-a");
      assert.equal(queue.broker?.id, 0);
      assert.equal(queue.broker?.endpoints?.scheme, 3);
      const [address, ...more] = queue.broker?.endpoints?.addresses ?? [];
      assert.equal(`${address?.host}:${address?.port}`, "mq.example.com:9000");
      assert.equal(more.length, 0);
    }
    assert.deepEqual(await route({ topic: { name: "t" }, endpoints }), answer);
  });

  it("hands out brokerIP1 when it is set", async () => {
    broker = new TestBroker({ flags: { brokerIP1: "192.168.7.7" } });
    const endpoints = { scheme: 3, addresses: [{ host: "lb", port: 1 }] };
    const answer = await route({ topic: { name: "t" }, endpoints });
    const [address] = answer.messageQueues[0]?.broker?.endpoints?.addresses ?? [];
    assert.equal(`${address?.host}:${address?.port}`, "192.168.7.7:8081");
  });

  async function dialled(authority: string): Promise<string | undefined> {
    const answer = await route({ topic: { name: "t" } }, { authority });
    return answer.messageQueues[0]?.broker?.endpoints?.addresses[0]?.host;
  }

  it("uses the authority of clients that tell no access point, and our end for Java", async () => {
    assert.equal(await dialled("10.9.9.9:8081"), "10.9.9.9");
    assert.equal(await dialled("IPAuthority"), "10.0.0.1");
  });

  it("creates a topic when allowed, with defaultTopicQueueNums queues", async () => {
    broker = new TestBroker({ flags: { defaultTopicQueueNums: "3" } });
    assert.equal((await route({ topic: { name: "new" } })).messageQueues.length, 3);
    assert.equal(broker.metadata.topic("new")?.writeQueueNums, 3);
  });

  it("answers TOPIC_NOT_FOUND, ILLEGAL_TOPIC and CLIENT_ID_REQUIRED", async () => {
    broker = new TestBroker({ flags: { autoCreateTopicEnable: "false" } });
    const missing = await route({ topic: { name: "t" } });
    assert.equal(missing.status?.code, 40_402);
    assert.match(
      missing.status?.message ?? "",
      /^CODE: 17 {2}DESC: No topic route info in name server for the topic: t\b/,
    );
    assert.equal((await route({ topic: { name: "a b" } })).status?.code, 40_002);
    assert.equal((await route({})).status?.code, 40_002);
    const anonymous = await route({ topic: { name: "t" } }, { headers: {} });
    assert.equal(anonymous.status?.code, 40_017);
  });

  it("never creates a dead-letter topic", async () => {
    assert.equal((await route({ topic: { name: "%DLQ%g" } })).status?.code, 40_402);
  });
});

describe("QueryAssignment", () => {
  let broker: TestBroker;

  beforeEach(() => {
    broker = new TestBroker();
  });

  async function assignment(
    wish: rocketmq.v2.IQueryAssignmentRequest,
  ): Promise<rocketmq.v2.QueryAssignmentResponse> {
    const { path, request, response } = methods.QueryAssignment;
    return response.decode(await broker.unary(path, request.encode(wish)));
  }
  const wish = { topic: { name: "t" }, group: { name: "g" } };

  it("gives one entry for all queues to a group without order, the same each time", async () => {
    const answer = await assignment(wish);
    assert.equal(answer.status?.code, 20_000);
    assert.deepEqual(
      answer.assignments.map(({ messageQueue }) => [messageQueue?.id, messageQueue?.permission]),
      [[-1, 4]],
    );
    assert.deepEqual(answer.assignments[0]?.messageQueue?.acceptMessageTypes, []);
    assert.equal(answer.assignments[0]?.messageQueue?.topic?.name, "t");
    assert.deepEqual(await assignment(wish), answer);
  });

  it("gives one entry a queue to a group with order", async () => {
    await broker.metadata.updateGroup({ name: "g", consumeMessageOrderly: true });
    await broker.metadata.updateTopic({ name: "t", readQueueNums: 2, writeQueueNums: 2 });
    const answer = await assignment(wish);
    assert.deepEqual(
      answer.assignments.map(({ messageQueue }) => messageQueue?.id),
      [0, 1],
    );
  });

  it("refuses a topic that is not readable: FORBIDDEN", async () => {
    await broker.metadata.updateTopic({ name: "t", perm: 2 });
    assert.equal((await assignment(wish)).status?.code, 40_300);
  });

  it("checks the names", async () => {
    assert.equal((await assignment({ group: { name: "g" } })).status?.code, 40_002);
    assert.equal((await assignment({ topic: { name: "t" } })).status?.code, 40_003);
  });
});

describe("Heartbeat and NotifyClientTermination", () => {
  let broker: TestBroker;

  beforeEach(() => {
    broker = new TestBroker();
  });

  async function beat(
    wish: rocketmq.v2.IHeartbeatRequest,
    options?: CallOptions,
  ): Promise<number | undefined> {
    const { path, request, response } = methods.Heartbeat;
    const answer = await broker.unary(path, request.encode(wish), options);
    return response.decode(answer).status?.code;
  }

  async function goodbye(
    wish: rocketmq.v2.INotifyClientTerminationRequest,
    options?: CallOptions,
  ): Promise<number | undefined> {
    const { path, request, response } = methods.NotifyClientTermination;
    const answer = await broker.unary(path, request.encode(wish), options);
    return response.decode(answer).status?.code;
  }

  it("knows a client by its heartbeat alone", async () => {
    assert.equal(await beat({ clientType: 2, group: { name: "g" } }), 20_000);
    assert.equal(broker.clients.consumers("g").length, 1);
    assert.equal(await beat({ clientType: 1 }, { headers: { "x-mq-client-id": "p" } }), 20_000);
    assert.equal(broker.clients.producers().length, 1);
  });

  it("refuses an unknown type, a wrong group and Go's anonymous probe, in band", async () => {
    assert.equal(await beat({}), 40_015);
    assert.equal(await beat({ clientType: 7, group: { name: "g" } }), 40_015);
    assert.equal(await beat({ clientType: 2, group: { name: "a b" } }), 40_003);
    assert.equal(await beat({}, { headers: {} }), 40_017);
  });

  it("ends the polls of a client that goes, then forgets it", async () => {
    const connection = new TestConnection();
    await beat({ clientType: 2, group: { name: "g" } }, { connection });
    assert.equal(await goodbye({ group: { name: "g" } }, { connection }), 20_000);
    assert.deepEqual(broker.calls, ["left client-1", "gone client-1 g"]);
    assert.equal(broker.clients.count, 0);
    assert.equal(broker.clients.isTerminated("client-1", connection), true);
  });

  it("takes the goodbye of a producer, and of somebody it does not know", async () => {
    assert.equal(await goodbye({ group: { name: "" } }), 20_000);
    assert.equal(await goodbye({}), 20_000);
  });
});
