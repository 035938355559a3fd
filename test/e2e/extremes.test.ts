// The largest and the smallest that a broker takes, and one more: what is answered at each border.
import assert from "node:assert/strict";
import type { rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { messagingService, RawClient } from "./raw-client.ts";

const { methods } = messagingService;
const ok = 20_000;
const bodySizeMax = 4_194_304;

describe("a broker at its limits", function () {
  this.timeout(60_000);
  let fixture: BrokerFixture;
  let client: RawClient;

  before(async () => {
    fixture = await startBroker();
    client = new RawClient(fixture.endpoints, "extremes");
  });

  after(async () => {
    client.close();
    await fixture.close();
  });

  async function send(
    messages: readonly rocketmq.v2.IMessage[],
  ): Promise<rocketmq.v2.SendMessageResponse> {
    return await client.call(methods.SendMessage, { messages: [...messages] });
  }

  async function codeOf(message: rocketmq.v2.IMessage): Promise<number> {
    return (await send([message])).status?.code ?? 0;
  }

  async function receive(
    topic: string,
    parts: rocketmq.v2.IReceiveMessageRequest = {},
  ): Promise<readonly rocketmq.v2.Message[]> {
    const answer = await client.receive({
      group: { name: "g" },
      messageQueue: { topic: { name: topic }, id: -1 },
      batchSize: 32,
      autoRenew: true,
      longPollingTimeout: { seconds: 5 },
      ...parts,
    }).done;
    assert.equal(answer.code, ok, answer.text);
    return answer.messages;
  }

  it("takes names up to their limit", async () => {
    for (const [length, code] of [
      [127, ok],
      [128, 40_002],
    ] as const) {
      const topic = { name: "t".repeat(length) };
      assert.equal(await codeOf(message({ topic })), code, `${length}`);
      const route = await client.call(methods.QueryRoute, { topic });
      assert.equal(route.status?.code, code);
    }
    for (const [length, code] of [
      [120, ok],
      [121, 40_003],
    ] as const) {
      const group = { name: "g".repeat(length) };
      const assigned = await client.call(methods.QueryAssignment, { topic: { name: "t" }, group });
      assert.equal(assigned.status?.code, code, `${length}`);
      const beat = await client.call(methods.Heartbeat, { clientType: 2, group });
      assert.equal(beat.status?.code, code, `${length}`);
    }
    const longest = message({ topic: { name: "t".repeat(127) } });
    assert.equal(await codeOf(longest), ok);
    const [received] = await receive("t".repeat(127), { group: { name: "g".repeat(120) } });
    assert.equal(received?.topic?.name.length, 127);
  });

  it("takes a body of exactly maxMessageSize, and not a byte more", async () => {
    const body = Buffer.alloc(bodySizeMax, "x");
    assert.equal(await codeOf(message({ topic: { name: "big" }, body })), ok);
    const [received] = await receive("big");
    assert.ok(received !== undefined && body.equals(received.body));
    const more = await send([message({ body: Buffer.alloc(bodySizeMax + 1) })]);
    assert.equal(more.status?.code, 41_301);
    assert.match(more.status?.message ?? "", /4194305 bytes, at most 4194304/);
    const far = await client.raw(
      methods.SendMessage.path,
      methods.SendMessage.request.encode({
        messages: [message({ body: Buffer.alloc(80 * 1024 * 1024) })],
      }),
      { deadlineMs: 20_000 },
    );
    assert.equal(far.grpcStatus, 8, far.text);
  });

  it("takes properties up to their limits", async () => {
    const filled = (size: number): rocketmq.v2.IMessage =>
      message({
        userProperties: { k: "v".repeat(size - 1) },
        systemProperties: { messageId: "1" },
      });
    assert.equal(await codeOf(filled(16_384)), ok);
    assert.equal(await codeOf(filled(16_385)), 43_101);
    const tagged = (size: number): rocketmq.v2.ISystemProperties => ({
      messageId: "1",
      tag: "t".repeat(size),
      keys: ["k".repeat(100)],
    });
    assert.equal(await codeOf(message({ systemProperties: tagged(16_284) })), ok);
    assert.equal(await codeOf(message({ systemProperties: tagged(16_285) })), 43_101);
    const keyed = { messageId: "1", keys: Array.from({ length: 1_000 }, () => "k".repeat(17)) };
    assert.equal(await codeOf(message({ systemProperties: keyed })), 43_101);
  });

  it("takes 10,000 messages in one request, and gives all back in order", async () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `id-${index}`);
    const answer = await send(
      ids.map((messageId) => message({ topic: { name: "many" }, systemProperties: { messageId } })),
    );
    assert.equal(answer.status?.code, ok, answer.status?.message);
    assert.deepEqual(
      answer.entries.map((entry) => entry.messageId),
      ids,
    );
    const got: string[] = [];
    while (got.length < ids.length) {
      const messages = await receive("many", { batchSize: 2_147_483_647 });
      assert.ok(messages.length <= 32);
      got.push(...messages.map((each) => each.systemProperties?.messageId ?? ""));
    }
    assert.deepEqual(got, ids);
  });

  it("refuses all of a request with one wrong message in it", async () => {
    const answer = await send([
      message({ topic: { name: "whole" } }),
      message({ topic: { name: "whole" }, body: Buffer.alloc(0) }),
    ]);
    assert.equal(answer.status?.code, 41_302);
    const mixed = await send([
      message({ topic: { name: "whole" } }),
      message({ topic: { name: "other" } }),
    ]);
    assert.equal(mixed.status?.code, 40_016);
    await send([message({ topic: { name: "whole" }, systemProperties: { messageId: "last" } })]);
    const messages = await receive("whole");
    assert.deepEqual(
      messages.map((each) => each.systemProperties?.messageId),
      ["last"],
    );
  });

  it("takes any queue id and any batch size as a hint", async () => {
    for (const [index, id] of [-1, -2_147_483_648, 2_147_483_647, 7, 8].entries()) {
      const topic = `hint-${index}`;
      const systemProperties = { messageId: "1", queueId: id };
      assert.equal(await codeOf(message({ topic: { name: topic }, systemProperties })), ok);
      const messages = await receive(topic, {
        messageQueue: { topic: { name: topic }, id },
        batchSize: -id,
      });
      assert.equal(messages.length, 1);
      const queueId = messages[0]?.systemProperties?.queueId ?? -1;
      assert.ok(queueId >= 0 && queueId < 8, `${queueId}`);
    }
  });

  it("does not repeat a long host of the access point in every queue", async () => {
    for (const host of ["h".repeat(1_000_000), "a b", "a\nb", "a".repeat(254)]) {
      const endpoints = { scheme: 3, addresses: [{ host, port: 8081 }] };
      const topic = { name: "t" };
      const route = await client.call(methods.QueryRoute, { topic, endpoints });
      const address = route.messageQueues[0]?.broker?.endpoints?.addresses[0];
      assert.equal(address?.host, "127.0.0.1");
      assert.equal(address?.port, fixture.broker.grpcPort);
      const group = { name: "g" };
      const assigned = await client.call(methods.QueryAssignment, { topic, group, endpoints });
      const queue = assigned.assignments[0]?.messageQueue;
      assert.equal(queue?.broker?.endpoints?.addresses[0]?.host, "127.0.0.1");
    }
  });

  it("reads no more of a request that carries no messages than it needs", async () => {
    for (const name of ["QueryRoute", "Heartbeat", "ReceiveMessage", "AckMessage"] as const) {
      const bytes = Buffer.alloc(4_194_305);
      const answer = await client.raw(methods[name].path, bytes, { deadlineMs: 10_000 });
      assert.equal(answer.grpcStatus, 8, `${name}: ${answer.text}`);
    }
  });

  it("refuses a filter that is too long, however little it says", async () => {
    for (const expression of ["a".repeat(20_000), `${" ".repeat(20_000)}*`]) {
      const answer = await client.receive({
        group: { name: "g" },
        messageQueue: { topic: { name: "t" }, id: -1 },
        batchSize: 1,
        invisibleDuration: { seconds: 30 },
        filterExpression: { type: 1, expression },
      }).done;
      assert.equal(answer.code, 40_010);
      assert.ok(answer.text.length < 500, answer.text);
    }
  });
});

function message(parts: rocketmq.v2.IMessage): rocketmq.v2.IMessage {
  return {
    topic: { name: "t" },
    systemProperties: { messageId: "1", messageType: 1 },
    body: Buffer.from("hello"),
    ...parts,
  };
}
