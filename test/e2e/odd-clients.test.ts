// What official clients do that a server may not expect, over real connections, one call at a time.
import assert from "node:assert/strict";
import type { rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, messagingService, RawClient } from "./raw-client.ts";
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
): Promise<void> {
  const messages = [{ topic: { name: topic }, systemProperties: { messageId }, body }];
  const answer = await client.call(methods.SendMessage, { messages });
  assert.equal(answer.status?.code, ok, answer.status?.message);
}

function idOf(message: rocketmq.v2.Message): string {
  return message.systemProperties?.messageId ?? "";
}

function attemptOf(message: rocketmq.v2.Message): number {
  return message.systemProperties?.deliveryAttempt ?? 0;
}
