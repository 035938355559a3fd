// What official clients do that a server may not expect, over real connections, one call at a time.
import assert from "node:assert/strict";
import type { rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, messagingService, RawClient } from "./raw-client.ts";
import { RawTelemetry } from "./raw-telemetry.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const admin = brokerAdminService.methods;
const ok = 20_000;

describe("odd clients", function () {
  this.timeout(40_000);
  let fixture: BrokerFixture;
  let clients: RawClient[];

  function connect(clientId: string, options?: { readonly frameSizeMax: number }): RawClient {
    const client = new RawClient(fixture.endpoints, clientId, options);
    clients.push(client);
    return client;
  }

  beforeEach(async () => {
    clients = [];
    fixture = await startBroker({ defaultTopicQueueNums: "1" });
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    await fixture.close();
  });

  it("keeps telemetry streams open whatever deadline their clients name", async () => {
    const timeouts = {
      java: "31535999M",
      go: "31536000S",
      csharp: "5256000M",
      cpp: "1H",
      short: "1m",
      wrong: "99999999999H",
    };
    const streams = Object.entries(timeouts).map(([name, timeout]) => {
      const headers = { "x-mq-client-id": name, "grpc-timeout": timeout };
      return { name, stream: new RawTelemetry(fixture.endpoints, headers) };
    });
    try {
      for (const { name, stream } of streams) {
        if (name === "wrong") continue;
        // Rust waits for the head of the answer before it says anything.
        assert.equal(await stream.head, 200, name);
        stream.say({ settings: producer });
        await until(`settings of ${name}`, () => stream.commands.length === 1);
        assert.equal(stream.commands[0]?.status?.code, ok);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      for (const { name, stream } of streams) {
        if (name === "wrong") continue;
        assert.equal(stream.ended, false, name);
        stream.say({ settings: producer });
        await until(`settings of ${name} again`, () => stream.commands.length === 2);
      }
    } finally {
      for (const { stream } of streams) stream.close();
    }
  });

  it("serves two streams of one client, one of which goes", async () => {
    const headers = { "x-mq-client-id": "rust" };
    const streams = [0, 1].map(() => new RawTelemetry(fixture.endpoints, headers));
    for (const stream of streams) {
      stream.say({ settings: consumer });
      await until("settings", () => stream.commands.length === 1);
    }
    const operator = connect("operator");
    const members = async (): Promise<number> => {
      const answer = await operator.call(admin.GetConsumerConnection, { group: "g" });
      return answer.clients.length;
    };
    assert.equal(await members(), 1);
    streams[0]?.close();
    streams[1]?.say({ settings: consumer });
    await until("more settings", () => streams[1]?.commands.length === 2);
    assert.equal(await members(), 1);
    streams[1]?.close();
  });

  it("says the same of a topic each time, with all that clients need", async () => {
    const client = connect("c");
    await client.call(admin.UpdateTopic, { name: "t", writeQueues: 3, readQueues: 3 });
    const endpoints = { scheme: 3, addresses: [{ host: "localhost", port: 18_081 }] };
    const topic = { resourceNamespace: "", name: "t" };
    const route = await client.call(methods.QueryRoute, { topic, endpoints });
    const again = await client.call(methods.QueryRoute, { topic, endpoints });
    assert.deepEqual(again, route);
    assert.deepEqual(
      route.messageQueues.map(({ id }) => id),
      [0, 1, 2],
    );
    for (const queue of route.messageQueues) {
      assert.equal(queue.permission, 4);
      assert.equal(queue.topic?.name, "t");
      assert.deepEqual(queue.acceptMessageTypes, [1]);
      assert.equal(queue.broker?.id, 0);
      assert.equal(queue.broker?.endpoints?.scheme, 3);
      const addresses = queue.broker?.endpoints?.addresses.map(({ host, port }) => [host, port]);
      assert.deepEqual(addresses, [["localhost", 18_081]]);
    }
    const group = { name: "g" };
    const assigned = await client.call(methods.QueryAssignment, { topic, group, endpoints });
    assert.deepEqual(
      await client.call(methods.QueryAssignment, { topic, group, endpoints }),
      assigned,
    );
    assert.deepEqual(
      assigned.assignments.map(({ messageQueue }) => messageQueue?.id),
      [-1],
    );
  });

  it("hands out each message with what all clients read of it", async () => {
    const client = connect("c");
    const sent = await send(client, "t", "id of mine");
    assert.equal(sent.entries[0]?.transactionId, "id of mine");
    const { messages } = await client.receive(wish("g", "t")).done;
    const [message] = messages;
    const system = message?.systemProperties;
    assert.equal(message?.topic?.name, "t");
    assert.deepEqual({ ...message?.userProperties }, {});
    assert.equal(system?.messageId, "id of mine");
    assert.equal(system?.bodyDigest?.type, 2);
    assert.equal(system?.bodyDigest?.checksum, helloMd5);
    assert.equal(system?.bodyEncoding, 1);
    assert.equal(system?.messageType, 1);
    assert.ok((system?.bornTimestamp?.seconds ?? 0) > 1_700_000_000);
    assert.equal(system?.bornHost, "127.0.0.1");
    assert.equal(system?.deliveryAttempt, 1);
    assert.ok((system?.receiptHandle ?? "").length > 0);
    assert.equal(system?.queueId, 0);
    assert.ok((system?.storeTimestamp?.seconds ?? 0) > 1_700_000_000);
  });

  it("takes no handle that it has not given, or not lately", async () => {
    const client = connect("c");
    const names = { group: { name: "g" }, topic: { name: "t" } };
    await send(client, "t", "1");
    await send(client, "u", "1");
    const handleOf = async (group: string, topic: string): Promise<string> => {
      const { messages } = await client.receive(wish(group, topic)).done;
      return messages[0]?.systemProperties?.receiptHandle ?? "";
    };
    const mine = await handleOf("g", "t");
    const change = { ...names, receiptHandle: mine, invisibleDuration: { seconds: 20 } };
    const changed = await client.call(methods.ChangeInvisibleDuration, change);
    assert.equal(changed.status?.code, ok);
    const newest = changed.receiptHandle;
    const flipped = newest.startsWith("A") ? `B${newest.slice(1)}` : `A${newest.slice(1)}`;
    const bad = [
      mine,
      await handleOf("g", "u"),
      await handleOf("h", "t"),
      "",
      "garbled",
      "\u0000",
      flipped,
      newest.slice(0, -4),
      `${newest}AAAA`,
      "A".repeat(newest.length),
      "x".repeat(10_000),
    ];
    const entries = bad.map((receiptHandle, index) => ({ messageId: `${index}`, receiptHandle }));
    const acked = await client.call(methods.AckMessage, { ...names, entries });
    assert.equal(acked.status?.code, 40_013);
    assert.deepEqual(
      acked.entries.map(({ messageId, receiptHandle, status }) => [
        { messageId, receiptHandle },
        status?.code,
      ]),
      entries.map((entry) => [entry, 40_013]),
    );
    for (const receiptHandle of bad) {
      const again = await client.call(methods.ChangeInvisibleDuration, { ...names, receiptHandle });
      assert.deepEqual([again.status?.code, again.receiptHandle], [40_013, receiptHandle]);
      const forward = { ...names, receiptHandle, messageId: "none" };
      const answer = await client.call(methods.ForwardMessageToDeadLetterQueue, forward);
      assert.equal(answer.status?.code, 40_013);
    }
    const last = [{ messageId: "1", receiptHandle: newest }];
    for (let count = 0; count < 2; count++) {
      const answer = await client.call(methods.AckMessage, { ...names, entries: last });
      assert.equal(answer.status?.code, ok, "an acknowledgement may be repeated");
    }
    const nothing = await client.call(methods.AckMessage, names);
    assert.equal(nothing.status?.code, 40_000);
  });

  it("moves a message to the dead-letter topic by its id alone, as C++ asks", async () => {
    const client = connect("c");
    await send(client, "t", "1");
    await send(client, "t", "2");
    await client.receive(wish("g", "t")).done;
    const names = { group: { name: "g" }, topic: { name: "t" } };
    const forward = { ...names, messageId: "2", deliveryAttempt: 17, maxDeliveryAttempts: 17 };
    for (let count = 0; count < 2; count++) {
      const answer = await client.call(methods.ForwardMessageToDeadLetterQueue, forward);
      assert.equal(answer.status?.code, count === 0 ? ok : 40_013);
    }
    const { messages } = await client.receive(wish("undertaker", "%DLQ%g")).done;
    assert.deepEqual(messages.map(idOf), ["2"]);
  });

  it("answers before a deadline that leaves no time after the poll, as Rust's", async () => {
    const startMs = performance.now();
    const answers = await Promise.all([
      connect("rust").receive(wish("g", "t"), 5_000).done,
      connect("go").receive({ ...wish("g", "t"), longPollingTimeout: null }, 5_000).done,
    ]);
    assert.deepEqual(
      answers.map(({ code }) => code),
      [40_401, 40_401],
    );
    const heldMs = performance.now() - startMs;
    assert.ok(heldMs > 2_000 && heldMs < 4_800, `${heldMs} ms`);
  });

  it("a message too large for its client's frames does not hold up the others", async () => {
    const sender = connect("sender");
    await send(sender, "t", "small 1");
    await send(sender, "t", "big", Buffer.alloc(4_194_304));
    await send(sender, "t", "small 2");
    const node = connect("node", { frameSizeMax: 4_194_304 });
    await assert.rejects(node.receive(wish("g", "t")).done, /larger than max/);
    let got: readonly rocketmq.v2.Message[] = [];
    await until("the small ones", async () => {
      got = (await node.receive({ ...wish("g", "t"), batchSize: 2 }).done).messages;
      return got.length > 0;
    });
    assert.deepEqual(got.map(idOf), ["small 1", "small 2"]);
    assert.deepEqual(got.map(attemptOf), [1, 1]);
    const progress = await node.call(admin.GetConsumerProgress, { group: "g" });
    assert.equal(progress.queues[0]?.pending, 3);
  });
});

const helloMd5 = "5D41402ABC4B2A76B9719D911017C592";

const producer: rocketmq.v2.ISettings = {
  clientType: 1,
  publishing: { topics: [{ name: "t" }] },
};
const consumer: rocketmq.v2.ISettings = {
  clientType: 3,
  subscription: { group: { name: "g" } },
};

function wish(group: string, topic: string): rocketmq.v2.IReceiveMessageRequest {
  return {
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1 },
    batchSize: 32,
    invisibleDuration: { seconds: 30 },
    longPollingTimeout: { seconds: 5 },
  };
}

async function send(
  client: RawClient,
  topic: string,
  messageId: string,
  body: Uint8Array = Buffer.from("hello"),
): Promise<rocketmq.v2.SendMessageResponse> {
  const messages = [{ topic: { name: topic }, systemProperties: { messageId }, body }];
  const answer = await client.call(methods.SendMessage, { messages });
  assert.equal(answer.status?.code, ok, answer.status?.message);
  return answer;
}

function idOf(message: rocketmq.v2.Message): string {
  return message.systemProperties?.messageId ?? "";
}

function attemptOf(message: rocketmq.v2.Message): number {
  return message.systemProperties?.deliveryAttempt ?? 0;
}
