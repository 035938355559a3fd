// Several masters behind several NameServers: any broker is a complete access point, whoever holds the messages.
import assert from "node:assert/strict";
import { Code, type rocketmq } from "@cometmq/proto";
import { type ILogger, Producer, SimpleConsumer } from "rocketmq-client-nodejs";
import { ClusterProcesses } from "./cluster-processes.ts";
import { messagingService, type RawClient, type Received } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const quiet: ILogger = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };
const group = { name: "g" };

type Message = rocketmq.v2.Message;

describe("a cluster of three masters and two NameServers", function () {
  this.timeout(60_000);
  let cluster: ClusterProcesses;
  let topicCount = 0;
  let messageCount = 0;

  before(async () => {
    cluster = await ClusterProcesses.start({ nameServers: 2, masters: 3 });
  });

  after(() => cluster.close());

  /** A topic on all masters. */
  async function newTopic(...args: readonly string[]): Promise<string> {
    topicCount += 1;
    const topic = `t${topicCount}`;
    await cluster.createTopic(topic, "-r", "2", "-w", "2", ...args);
    return topic;
  }

  async function send(client: RawClient, topic: string, body: string): Promise<number> {
    messageCount += 1;
    const answer = await client.call(methods.SendMessage, {
      messages: [
        {
          topic: { name: topic },
          systemProperties: { messageId: `c-${messageCount}`, messageType: 1, bodyEncoding: 1 },
          body: Buffer.from(body),
        },
      ],
    });
    return answer.status?.code ?? 0;
  }

  function receive(
    client: RawClient,
    topic: string,
    broker: string,
    wish: rocketmq.v2.IReceiveMessageRequest = {},
  ): { readonly done: Promise<Received>; cancel(): void } {
    return client.receive({
      group,
      messageQueue: { topic: { name: topic }, id: -1, broker: { name: broker } },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 32,
      invisibleDuration: { seconds: 30 },
      longPollingTimeout: { seconds: 5 },
      ...wish,
    });
  }

  const bodies = (messages: readonly Message[]): string[] =>
    messages.map(({ body }) => Buffer.from(body).toString()).sort();

  const handleOf = (message: Message | undefined): string =>
    message?.systemProperties?.receiptHandle ?? "";

  it("every broker gives the same route: masters by name, id 0, addresses that can be dialled", async () => {
    const topic = await newTopic();
    const routes = await Promise.all(
      cluster.masters.map(async ({ address }) => {
        const wish = { topic: { name: topic } };
        const route = await cluster.client(address).call(methods.QueryRoute, wish);
        return route.messageQueues.map(({ id, permission, broker }) => [
          broker?.name,
          broker?.id,
          id,
          permission,
          broker?.endpoints?.addresses.map(({ host, port }) => `${host}:${port}`).join(),
        ]);
      }),
    );
    const wanted = cluster.masters.flatMap(({ name, address }) =>
      [0, 1].map((id) => [name, 0, id, 4, address]),
    );
    for (const route of routes) assert.deepEqual(route, wanted);
    const { assignments } = await cluster
      .client(cluster.addressOf("m2"))
      .call(methods.QueryAssignment, { topic: { name: topic }, group });
    assert.deepEqual(
      assignments.map(({ messageQueue }) => [messageQueue?.broker?.name, messageQueue?.id]),
      [
        ["m1", -1],
        ["m2", -1],
        ["m3", -1],
      ],
    );
  });

  it("a client that uses one address for everything gets, acknowledges and delays what other brokers hold", async () => {
    const topic = await newTopic();
    for (const { name, address } of cluster.masters) {
      assert.equal(await send(cluster.client(address), topic, name), Code.OK);
    }
    const one = cluster.client(cluster.addressOf("m1"), "one@address");
    const got = await Promise.all(
      cluster.masters.map(async ({ name }) => (await receive(one, topic, name).done).messages),
    );
    assert.deepEqual(got.map(bodies), [["m1"], ["m2"], ["m3"]]);
    const [first, second, third] = got.map(([message]) => message);
    // One request for the messages of three brokers: results in its order.
    const entries = [third, first, second].map((message) => ({
      messageId: message?.systemProperties?.messageId ?? "",
      receiptHandle: handleOf(message),
    }));
    const wish = { group, topic: { name: topic }, entries };
    const acked = await one.call(methods.AckMessage, wish);
    assert.equal(acked.status?.code, Code.OK);
    assert.deepEqual(
      acked.entries.map(({ receiptHandle, status }) => [receiptHandle, status?.code]),
      entries.map(({ receiptHandle }) => [receiptHandle, Code.OK]),
    );
    // Its authentication code stands before the name of the broker at its end.
    const genuine = handleOf(second);
    const altered = genuine[58] === "A" ? "B" : "A";
    const receiptHandle = genuine.slice(0, 58) + altered + genuine.slice(59);
    const forged = { messageId: "x", receiptHandle };
    const mixed = await one.call(methods.AckMessage, { ...wish, entries: [...entries, forged] });
    assert.equal(mixed.status?.code, Code.MULTIPLE_RESULTS);
    assert.deepEqual(
      mixed.entries.map(({ status }) => status?.code),
      [Code.OK, Code.OK, Code.OK, Code.INVALID_RECEIPT_HANDLE],
    );
  });

  it("a message of another broker is nacked and moved to the dead letters through the one address", async () => {
    const topic = await newTopic();
    assert.equal(await send(cluster.client(cluster.addressOf("m3")), topic, "x"), Code.OK);
    const one = cluster.client(cluster.addressOf("m1"), "one@nack");
    const { messages } = await receive(one, topic, "m3").done;
    const changed = await one.call(methods.ChangeInvisibleDuration, {
      group,
      topic: { name: topic },
      receiptHandle: handleOf(messages[0]),
      invisibleDuration: { seconds: 0 },
      messageId: "x",
    });
    assert.equal(changed.status?.code, Code.OK);
    assert.notEqual(changed.receiptHandle, handleOf(messages[0]));
    const [again] = (await receive(one, topic, "m3").done).messages;
    assert.equal(again?.systemProperties?.deliveryAttempt, 2);
    // As C++ sends it: without a handle.
    const dead = await one.call(methods.ForwardMessageToDeadLetterQueue, {
      group,
      topic: { name: topic },
      messageId: again?.systemProperties?.messageId ?? "",
      deliveryAttempt: 2,
      maxDeliveryAttempts: 2,
    });
    assert.equal(dead.status?.code, Code.OK, dead.status?.message);
    const left = await receive(one, "%DLQ%g", "m3").done;
    assert.deepEqual(bodies(left.messages), ["x"]);
    const nobodys = await one.call(methods.ForwardMessageToDeadLetterQueue, {
      group,
      topic: { name: topic },
      messageId: "never sent",
    });
    assert.equal(nobodys.status?.code, Code.INVALID_RECEIPT_HANDLE);
  });

  it("a held poll waits at the owner, is answered by a send, and is ended there when the client ends it", async () => {
    const topic = await newTopic();
    const one = cluster.client(cluster.addressOf("m1"), "one@held");
    const cancelled = receive(one, topic, "m2", { longPollingTimeout: { seconds: 20 } });
    const held = async (): Promise<number> =>
      Number(/heldPolls: (\d+)/.exec(await heldAt("m2"))?.[1] ?? "0");
    await until("the poll at m2", async () => (await held()) === 1);
    cancelled.cancel();
    await assert.rejects(cancelled.done, /CANCELLED/);
    await until("its end at m2", async () => (await held()) === 0);
    const waiting = receive(one, topic, "m2", { longPollingTimeout: { seconds: 20 } });
    await until("the poll at m2", async () => (await held()) === 1);
    assert.equal(await send(cluster.client(cluster.addressOf("m2")), topic, "woken"), Code.OK);
    assert.deepEqual(bodies((await waiting.done).messages), ["woken"]);
    const leaving = receive(one, topic, "m2", { longPollingTimeout: { seconds: 20 } });
    await until("the poll at m2", async () => (await held()) === 1);
    const goodbye = await one.call(methods.NotifyClientTermination, { group });
    assert.equal(goodbye.status?.code, Code.OK);
    assert.equal((await leaving.done).code, Code.MESSAGE_NOT_FOUND);
  });

  async function heldAt(name: string): Promise<string> {
    const member = cluster.masters.find((master) => master.name === name);
    const { metrics } = (await member?.program.ready()) ?? {};
    const text = await (await fetch(`http://${metrics}/metrics`)).text();
    const line = text.split("\n").find((row) => /^cometmq_held_polls\b/.test(row)) ?? "";
    return `heldPolls: ${line.split(" ").at(-1)}`;
  }

  it("the owner knows the client by its own address and keeps it as a member while it beats", async () => {
    const topic = await newTopic();
    const one = cluster.client(cluster.addressOf("m1"), "one@member");
    await send(cluster.client(cluster.addressOf("m3")), topic, "x");
    assert.equal((await receive(one, topic, "m3").done).code, Code.OK);
    const beat = await one.call(methods.Heartbeat, { clientType: 3, group });
    assert.equal(beat.status?.code, Code.OK);
    const told = await cluster.mqadmin(
      "consumerConnection",
      "-b",
      cluster.addressOf("m3"),
      "-g",
      "g",
    );
    assert.match(told, /one@member/);
  });

  it("refuses to pass on a call twice", async () => {
    const topic = await newTopic();
    const one = cluster.client(cluster.addressOf("m1"), "one@hop");
    const metadata = one.metadata();
    metadata.set("x-cometmq-hop", "m9");
    one.metadata = () => metadata;
    const handle = handleOf(
      (
        await (async () => {
          const two = cluster.client(cluster.addressOf("m2"), "two@hop");
          await send(two, topic, "x");
          return await receive(two, topic, "m2").done;
        })()
      ).messages[0],
    );
    const wish = {
      group,
      topic: { name: topic },
      entries: [{ messageId: "x", receiptHandle: handle }],
    };
    await assert.rejects(one.call(methods.AckMessage, wish), /FAILED_PRECONDITION.*NOT_MASTER/);
  });

  it("the official Node.js client with the address of any broker reaches all masters", async () => {
    const topic = await newTopic();
    const endpoints = cluster.addressOf("m2");
    const options = { endpoints, namespace: "", logger: quiet };
    const producer = new Producer({ ...options, topics: [topic] });
    await producer.startup();
    const sent = new Set<string>();
    for (let index = 0; index < 60; index++) {
      const receipt = await producer.send({ topic, body: Buffer.from(`${index}`) });
      sent.add(receipt.messageId);
    }
    await producer.shutdown();
    const counts = await Promise.all(cluster.masters.map(({ name }) => countAt(topic, name)));
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      60,
    );
    assert.ok(
      counts.every((count) => count > 0),
      `all masters took some: ${counts.join()}`,
    );
    const consumer = new SimpleConsumer({
      ...options,
      consumerGroup: "node",
      subscriptions: new Map([[topic, "*"]]),
      awaitDuration: 5_000,
    });
    await consumer.startup();
    const got = new Set<string>();
    await until(
      "all messages",
      async () => {
        for (const message of await consumer.receive(32, 30_000)) {
          got.add(message.messageId);
          await consumer.ack(message);
        }
        return got.size >= 60;
      },
      40_000,
    );
    await consumer.shutdown();
    assert.deepEqual(got, sent);
  });

  /** Messages of a topic that one master holds. */
  async function countAt(topic: string, name: string): Promise<number> {
    const client = cluster.client(cluster.addressOf(name), `count@${name}`);
    const { brokerAdminService } = await import("@cometmq/proto");
    const status = await client.call(brokerAdminService.methods.GetTopicStatus, { name: topic });
    return status.queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0);
  }

  it("a topic that only another broker has is used through any, not made anew", async () => {
    const only = "only-on-m3";
    await cluster.mqadmin("updateTopic", "-b", cluster.addressOf("m3"), "-t", only);
    const one = cluster.client(cluster.addressOf("m1"), "one@only");
    assert.equal(await send(one, only, "x"), Code.OK);
    assert.equal(await countAt(only, "m3"), 1);
    const { code, messages } = await one.receive({
      group,
      messageQueue: { topic: { name: only }, id: 0 },
      batchSize: 1,
      invisibleDuration: { seconds: 30 },
      longPollingTimeout: { seconds: 5 },
    }).done;
    assert.equal(code, Code.OK);
    assert.deepEqual(bodies(messages), ["x"]);
    const nowhere = await one.call(methods.QueryRoute, { topic: { name: "nowhere" } });
    assert.equal(nowhere.status?.code, Code.TOPIC_NOT_FOUND);
    assert.equal(await send(one, "nowhere", "x"), Code.TOPIC_NOT_FOUND);
  });
});
