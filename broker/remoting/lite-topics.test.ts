// What clients of lite topics are told: subscriptions, sends, receives and settings, each bound at its edge.
import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { messageGroupHash, queueOfMessageGroup } from "../delivery/index.ts";
import { TestBidi, TestBroker, TestConnection, TestStream } from "./testkit/index.ts";

const { methods } = messagingService;
const { Code, LiteSubscriptionAction } = rocketmq.v2;

const topic = { name: "sessions" };
const group = { name: "g" };

describe("lite topics as clients see them", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    for (const messageType of ["LITE", "NORMAL", "FIFO", "MIXED"] as const) {
      const name = messageType === "LITE" ? topic.name : messageType.toLowerCase();
      await broker.metadata.updateTopic({ name, messageType });
    }
  });

  async function sync(
    request: rocketmq.v2.ISyncLiteSubscriptionRequest,
    clientId = "client-1",
  ): Promise<rocketmq.v2.IStatus | null> {
    const { path, request: codec, response } = methods.SyncLiteSubscription;
    const bytes = codec.encode({ topic, group, ...request });
    const headers = { "x-mq-client-id": clientId };
    return response.decode(await broker.unary(path, bytes, { headers })).status;
  }

  async function send(
    properties: rocketmq.v2.ISystemProperties,
    name = topic.name,
  ): Promise<rocketmq.v2.SendMessageResponse> {
    const systemProperties = { messageId: "id", bodyEncoding: 1, ...properties };
    const message = { topic: { name }, body: Buffer.from("x"), systemProperties };
    const { path, request, response } = methods.SendMessage;
    const bytes = request.encode({ messages: [message] });
    return response.decode(await broker.unary(path, bytes));
  }

  async function receive(name: string): Promise<number | undefined> {
    const { path, request, response } = methods.ReceiveMessage;
    const stream = new TestStream();
    const invisibleDuration = { seconds: 30 };
    const wish = { group, messageQueue: { topic: { name } }, batchSize: 1, invisibleDuration };
    await broker.stream(path, request.encode(wish), stream);
    return response.decode(stream.written[0] ?? new Uint8Array()).status?.code;
  }

  async function settle(clientType: number): Promise<rocketmq.v2.ISettings | null | undefined> {
    const { path, request, response } = methods.Telemetry;
    const stream = new TestBidi();
    const handler = broker.methods.get(path);
    assert(handler?.kind === "bidi");
    const done = handler.handle(stream);
    const expression = { type: 1, expression: "*" };
    const subscription = { group, subscriptions: [{ topic, expression }] };
    stream.say(request.encode({ settings: { clientType, subscription } }));
    await new Promise(setImmediate);
    broker.clients.close();
    await done;
    return response.decode(stream.written[0] ?? new Uint8Array()).settings;
  }

  it("passes what a client wants on to delivery, for each action", async () => {
    const { PARTIAL_ADD, PARTIAL_REMOVE, COMPLETE_ADD, COMPLETE_REMOVE } = LiteSubscriptionAction;
    const actions = [PARTIAL_ADD, PARTIAL_REMOVE, COMPLETE_ADD, COMPLETE_REMOVE];
    for (const action of actions) {
      const status = await sync({ action, liteTopicSet: ["a", "b"], version: 7 });
      assert.equal(status?.code, Code.OK, status?.message ?? "");
    }
    const said = broker.synced.map(({ change }) => change);
    assert.deepEqual(said, ["add", "remove", "set", "leave"]);
    const { clientId, names, version, clientMax, isExclusive, start } = broker.synced[0] ?? {};
    assert.deepEqual(
      { clientId, names, version, clientMax, isExclusive, start },
      {
        clientId: "client-1",
        names: ["a", "b"],
        version: 7,
        clientMax: 2_000,
        isExclusive: false,
        start: undefined,
      },
    );
    assert.equal(broker.clients.isMember("client-1", "g"), true);
  });

  it("understands each offset option", async () => {
    const options = [{ policy: 0 }, { policy: 1 }, { policy: 2 }, { offset: 5 }, { tailN: 3 }];
    for (const offsetOption of [...options, { timestamp: 9 }]) {
      assert.equal((await sync({ offsetOption }))?.code, Code.OK);
    }
    assert.deepEqual(
      broker.synced.map(({ start }) => start),
      [
        undefined,
        { from: "first" },
        { from: "end" },
        { from: "offset", value: 5 },
        { from: "tail", value: 3 },
        { from: "time", value: 9 },
      ],
    );
    assert.equal((await sync({ offsetOption: { policy: 3 } }))?.code, Code.BAD_REQUEST);
    assert.equal((await sync({ offsetOption: { offset: -1 } }))?.code, Code.ILLEGAL_OFFSET);
  });

  it("refuses what no lite topic can be named", async () => {
    const longest = "é".repeat(limits.liteTopicSizeMax / 2);
    assert.equal((await sync({ liteTopicSet: [longest] }))?.code, Code.OK);
    for (const name of ["", " ", `${longest}x`, "a\nb"]) {
      assert.equal((await sync({ liteTopicSet: [name] }))?.code, Code.ILLEGAL_LITE_TOPIC);
    }
    const many = Array.from({ length: limits.liteTopicsPerSyncMax + 1 }, (_, i) => `${i}`);
    assert.equal((await sync({ liteTopicSet: many }))?.code, Code.BAD_REQUEST);
    many.pop();
    assert.equal((await sync({ liteTopicSet: many }))?.code, Code.OK);
  });

  it("refuses an action that there is none of, and topics that are not there or not LITE", async () => {
    assert.equal((await sync({ action: 4 }))?.code, Code.BAD_REQUEST);
    assert.equal((await sync({ topic: { name: "none" } }))?.code, Code.TOPIC_NOT_FOUND);
    const status = await sync({ topic: { name: "fifo" } });
    assert.equal(status?.code, Code.BAD_REQUEST);
    assert.match(
      status?.message ?? "",
      /topic fifo is of type FIFO; only topics with message.type=LITE/,
    );
  });

  it("binds a group to the first LITE topic that it subscribes to", async () => {
    await broker.metadata.updateTopic({ name: "others", messageType: "LITE" });
    assert.equal((await sync({}))?.code, Code.OK);
    const bound = broker.metadata.group("g");
    assert.equal(bound?.attributes["lite.bind.topic"], "sessions");
    assert.equal(bound?.consumeMessageOrderly, true);
    const status = await sync({ topic: { name: "others" } });
    assert.equal(status?.code, Code.BAD_REQUEST);
    assert.match(status?.message ?? "", /group g consumes the lite topics of sessions/);
  });

  it("takes quota, model and when to begin anew from the group's attributes", async () => {
    const attributes = {
      "lite.sub.client.quota": "3",
      "lite.sub.model": "Exclusive",
      "lite.sub.reset.offset.exclusive": "true",
    };
    await broker.metadata.updateGroup({ name: "g", attributes });
    await sync({ liteTopicSet: ["a"] });
    const [first] = broker.synced;
    assert.equal(first?.clientMax, 3);
    assert.equal(first?.isExclusive, true);
    assert.equal(first?.beginsAnewWhenTaken, true);
    assert.equal(first?.beginsAnewWhenRemoved, false);
    const removing = { ...attributes, "lite.sub.reset.offset.unsubscribe": "true" };
    await broker.metadata.updateGroup({ name: "g", attributes: removing });
    await sync({ liteTopicSet: ["a"] });
    assert.equal(broker.synced[1]?.beginsAnewWhenRemoved, true);
    const settings = await settle(5);
    assert.equal(settings?.subscription?.liteSubscriptionQuota, 3);
  });

  it("tells a lite consumer that another one has taken a lite topic, and nobody else", async () => {
    const told: string[] = [];
    for (const [id, type] of [
      ["lite", 5],
      ["push", 2],
    ] as const) {
      const identity = { id, language: "GO", version: "5.1.4" };
      const connection = new TestConnection();
      const tell = (): boolean => told.push(id) > 0;
      broker.clients.openSession({ identity, end: () => {}, tell }, connection);
      broker.clients.heartbeat(identity, connection, { type, group: "g" });
    }
    broker.losses = [
      { clientId: "lite", name: "a" },
      { clientId: "push", name: "a" },
      { clientId: "gone", name: "a" },
    ];
    await sync({ liteTopicSet: ["a"] });
    assert.deepEqual(told, ["lite"]);
  });

  it("hands on what another broker says of a loss, also while it serves nothing itself", async () => {
    const told: (string | undefined)[] = [];
    const identity = { id: "lite", language: "GO", version: "5.1.4" };
    const connection = new TestConnection();
    const { path, request, response } = methods.SyncLiteSubscription;
    const tell = (bytes: Uint8Array): boolean => {
      const command = methods.Telemetry.response.decode(bytes);
      return told.push(command.notifyUnsubscribeLiteCommand?.liteTopic) > 0;
    };
    broker.clients.openSession({ identity, end: () => {}, tell }, connection);
    broker.clients.heartbeat(identity, connection, { type: 5, group: "g" });
    broker.local = undefined;
    for (const clientId of ["lite", "unknown"]) {
      const headers = {
        "x-mq-client-id": clientId,
        "x-cometmq-hop": "broker-b",
        "x-cometmq-lite-loss": "1",
      };
      const bytes = request.encode({ topic, group, liteTopicSet: ["a", "b"] });
      const { status } = response.decode(await broker.unary(path, bytes, { headers }));
      assert.equal(status?.code, Code.OK, status?.message ?? "");
    }
    assert.deepEqual(told, ["a", "b"]);
    assert.equal(broker.clients.get("unknown"), undefined);
    assert.deepEqual(broker.synced, []);
  });

  it("answers lite consumers with what they may subscribe to, and the others without", async () => {
    for (const [type, quota, size] of [
      [5, 2_000, 64],
      [6, 2_000, 64],
      [2, null, null],
    ] as const) {
      const settings = await settle(type);
      assert.equal(settings?.subscription?.liteSubscriptionQuota ?? null, quota);
      assert.equal(settings?.subscription?.maxLiteTopicSize ?? null, size);
    }
  });

  it("lets lite consumers receive from LITE topics only, and nobody else", async () => {
    await settle(5);
    assert.equal(await receive("sessions"), Code.MESSAGE_NOT_FOUND);
    const heartbeat = async (clientType: number): Promise<void> => {
      const { path, request } = methods.Heartbeat;
      await broker.unary(path, request.encode({ clientType, group }));
    };
    await heartbeat(5);
    assert.equal(await receive("normal"), Code.BAD_REQUEST);
    await heartbeat(2);
    assert.equal(await receive("sessions"), Code.BAD_REQUEST);
    assert.equal((await sync({}))?.code, Code.BAD_REQUEST);
  });

  it("stores a message in the queue of its lite topic", async () => {
    for (const liteTopic of ["a", "b", "c"]) {
      const { status } = await send({ liteTopic, messageType: 5 });
      assert.equal(status?.code, Code.OK, status?.message ?? "");
      const draft = broker.appended.at(-1)?.[0];
      assert.equal(draft?.messageGroupHash, messageGroupHash(liteTopic));
      assert.equal(draft?.queueId, queueOfMessageGroup(messageGroupHash(liteTopic), 8));
    }
  });

  it("takes lite messages in LITE topics alone, and nothing else there", async () => {
    const conflict = Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE;
    for (const name of ["normal", "fifo", "mixed"]) {
      assert.equal((await send({ liteTopic: "a" }, name)).status?.code, conflict);
    }
    assert.equal((await send({})).status?.code, conflict);
    assert.equal((await send({ liteTopic: "" })).status?.code, conflict);
    assert.equal((await send({ liteTopic: "a", messageGroup: "b" })).status?.code, conflict);
    assert.equal(
      (await send({ liteTopic: "a", deliveryTimestamp: { seconds: 9 } })).status?.code,
      conflict,
    );
  });

  it("refuses a lite message with a bad name, or when there are too many lite topics", async () => {
    const longest = "x".repeat(limits.liteTopicSizeMax);
    assert.equal((await send({ liteTopic: longest })).status?.code, Code.OK);
    for (const liteTopic of [" ", `${longest}x`, "a\u0000"]) {
      assert.equal((await send({ liteTopic })).status?.code, Code.ILLEGAL_LITE_TOPIC);
    }
    broker.admitFailure = new MqError("LITE_TOPIC_QUOTA_EXCEEDED", "full");
    const { status } = await send({ liteTopic: "new" });
    assert.equal(status?.code, Code.LITE_TOPIC_QUOTA_EXCEEDED);
  });

  it("gives one queue of a broker to ask for, also to a group that consumes in order", async () => {
    await sync({});
    const { path, request, response } = methods.QueryAssignment;
    const bytes = request.encode({ topic, group, endpoints: {} });
    const { assignments } = response.decode(await broker.unary(path, bytes));
    assert.deepEqual(
      assignments.map(({ messageQueue }) => messageQueue?.id),
      [-1],
    );
  });
});
