// The statuses that do not belong to one request: what every method says when the caller, a name or the broker itself
// is wrong. What belongs to one request is tested beside its handler.
import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { HeldHandles } from "../held/index.ts";
import { type CallOptions, TestBroker, TestStream } from "./testkit/index.ts";

const { methods } = messagingService;
const { Code } = rocketmq.v2;

const topic = { name: "t" };
const group = { name: "g" };
const wrongTopic = { name: "a b" };
const wrongGroup = { name: "a b" };
const names = { topic, group };
const entries = [{ messageId: "1", receiptHandle: "h" }];
const message = { topic, systemProperties: { messageId: "1" }, body: Buffer.from("x") };
const messageQueue = { topic };
const autoRenew = { batchSize: 1, autoRenew: false, invisibleDuration: { seconds: 30 } };

const timer = { kind: "timer" as const, dueMs: 1, id: 2 };
const recallHandle = new HeldHandles(Buffer.alloc(32), "broker-a").encode("t", timer);

const half = { kind: "half" as const, dueMs: 0, id: 2 };
const transactionId = new HeldHandles(Buffer.alloc(32), "broker-a").encode("t", half);

type Name = Exclude<keyof typeof methods, "Telemetry">;

/** A correct request of each method that is served. */
const correct: Partial<Record<Name, Uint8Array>> = {
  QueryRoute: methods.QueryRoute.request.encode({ topic }),
  QueryAssignment: methods.QueryAssignment.request.encode(names),
  Heartbeat: methods.Heartbeat.request.encode({ group, clientType: 2 }),
  NotifyClientTermination: methods.NotifyClientTermination.request.encode({ group }),
  SendMessage: methods.SendMessage.request.encode({ messages: [message] }),
  ReceiveMessage: methods.ReceiveMessage.request.encode({
    group,
    messageQueue: { topic },
    ...autoRenew,
  }),
  AckMessage: methods.AckMessage.request.encode({ ...names, entries }),
  ChangeInvisibleDuration: methods.ChangeInvisibleDuration.request.encode({
    ...names,
    receiptHandle: "h",
  }),
  ForwardMessageToDeadLetterQueue: methods.ForwardMessageToDeadLetterQueue.request.encode({
    ...names,
    receiptHandle: "h",
  }),
  PullMessage: methods.PullMessage.request.encode({ group, messageQueue }),
  GetOffset: methods.GetOffset.request.encode({ group, messageQueue }),
  UpdateOffset: methods.UpdateOffset.request.encode({ group, messageQueue, offset: 3 }),
  QueryOffset: methods.QueryOffset.request.encode({ messageQueue }),
  RecallMessage: methods.RecallMessage.request.encode({ topic, recallHandle }),
  SyncLiteSubscription: methods.SyncLiteSubscription.request.encode({
    topic: { name: "lite" },
    group,
    liteTopicSet: ["a"],
  }),
  EndTransaction: methods.EndTransaction.request.encode({
    topic,
    messageId: "1",
    transactionId,
    resolution: 1,
  }),
};

/** What a correct request gives, where that is not OK. */
const expectedOf: Partial<Record<Name, number>> = {
  ReceiveMessage: Code.MESSAGE_NOT_FOUND,
  PullMessage: Code.MESSAGE_NOT_FOUND,
  GetOffset: Code.OFFSET_NOT_FOUND,
};

/** Requests about one queue: a wrong topic, a wrong group, or an id that the topic does not have. */
function wrongQueues(): (readonly [Name, Uint8Array, number])[] {
  const wrong: (readonly [Name, Uint8Array, number])[] = [];
  for (const name of ["PullMessage", "GetOffset", "UpdateOffset", "QueryOffset"] as const) {
    const { request } = methods[name];
    const encode = (fields: object): Uint8Array =>
      request.encode({ group, messageQueue, ...fields });
    const wrongQueue = { messageQueue: { topic: wrongTopic } };
    wrong.push([name, encode(wrongQueue), Code.ILLEGAL_TOPIC]);
    wrong.push([name, encode({ messageQueue: undefined }), Code.ILLEGAL_TOPIC]);
    for (const id of [-1, 8]) {
      wrong.push([name, encode({ messageQueue: { topic, id } }), Code.BAD_REQUEST]);
    }
    if (name === "QueryOffset") continue;
    wrong.push([name, encode({ group: wrongGroup }), Code.ILLEGAL_CONSUMER_GROUP]);
    wrong.push([name, encode({ group: undefined }), Code.ILLEGAL_CONSUMER_GROUP]);
  }
  return wrong;
}

/** Requests with a name that is not allowed, and the status it gives. */
const wrongNames: readonly (readonly [Name, Uint8Array, number])[] = [
  ["QueryRoute", methods.QueryRoute.request.encode({ topic: wrongTopic }), Code.ILLEGAL_TOPIC],
  [
    "QueryAssignment",
    methods.QueryAssignment.request.encode({ topic: wrongTopic, group }),
    Code.ILLEGAL_TOPIC,
  ],
  [
    "QueryAssignment",
    methods.QueryAssignment.request.encode({ topic, group: wrongGroup }),
    Code.ILLEGAL_CONSUMER_GROUP,
  ],
  [
    "Heartbeat",
    methods.Heartbeat.request.encode({ group: wrongGroup, clientType: 2 }),
    Code.ILLEGAL_CONSUMER_GROUP,
  ],
  [
    "SendMessage",
    methods.SendMessage.request.encode({ messages: [{ ...message, topic: wrongTopic }] }),
    Code.ILLEGAL_TOPIC,
  ],
  [
    "ReceiveMessage",
    methods.ReceiveMessage.request.encode({
      group: wrongGroup,
      messageQueue: { topic },
      ...autoRenew,
    }),
    Code.ILLEGAL_CONSUMER_GROUP,
  ],
  [
    "AckMessage",
    methods.AckMessage.request.encode({ topic: wrongTopic, group, entries }),
    Code.ILLEGAL_TOPIC,
  ],
  [
    "AckMessage",
    methods.AckMessage.request.encode({ topic, group: wrongGroup, entries }),
    Code.ILLEGAL_CONSUMER_GROUP,
  ],
  [
    "ChangeInvisibleDuration",
    methods.ChangeInvisibleDuration.request.encode({ topic: wrongTopic, group }),
    Code.ILLEGAL_TOPIC,
  ],
  [
    "ForwardMessageToDeadLetterQueue",
    methods.ForwardMessageToDeadLetterQueue.request.encode({ topic, group: wrongGroup }),
    Code.ILLEGAL_CONSUMER_GROUP,
  ],
  [
    "RecallMessage",
    methods.RecallMessage.request.encode({ topic: wrongTopic, recallHandle }),
    Code.ILLEGAL_TOPIC,
  ],
  [
    "SyncLiteSubscription",
    methods.SyncLiteSubscription.request.encode({ topic: wrongTopic, group }),
    Code.ILLEGAL_TOPIC,
  ],
  [
    "SyncLiteSubscription",
    methods.SyncLiteSubscription.request.encode({ topic: { name: "lite" }, group: wrongGroup }),
    Code.ILLEGAL_CONSUMER_GROUP,
  ],
  [
    "EndTransaction",
    methods.EndTransaction.request.encode({ topic: wrongTopic, transactionId }),
    Code.ILLEGAL_TOPIC,
  ],
];

describe("statuses of all methods", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    await broker.metadata.updateTopic({ name: "lite", messageType: "LITE" });
    broker.handles.add("h").add(recallHandle).add(transactionId);
  });

  async function codeOf(name: Name, request: Uint8Array, options?: CallOptions): Promise<number> {
    const { path, kind, response } = methods[name];
    if (kind === "unary") {
      return response.decode(await broker.unary(path, request, options)).status?.code ?? 0;
    }
    const stream = new TestStream(options);
    await broker.stream(path, request, stream);
    return response.decode(stream.written[0] ?? new Uint8Array()).status?.code ?? 0;
  }

  for (const [name, request] of Object.entries(correct) as [Name, Uint8Array][]) {
    it(`${name} says CLIENT_ID_REQUIRED to a caller without or with a blank or endless id`, async () => {
      for (const id of [undefined, "", " ", "x".repeat(256)]) {
        const headers: Record<string, string> = id === undefined ? {} : { "x-mq-client-id": id };
        assert.equal(await codeOf(name, request, { headers }), Code.CLIENT_ID_REQUIRED);
      }
      assert.equal(await codeOf(name, request), expectedOf[name] ?? Code.OK);
    });
  }

  for (const [name, request, expected] of [...wrongNames, ...wrongQueues()]) {
    it(`${name} says ${Code[expected]} to a name that is not allowed`, async () => {
      assert.equal(await codeOf(name, request), expected);
    });
  }

  it("a failure that nobody expected is INTERNAL_SERVER_ERROR, in band", async () => {
    const fail = (): never => {
      throw new TypeError("a bug");
    };
    broker.parts.delivery.ack = fail;
    broker.parts.delivery.changeInvisible = fail;
    broker.parts.delivery.deadLetter = fail;
    broker.parts.delivery.receive = fail;
    broker.parts.delivery.lite.sync = fail;
    broker.parts.delivery.pulls.pull = fail;
    broker.parts.delivery.offsets.get = fail;
    broker.parts.delivery.offsets.commit = fail;
    broker.parts.delivery.offsets.bounds = fail;
    broker.parts.store.send = fail;
    assert.ok(broker.parts.timers !== undefined);
    broker.parts.timers.recall = fail;
    assert.ok(broker.parts.transactions !== undefined);
    broker.parts.transactions.end = fail;
    for (const name of [
      "SendMessage",
      "ReceiveMessage",
      "AckMessage",
      "ChangeInvisibleDuration",
      "ForwardMessageToDeadLetterQueue",
      "PullMessage",
      "GetOffset",
      "UpdateOffset",
      "QueryOffset",
      "RecallMessage",
      "SyncLiteSubscription",
      "EndTransaction",
    ] as const) {
      const request = correct[name] ?? new Uint8Array();
      // A client of its own each: some are for one type of client alone.
      const options = { headers: { "x-mq-client-id": name } };
      assert.equal(await codeOf(name, request, options), Code.INTERNAL_SERVER_ERROR, name);
    }
  });
});
