// The commands for lite topics as an operator types them: against two masters, with consumers of the SDK.
import assert from "node:assert/strict";
import { LiteSimpleConsumer, type MessageView, Producer } from "@cometmq/client";
import { ClusterProcesses, type Member } from "./cluster-processes.ts";
import { mqadmin, mqadminJson } from "./mqadmin-run.ts";
import { brokerAdminService } from "./raw-client.ts";
import { until } from "./waiting.ts";

const topic = "sessions";

interface Summary {
  readonly broker: string;
  readonly liteTopics: number;
  readonly liteTopicsMax: number;
  readonly messages: number;
  readonly subscriptions: number;
  readonly subscriptionsMax: number;
  readonly clients: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly expirationMinutes: number;
    readonly liteTopics: number;
    readonly groups: readonly string[];
  }[];
}

interface LiteTopic {
  readonly broker: string;
  readonly owner: string;
  readonly places: readonly { readonly messages: number; readonly lastUpdate: string }[];
  readonly subscriberCount: number;
  readonly subscribers: readonly { readonly group: string; readonly clientId: string }[];
}

interface LiteClient {
  readonly known: boolean;
  readonly liteTopics: readonly string[];
  readonly lag: number;
  readonly lastHeartbeat: string;
}

interface Behind {
  readonly liteTopic: string;
  readonly broker: string;
  readonly lag: number;
  readonly pending: number;
  readonly oldest: string;
}

interface LiteGroup {
  readonly lag: number;
  readonly pending: number;
  readonly byLag: readonly Behind[];
  readonly byAge: readonly Behind[];
  readonly places: readonly Behind[];
}

describe("mqadmin for lite topics", function () {
  this.timeout(90_000);
  let cluster: ClusterProcesses;
  let nameServer = "";
  let producer: Producer;
  let consumer: LiteSimpleConsumer;

  before(async () => {
    const flags = ["--maxLmqConsumeQueueNum", "5000"];
    cluster = await ClusterProcesses.start({ nameServers: 1, masters: 2, flags });
    nameServer = cluster.nameServers[0]?.address ?? "";
    const attributes = "+message.type=LITE,+lite.topic.expiration=60";
    await cluster.createTopic(topic, "-a", attributes);
    await cluster.createTopic("plain");
    await Promise.all(cluster.masters.map((master) => knowsBoth(master)));
    producer = new Producer({ endpoints: nameServer, topics: [topic] });
    await producer.startup();
    // Nine lite topics, "lite 1" with one message to "lite 9" with nine.
    for (let index = 9; index > 0; index--) await send(`lite ${index}`, index);
    consumer = await started("servers");
    await consumer.subscribeLite("lite 1");
    await consumer.subscribeLite("lite 9");
  });

  after(async () => {
    await producer?.shutdown();
    await consumer?.shutdown();
    await cluster?.close();
  });

  const json = <T>(...args: string[]): Promise<T> => mqadminJson<T>(nameServer, ...args);
  const ofGroup = ["getLiteGroupInfo", "-p", topic, "-g", "servers"] as const;

  /** Lite topics are where they stay once the masters have found each other. */
  async function knowsBoth({ name, address }: Member): Promise<void> {
    const client = cluster.client(address);
    await until(`${name} to know both brokers of the topic`, async () => {
      const { topic: config } = await client.call(brokerAdminService.methods.GetTopicStatus, {
        name: topic,
      });
      return config?.attributes["fifo.brokers"] === "m1;m2";
    });
  }

  async function send(liteTopic: string, count: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      await producer.send({ topic, liteTopic, body: Buffer.from(`${index}`) });
    }
  }

  async function started(consumerGroup: string): Promise<LiteSimpleConsumer> {
    const options = { endpoints: nameServer, bindTopic: topic, awaitDuration: 1_000 };
    const one = new LiteSimpleConsumer({ ...options, consumerGroup });
    await one.startup();
    return one;
  }

  /** Receives until it has so many. */
  async function receive(from: LiteSimpleConsumer, count: number): Promise<MessageView[]> {
    const all: MessageView[] = [];
    while (all.length < count) all.push(...(await from.receive(count - all.length, 300_000)));
    return all;
  }

  async function typed(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await mqadmin(...args, "-n", nameServer);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async function refused(code: number, pattern: RegExp, ...args: string[]): Promise<string> {
    const outcome = await mqadmin(...args, "-n", nameServer);
    assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
    assert.match(outcome.stderr, pattern);
    return outcome.stdout;
  }

  const sum = <T>(rows: readonly T[], read: (row: T) => number): number =>
    rows.reduce((total, row) => total + read(row), 0);

  it("getBrokerLiteInfo shows what each master has and may have", async () => {
    const brokers = await json<Summary[]>("getBrokerLiteInfo", "-c", "DefaultCluster");
    assert.deepEqual(
      brokers.map(({ broker, liteTopicsMax, subscriptions, subscriptionsMax, clients }) => [
        ...[broker, liteTopicsMax, subscriptions, subscriptionsMax, clients],
      ]),
      [
        ["m1", 5_000, 2, 200_000, 1],
        ["m2", 5_000, 2, 200_000, 1],
      ],
    );
    assert.equal(
      sum(brokers, ({ liteTopics }) => liteTopics),
      9,
    );
    assert.equal(
      sum(brokers, ({ messages }) => messages),
      45,
    );
    const [first] = brokers[0]?.topics ?? [];
    assert.deepEqual(
      [first?.topic, first?.expirationMinutes, first?.groups],
      [topic, 60, ["servers"]],
    );
    const address = cluster.addressOf("m2");
    const text = await typed("getBrokerLiteInfo", "-b", address, "-d");
    assert.match(
      text,
      /sessions: \d+ lite topics, \d+ messages, expiration 60 min, groups servers\nBroker/,
    );
    await refused(2, /not both/, "getBrokerLiteInfo", "-b", address, "-c", "DefaultCluster");
    await refused(1, /no master in cluster X/, "getBrokerLiteInfo", "-c", "X");
  });

  it("getParentTopicInfo shows a LITE topic on each master", async () => {
    const parents = await json<{ broker: string; liteTopics: number; groups: string[] }[]>(
      ...["getParentTopicInfo", "-p", topic],
    );
    assert.deepEqual(
      parents.map(({ broker }) => broker),
      ["m1", "m2"],
    );
    assert.equal(
      sum(parents, ({ liteTopics }) => liteTopics),
      9,
    );
    assert.match(await typed("getParentTopicInfo", "-p", topic), /^m1 +60 min +\d/m);
    await refused(
      1,
      /topic plain is of type NORMAL; only topics with message.type=LITE/,
      ...["getParentTopicInfo", "-p", "plain"],
    );
    await refused(1, /no route for topic none/, "getParentTopicInfo", "-p", "none");
    await refused(2, /required argument: parentTopic/, "getParentTopicInfo");
  });

  it("getLiteTopicInfo shows where a lite topic is and who wants it", async () => {
    const asked = ["getLiteTopicInfo", "-p", topic, "-l", "lite 9"];
    const brokers = await json<LiteTopic[]>(...asked);
    const { clientId } = consumer;
    for (const { broker, owner, places, subscribers } of brokers) {
      assert.equal(owner, brokers[0]?.owner);
      assert.deepEqual(
        places.map(({ messages }) => messages),
        broker === owner ? [9] : [],
      );
      assert.deepEqual(subscribers, [{ group: "servers", clientId }]);
    }
    const text = await typed(...asked, "-s");
    assert.ok(text.includes(`m1: ${clientId}@servers\nm2: ${clientId}@servers\n`), text);
    const none = await json<LiteTopic[]>("getLiteTopicInfo", "-p", topic, "-l", "nobody's");
    assert.deepEqual(
      none.map(({ places, subscriberCount }) => [places.length, subscriberCount]),
      [
        [0, 0],
        [0, 0],
      ],
    );
    await refused(1, /lite topic has 65 bytes/, ...asked.slice(0, 4), "x".repeat(65));
    await refused(2, /required argument: liteTopic/, ...asked.slice(0, 3));
  });

  it("getLiteClientInfo shows what a client wants and what waits for it", async () => {
    const asked = ["getLiteClientInfo", "-p", topic, "-g", "servers", "-c", consumer.clientId];
    const brokers = await json<LiteClient[]>(...asked);
    for (const { known, liteTopics, lastHeartbeat } of brokers) {
      assert.equal(known, true);
      assert.deepEqual(liteTopics, ["lite 1", "lite 9"]);
      assert.match(lastHeartbeat, /^20\d\d-/);
    }
    assert.equal(
      sum(brokers, ({ lag }) => lag),
      10,
    );
    assert.match(await typed(...asked, "-s"), /^m1: lite 1, lite 9$/m);
    const stranger = [...asked.slice(0, -1), "stranger"];
    await refused(1, /no client stranger .*mqadmin consumerConnection -g servers/, ...stranger);
    const ofNobody = ["getLiteClientInfo", "-p", topic, "-g", "nobody", "-c", "x"];
    await refused(1, /the consumer group nobody does not exist/, ...ofNobody);
  });

  it("getLiteGroupInfo shows where a group is farthest behind, and how far it is in one", async () => {
    const [first, second] = await receive(consumer, 10).then((all) =>
      all.filter(({ liteTopic }) => liteTopic === "lite 9"),
    );
    assert.ok(first !== undefined && second !== undefined);
    await consumer.ack(first);
    const all = await json<LiteGroup>(...ofGroup, "-k", "3");
    assert.deepEqual([all.lag, all.pending], [44, 9]);
    assert.deepEqual(
      all.byLag.map(({ lag }) => lag),
      [8, 8, 7],
    );
    assert.deepEqual(
      all.byAge.map(({ liteTopic }) => liteTopic),
      ["lite 9", "lite 8", "lite 7"],
    );
    const text = await typed(...ofGroup, "-k", "1");
    assert.match(text, /^lag in all: 44, handed out of that: 9$/m);
    assert.match(text, /^age +1 +lite 9 +m[12] +\d+ +8 +8 +20\d\d-/m);
    const one = await json<LiteGroup>(...ofGroup, "-l", "lite 9");
    assert.deepEqual([one.lag, one.pending, one.places.length], [8, 8, 1]);
    assert.match(one.places[0]?.oldest ?? "", /^20\d\d-/);
    assert.match(
      await typed(...ofGroup, "-l", "lite 9"),
      /^Broker +Queue +Oldest +Next +Max +Lag +Pending +Stored\nm[12] +\d+ +\d+ +\d+ +\d+ +8 +8 +20\d\d-/m,
    );
    const none = await json<LiteGroup>(...ofGroup, "-l", "nobody's");
    assert.deepEqual([none.lag, none.places], [0, []]);
    await refused(2, /--topK must be a whole number from 1 to 100/, ...ofGroup, "-k", "101");
    await typed("updateSubGroup", "-c", "DefaultCluster", "-g", "idle");
    const ofIdle = ["getLiteGroupInfo", "-p", topic, "-g", "idle"];
    await refused(1, /group idle has never subscribed to lite topics/, ...ofIdle);
    await cluster.createTopic("others", "-a", "+message.type=LITE");
    const elsewhere = ["getLiteGroupInfo", "-p", "others", "-g", "servers"];
    await refused(1, /servers consumes the lite topics of sessions .* not of others/, ...elsewhere);
  });

  it("shows the rest and ends with 1 when a master gives no answer", async () => {
    const second = cluster.masters.find(({ name }) => name === "m2");
    assert.ok(second !== undefined);
    second.program.child.kill("SIGSTOP");
    const commands = [
      ["getBrokerLiteInfo"],
      ["getParentTopicInfo", "-p", topic],
      ["getLiteTopicInfo", "-p", topic, "-l", "lite 9"],
      ["getLiteClientInfo", "-p", topic, "-g", "servers", "-c", consumer.clientId],
      [...ofGroup],
    ];
    const missing = /no answer from 1 brokers:\n {2}m2: .* did not answer in time/;
    try {
      for (const command of commands) {
        const shown = await refused(1, missing, ...command, "--timeout", "700");
        assert.match(shown, /\bm1\b|lag in all/);
      }
    } finally {
      second.program.child.kill("SIGCONT");
    }
  });

  it("lets a group begin lite topics anew, as its attributes say", async () => {
    const group = ["updateSubGroup", "-c", "DefaultCluster", "-g", "shifts"];
    const attributes = "+lite.sub.model=Exclusive,+lite.sub.reset.offset.exclusive=true";
    await typed(...group, "-a", attributes);
    const consume = async (by: LiteSimpleConsumer): Promise<string> => {
      const messages = await receive(by, 3);
      for (const message of messages) await by.ack(message);
      return messages.map(({ body }) => body.toString()).join("");
    };
    await using early = await started("shifts");
    await using late = await started("shifts");
    await early.subscribeLite("lite 3");
    assert.equal(await consume(early), "012");
    await late.subscribeLite("lite 3");
    assert.equal(await consume(late), "012");
    const reset = "+lite.sub.reset.offset.unsubscribe=true,-lite.sub.reset.offset.exclusive";
    await typed(...group, "-a", reset);
    await early.subscribeLite("lite 3");
    assert.deepEqual(await early.receive(3, 60_000), []);
    await early.unsubscribeLite("lite 3");
    await late.subscribeLite("lite 3");
    assert.equal(await consume(late), "012");
    await refused(
      1,
      /unknown attribute "lite.sub.client.max.event.cnt": allowed are/,
      ...[...group, "-a", "+lite.sub.client.max.event.cnt=10"],
    );
  });
});
