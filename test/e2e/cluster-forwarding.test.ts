// One broker passes calls on to another: what the owner sees of the client, and what becomes of an answer that the
// client does not take. Two brokers in this process; the first is told where the second is.
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect } from "node:http2";
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import type { Broker, BrokerOptions } from "../../broker/index.ts";
import type { TopicHolder } from "../../registrar/index.ts";
import { brokerAdminService, type RawClient } from "./raw-client.ts";
import { holder, ToldBrokers } from "./told-brokers.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const topic = "t";
const group = { name: "g" };

describe("a call that is passed on", function () {
  this.timeout(30_000);
  let world: ToldBrokers;

  beforeEach(async () => {
    world = await ToldBrokers.create();
  });

  afterEach(() => world.close());

  function open(
    name: string,
    flags?: Readonly<Record<string, string>>,
    bounds?: BrokerOptions["bounds"],
  ): Promise<Broker> {
    return world.open(name, flags, bounds);
  }

  function makeTopic(broker: Broker, messageType?: string): Promise<void> {
    return world.makeTopic(broker, messageType);
  }

  function client(broker: Broker, id?: string): RawClient {
    return world.client(broker, id);
  }

  /** What the first broker hears of others. */
  function tell(...brokersSeen: TopicHolder[]): void {
    world.tell("a", ...brokersSeen);
  }

  async function send(from: RawClient, body: string): Promise<rocketmq.v2.SendMessageResponse> {
    return await from.call(methods.SendMessage, {
      messages: [
        {
          topic: { name: topic },
          systemProperties: { messageId: body, messageType: 1, bodyEncoding: 1 },
          body: Buffer.from(body),
        },
      ],
    });
  }

  const receiving = (pollingSeconds = 5): rocketmq.v2.IReceiveMessageRequest => ({
    group,
    messageQueue: { topic: { name: topic }, id: -1, broker: { name: "b" } },
    filterExpression: { type: 1, expression: "*" },
    batchSize: 32,
    invisibleDuration: { seconds: 60 },
    longPollingTimeout: { seconds: pollingSeconds },
  });

  it("shows the owner the client's id and address, and its answer is the owner's", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b);
    tell(holder("b", b.grpcPort));
    const sent = await send(client(a), "x");
    assert.equal(sent.status?.code, Code.OK, sent.status?.message);
    assert.deepEqual(
      sent.entries.map(({ messageId, offset }) => [messageId, offset]),
      [["x", 0]],
    );
    const { messages } = await client(a).receive(receiving()).done;
    assert.equal(messages[0]?.systemProperties?.bornHost, "127.0.0.1");
    const members = await client(b, "admin").call(
      brokerAdminService.methods.GetConsumerConnection,
      { group: "g" },
    );
    assert.equal(members.clients[0]?.clientId, "client@1");
    const address = members.clients[0]?.address ?? "";
    assert.match(address, /^127\.0\.0\.1:\d+$/);
  });

  it("tells all brokers of a LITE topic which lite topics a client wants", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(a, "LITE");
    await makeTopic(b, "LITE");
    tell(holder("b", b.grpcPort));
    const liteTopicSet = Array.from({ length: 8 }, (_, index) => `session ${index}`);
    const wish = { topic: { name: topic }, group, liteTopicSet };
    const python = client(a);
    python.language = "PYTHON";
    const { status } = await python.call(methods.SyncLiteSubscription, wish);
    assert.equal(status?.code, Code.OK, status?.message);
    // Java tells each broker itself.
    const java = client(a, "java@1");
    assert.equal((await java.call(methods.SyncLiteSubscription, wish)).status?.code, Code.OK);
    const { GetConsumerConnection } = brokerAdminService.methods;
    const there = await client(b, "admin").call(GetConsumerConnection, { group: "g" });
    assert.deepEqual(
      there.clients.map(({ clientId }) => clientId),
      ["client@1"],
    );
    await java.call(methods.SyncLiteSubscription, { ...wish, action: 3 });
    for (const broker of [a, b]) {
      for (const liteTopic of [...liteTopicSet, "other"]) {
        const systemProperties = { messageId: `${liteTopic} ${broker.grpcPort}`, liteTopic };
        const message = { topic: { name: topic }, systemProperties, body: Buffer.from("x") };
        const sent = await client(broker, "producer").call(methods.SendMessage, {
          messages: [message],
        });
        assert.equal(sent.status?.code, Code.OK, sent.status?.message);
      }
    }
    // Each lite topic may live on either broker, whichever took the message.
    const seen = new Set<string>();
    for (let turn = 0; seen.size < 16 && turn < 10; turn++) {
      const messageQueue = { topic: { name: topic }, id: -1, broker: { name: "ab"[turn % 2] } };
      const { messages } = await python.receive({ ...receiving(), messageQueue }).done;
      for (const { systemProperties } of messages) {
        seen.add(systemProperties?.messageId ?? "");
        const entries = [{ receiptHandle: systemProperties?.receiptHandle ?? "" }];
        const names = { group, topic: { name: topic }, entries };
        const acked = await python.call(methods.AckMessage, names);
        assert.equal(acked.status?.code, Code.OK, acked.status?.message);
      }
    }
    const wanted = [a, b].flatMap(({ grpcPort }) =>
      liteTopicSet.map((name) => `${name} ${grpcPort}`),
    );
    assert.deepEqual([...seen].toSorted(), wanted.toSorted());
  });

  it("recalls a delayed message where it is held, whichever broker is asked", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b, "DELAY");
    tell(holder("b", b.grpcPort));
    const dueMs = Date.now() + 1_500;
    const deliveryTimestamp = { seconds: Math.floor(dueMs / 1000), nanos: (dueMs % 1000) * 1e6 };
    const sendDelayed = async (messageId: string): Promise<string> => {
      const systemProperties = { messageId, messageType: 3, bodyEncoding: 1, deliveryTimestamp };
      const { status, entries } = await client(a).call(methods.SendMessage, {
        messages: [{ topic: { name: topic }, systemProperties, body: Buffer.from("x") }],
      });
      assert.equal(status?.code, Code.OK, status?.message);
      return entries[0]?.recallHandle ?? "";
    };
    const recall = (recallHandle: string): Promise<rocketmq.v2.RecallMessageResponse> =>
      client(a).call(methods.RecallMessage, { topic: { name: topic }, recallHandle });
    const [kept, recalled] = [await sendDelayed("kept"), await sendDelayed("recalled")];
    const answer = await recall(recalled);
    assert.equal(answer.status?.code, Code.OK, answer.status?.message);
    assert.equal(answer.messageId, "recalled");
    assert.equal((await recall(recalled)).status?.code, Code.MESSAGE_NOT_FOUND);
    const forged = `${kept.slice(0, 20)}${kept[20] === "A" ? "B" : "A"}${kept.slice(21)}`;
    assert.equal((await recall(forged)).status?.code, Code.INVALID_RECEIPT_HANDLE);
    const { messages } = await client(a).receive(receiving()).done;
    assert.deepEqual(
      messages.map(({ systemProperties }) => systemProperties?.messageId),
      ["kept"],
    );
    assert.equal((await recall(kept)).status?.code, Code.MESSAGE_NOT_FOUND);
  });

  it("gives the highest priority first, and answers each message of a request for itself", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b, "PRIORITY");
    tell(holder("b", b.grpcPort));
    const messages = [3, -1, 300, 0, 3].map((priority, index) => ({
      topic: { name: topic },
      systemProperties: { messageId: `m${index}`, messageType: 6, bodyEncoding: 1, priority },
      body: Buffer.from("x"),
    }));
    const sent = await client(a).call(methods.SendMessage, { messages });
    assert.equal(sent.status?.code, Code.MULTIPLE_RESULTS, sent.status?.message);
    assert.deepEqual(
      sent.entries.map(({ messageId, status, offset }) => [messageId, status?.code, offset]),
      [
        ["m0", Code.OK, 0],
        ["m1", Code.BAD_REQUEST, 0],
        ["m2", Code.OK, 0],
        ["m3", Code.OK, 0],
        ["m4", Code.OK, 1],
      ],
    );
    const received = await client(a).receive(receiving()).done;
    assert.deepEqual(
      received.messages.map(({ systemProperties }) => [
        systemProperties?.messageId,
        systemProperties?.priority,
        systemProperties?.queueId,
      ]),
      [
        ["m2", 300, 255],
        ["m0", 3, 3],
        ["m4", 3, 3],
        ["m3", 0, 0],
      ],
    );
    const entries = received.messages.map(({ systemProperties }) => ({
      messageId: systemProperties?.messageId ?? "",
      receiptHandle: systemProperties?.receiptHandle ?? "",
    }));
    const acked = await client(a).call(methods.AckMessage, {
      group,
      topic: { name: topic },
      entries,
    });
    assert.equal(acked.status?.code, Code.OK, acked.status?.message);
  });

  it("ends a transaction where its message is held, whichever broker is asked", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b, "TRANSACTION");
    tell(holder("b", b.grpcPort));
    const sendHalf = async (messageId: string): Promise<string> => {
      const systemProperties = { messageId, messageType: 4, bodyEncoding: 1 };
      const { status, entries } = await client(a).call(methods.SendMessage, {
        messages: [{ topic: { name: topic }, systemProperties, body: Buffer.from("x") }],
      });
      assert.equal(status?.code, Code.OK, status?.message);
      return entries[0]?.transactionId ?? "";
    };
    const end = async (transactionId: string, resolution: number): Promise<number | undefined> => {
      const request = { topic: { name: topic }, transactionId, resolution };
      return (await client(a).call(methods.EndTransaction, request)).status?.code;
    };
    const [good, bad] = [await sendHalf("good"), await sendHalf("bad")];
    assert.deepEqual([await end(good, 1), await end(bad, 2)], [Code.OK, Code.OK]);
    assert.deepEqual([await end(good, 1), await end(good, 2)], [Code.OK, Code.BAD_REQUEST]);
    const altered = `${good.slice(0, 20)}${good[20] === "A" ? "B" : "A"}${good.slice(21)}`;
    assert.equal(await end(altered, 1), Code.INVALID_TRANSACTION_ID);
    const { messages } = await client(a).receive(receiving()).done;
    assert.deepEqual(
      messages.map(({ systemProperties }) => systemProperties?.messageId),
      ["good"],
    );
  });

  it("goes to the next master when one cannot be reached, and fails for want of any only after a while", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b);
    tell(holder("b", b.grpcPort), holder("dead", 1));
    const codes = await Promise.all(
      Array.from({ length: 10 }, async (_unused, index) =>
        send(client(a, `c${index}`), `m${index}`),
      ),
    );
    assert.deepEqual(
      codes.map(({ status }) => status?.code),
      codes.map(() => Code.OK),
    );
    tell(holder("dead", 1));
    const startMs = Date.now();
    await until("the old view to be forgotten", async () => {
      const { messageQueues } = await client(a).call(methods.QueryRoute, {
        topic: { name: topic },
      });
      return messageQueues.every(({ broker }) => broker?.name === "dead");
    });
    const failed = await send(client(a), "nobody");
    assert.equal(failed.status?.code, Code.HA_NOT_AVAILABLE);
    assert.deepEqual(failed.entries, []);
    assert.ok(Date.now() - startMs > 4_000, "it gave up too early");
  });

  it("waits for a master to appear", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b);
    await send(client(b), "x");
    const asked = world.registrar("a").askedCount;
    const receive = client(a).receive(receiving()).done;
    await until("the first look", () => world.registrar("a").askedCount > asked);
    tell(holder("b", b.grpcPort));
    assert.equal((await receive).messages.length, 1);
  });

  it("whose answer the client does not take gives the messages back at once, as if never given", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b);
    tell(holder("b", b.grpcPort));
    await send(client(b), "x");
    const session = connect(`http://127.0.0.1:${a.grpcPort}`, {
      // The client takes no byte of any answer.
      settings: { initialWindowSize: 0 },
    });
    const stream = rawReceive(session, receiving());
    const { GetConsumerProgress } = brokerAdminService.methods;
    await until("the message to be given", async () => {
      const progress = await client(b, "admin").call(GetConsumerProgress, { group: "g" });
      return (
        progress.status?.code === Code.OK && progress.queues.some(({ pending }) => pending > 0)
      );
    });
    stream.close();
    const startMs = Date.now();
    const { messages } = await client(b, "other@1").receive(receiving()).done;
    assert.equal(messages.length, 1);
    assert.equal(messages[0]?.systemProperties?.deliveryAttempt, 1);
    assert.ok(Date.now() - startMs < 3_000);
    session.destroy();
  });

  /** A receive by bare HTTP/2. */
  function rawReceive(
    session: ClientHttp2Session,
    wish: rocketmq.v2.IReceiveMessageRequest,
  ): ReturnType<ClientHttp2Session["request"]> {
    const stream = session.request({
      ":method": "POST",
      ":path": methods.ReceiveMessage.path,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": "20S",
      "x-mq-client-id": "slow@1",
    });
    stream.on("error", () => {});
    const bytes = methods.ReceiveMessage.request.encode(wish);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.length, 1);
    stream.end(Buffer.concat([head, bytes]));
    return stream;
  }

  it("ends at its own deadline, and a poll before it", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b);
    tell(holder("b", b.grpcPort));
    const startMs = Date.now();
    const { code } = await client(a).receive(receiving(20), 7_000).done;
    assert.equal(code, Code.MESSAGE_NOT_FOUND);
    assert.ok(Date.now() - startMs < 7_000);
  });

  it("goes over TLS where that is enforced", async () => {
    const tls = { "tls.server.mode": "enforcing" };
    const [a, b] = [await open("a", tls), await open("b", tls)];
    const http = connect(`https://127.0.0.1:${b.grpcPort}`, {
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    http.on("error", () => {});
    const session = connect(`https://127.0.0.1:${a.grpcPort}`, {
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    tell(holder("b", b.grpcPort));
    // The topic is unknown to b as well: its refusal is proof enough that the call came there.
    const stream = rawReceive(session, receiving());
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    const frame = Buffer.concat(chunks);
    const answer = methods.ReceiveMessage.response.decode(
      frame.subarray(5, 5 + frame.readUInt32BE(1)),
    );
    assert.equal(answer.status?.code, Code.TOPIC_NOT_FOUND, answer.status?.message);
    session.destroy();
    http.destroy();
  });

  it("is refused while as many as may be are passed on, has changed nothing, and goes after an answer", async () => {
    const [a, b] = [await open("a", {}, { forwardedCallsMax: 2 }), await open("b")];
    await makeTopic(b);
    tell(holder("b", b.grpcPort));
    const polls = [client(a, "one").receive(receiving(20)).done];
    polls.push(client(a, "two").receive(receiving(20)).done);
    const { GetConsumerConnection } = brokerAdminService.methods;
    await until("both polls at the owner", async () => {
      const members = await client(b, "admin").call(GetConsumerConnection, { group: "g" });
      return members.clients.length === 2;
    });
    const refused = await send(client(a), "refused");
    assert.equal(refused.status?.code, Code.TOO_MANY_REQUESTS);
    assert.match(refused.status?.message ?? "", /2 calls are being passed on to other brokers/);
    const beyond = await client(a, "three").receive(receiving()).done;
    assert.deepEqual([beyond.code, beyond.messages], [Code.TOO_MANY_REQUESTS, []]);
    assert.equal((await send(client(b), "direct")).entries[0]?.offset, 0);
    assert.equal((await Promise.race(polls)).messages.length, 1);
    // Each of these makes room for the next.
    for (const offset of [1, 2, 3]) {
      const { status, entries } = await send(client(a), `again ${offset}`);
      assert.equal(status?.code, Code.OK, status?.message);
      assert.equal(entries[0]?.offset, offset, "the refused message is stored");
    }
    const rest = await client(b).receive(receiving()).done;
    const received = [...(await Promise.all(polls)), rest].flatMap(({ messages }) => messages);
    assert.deepEqual(
      received.map(({ systemProperties }) => systemProperties?.messageId ?? "").toSorted(),
      ["again 1", "again 2", "again 3", "direct"],
    );
  });

  it("is answered in time when this broker stops", async () => {
    const [a, b] = [await open("a"), await open("b")];
    await makeTopic(b);
    tell(holder("b", b.grpcPort));
    const held = client(a).receive(receiving(20)).done;
    const { GetConsumerConnection } = brokerAdminService.methods;
    await until("the poll at the owner", async () => {
      const members = await client(b, "admin").call(GetConsumerConnection, { group: "g" });
      return members.clients.length > 0;
    });
    await a.close();
    assert.equal((await held).code, Code.MESSAGE_NOT_FOUND);
  });
});
