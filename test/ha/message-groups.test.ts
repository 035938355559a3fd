// Message groups on two masters: each lives on one of them, whichever a client sends to, and waits for it while it is down.
import assert from "node:assert/strict";
import { messagingService } from "@cometmq/proto";
import { brokerAdminService, type RawClient } from "../e2e/raw-client.ts";
import { until } from "../e2e/waiting.ts";
import type { HaBroker } from "./kit/ha-broker.ts";
import { HaCluster } from "./kit/ha-cluster.ts";

const { methods } = messagingService;
const topic = "orders";
const groups = Array.from({ length: 12 }, (_, index) => `customer ${index}`);
const codes = { ok: 20_000, badRequest: 40_000, notAvailable: 50_002 } as const;

interface Sent {
  readonly code: number;
  readonly text: string;
}

describe("message groups on two masters", function () {
  this.timeout(60_000);
  let cluster: HaCluster;
  let masters: HaBroker[];
  let clients: RawClient[];
  let sentCount = 0;

  beforeEach(async () => {
    cluster = await HaCluster.start();
    masters = ["a", "b"].map((brokerName) => cluster.add({ brokerName, brokerId: 0 }));
    await Promise.all(masters.map((master) => master.start()));
    clients = masters.map((master) => cluster.client(master.address));
    for (const client of clients) await updateTopic(client, { messageType: "FIFO" });
    await cluster.routed(topic, 2);
    for (const [index, client] of clients.entries()) {
      await until(`the brokers of the topic at ${index}`, async () => {
        const attributes = await updateTopic(client);
        return attributes["fifo.brokers"] === "a;b";
      });
    }
  });
  afterEach(() => cluster.close());

  async function updateTopic(
    client: RawClient,
    wish: object = {},
  ): Promise<Readonly<Record<string, string>>> {
    const answer = await client.call(brokerAdminService.methods.UpdateTopic, {
      name: topic,
      ...wish,
    });
    assert.equal(answer.status?.code, codes.ok, answer.status?.message);
    return answer.topic?.attributes ?? {};
  }

  async function send(client: RawClient, ...messageGroups: readonly string[]): Promise<Sent> {
    const messages = messageGroups.map((messageGroup) => ({
      topic: { name: topic },
      systemProperties: {
        messageId: `group-${process.pid}-${sentCount++}`,
        messageType: 2,
        bodyEncoding: 1,
        messageGroup,
      },
      body: Buffer.from(String(sentCount)),
    }));
    const { status } = await client.call(methods.SendMessage, { messages });
    return { code: status?.code ?? 0, text: status?.message ?? "" };
  }

  /** Message group and body of all that one broker has. */
  async function drain(client: RawClient, brokerName: string): Promise<[string, number][]> {
    const found: [string, number][] = [];
    for (;;) {
      const { messages } = await client.receive({
        group: { name: "workers" },
        messageQueue: { topic: { name: topic }, id: -1, broker: { name: brokerName } },
        filterExpression: { type: 1, expression: "*" },
        batchSize: 32,
        invisibleDuration: { seconds: 60 },
        longPollingTimeout: { seconds: 5 },
      }).done;
      if (messages.length === 0) return found;
      for (const { systemProperties, body } of messages) {
        found.push([systemProperties?.messageGroup ?? "", Number(Buffer.from(body).toString())]);
      }
      await client.call(methods.AckMessage, {
        group: { name: "workers" },
        topic: { name: topic },
        entries: messages.map(({ systemProperties }) => ({
          messageId: systemProperties?.messageId ?? "",
          receiptHandle: systemProperties?.receiptHandle ?? "",
        })),
      });
    }
  }

  it("live on one of them, whichever a client sends to, in the order of the sends", async () => {
    for (let round = 0; round < 4; round++) {
      for (const group of groups) {
        const client = clients[round % 2] ?? assert.fail();
        assert.deepEqual(await send(client, group), { code: codes.ok, text: "OK" });
      }
    }
    const [onA = [], onB = []] = await Promise.all(
      masters.map(({ brokerName }, index) => drain(clients[index] ?? assert.fail(), brokerName)),
    );
    assert.equal(onA.length + onB.length, 4 * groups.length);
    assert.ok(onA.length > 0 && onB.length > 0, "one broker has all of them");
    const homes = [onA, onB].map((found) => new Set(found.map(([group]) => group)));
    assert.deepEqual(
      [...(homes[0] ?? [])].filter((group) => homes[1]?.has(group)),
      [],
    );
    for (const found of [onA, onB]) {
      for (const group of groups) {
        const bodies = found.filter(([name]) => name === group).map(([, body]) => body);
        assert.deepEqual(
          bodies,
          bodies.toSorted((one, other) => one - other),
        );
      }
    }
  });

  it("take a repeated send once, also through the other broker", async () => {
    const [first, second] = clients;
    assert.ok(first && second);
    for (const [number, messageGroup] of groups.entries()) {
      const message = {
        topic: { name: topic },
        systemProperties: {
          messageId: `01${String(number).padStart(32, "0")}`,
          messageType: 2,
          bodyEncoding: 1,
          messageGroup,
        },
        body: Buffer.from(String(number)),
      };
      const places: unknown[] = [];
      const asked: readonly RawClient[] = [first, second, first];
      for (const master of asked) {
        const { status, entries } = await master.call(methods.SendMessage, { messages: [message] });
        assert.equal(status?.code, codes.ok, status?.message);
        places.push(entries[0]?.offset);
      }
      assert.deepEqual(places, [places[0], places[0], places[0]], messageGroup);
    }
    const [onA = [], onB = []] = await Promise.all(
      masters.map(({ brokerName }, index) => drain(clients[index] ?? assert.fail(), brokerName)),
    );
    assert.equal(onA.length + onB.length, groups.length);
  });

  it("wait for their broker while it is down, and go on elsewhere when the topic or an operator says so", async () => {
    const [first, second] = clients;
    assert.ok(first && second);
    await masters[1]?.kill();
    const answers = new Map<string, Sent>();
    await Promise.all(groups.map(async (group) => answers.set(group, await send(first, group))));
    const waiting = groups.filter((group) => answers.get(group)?.code === codes.notAvailable);
    const rest = groups.filter((group) => answers.get(group)?.code === codes.ok);
    assert.ok(waiting.length > 0 && rest.length > 0);
    assert.equal(waiting.length + rest.length, groups.length);
    assert.match(answers.get(waiting[0] ?? "")?.text ?? "", /lives on broker b/);
    const several = await send(first, waiting[0] ?? "", rest[0] ?? "");
    assert.equal(several.code, codes.badRequest, several.text);
    await updateTopic(first, { attributes: { "fifo.failover": "true" } });
    assert.equal((await send(first, waiting[0] ?? "")).code, codes.ok);
    await updateTopic(first, { attributes: { "fifo.failover": "false", "fifo.brokers": "a" } });
    const afterwards = await Promise.all(groups.map((group) => send(first, group)));
    assert.ok(afterwards.every(({ code }) => code === codes.ok));
  });
});
