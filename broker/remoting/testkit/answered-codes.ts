// Requests that are answered with each code of the protocol, made of calls of a client, whatever lies between.
import { messagingService, rocketmq, timestampOfMs } from "@cometmq/proto";
import { type ErrorCode, MqError } from "../../../base/index.ts";
import { HeldHandles } from "../../held/index.ts";
import { permission } from "../../metadata/index.ts";
import type { TestBroker } from "./test-broker.ts";
import type { AnsweredStatus, TestClient } from "./test-client.ts";

const { methods } = messagingService;

type CodeName = keyof typeof rocketmq.v2.Code;

/** A broker and its client. */
export interface AnsweredScene {
  readonly broker: TestBroker;
  readonly client: TestClient;
}

/** A request, and what its answer has to say beside the code. */
export interface AnsweredCase {
  readonly says: string | RegExp;
  readonly ask: (scene: AnsweredScene) => Promise<AnsweredStatus>;
  readonly flags?: Readonly<Record<string, string>>;
}

/** The disk or the slaves of the broker have failed with that. */
function failing(code: ErrorCode, text: string): AnsweredCase {
  return {
    says: text,
    ask: ({ broker, client }) => {
      broker.appendFailure = new MqError(code, text, { facts: { position: 1 } });
      return client.send();
    },
  };
}

const topic = { name: "t" };
const half = { kind: "half" as const, dueMs: 0, id: 2 };
const transactionId = new HeldHandles(Buffer.alloc(32), "broker-a").encode("t", half);

/** Each code that clients may get. */
export const answeredCodes: { readonly [name in CodeName]?: readonly AnsweredCase[] } = {
  OK: [{ says: "OK", ask: ({ client }) => client.send() }],
  MULTIPLE_RESULTS: [
    {
      says: "MULTIPLE_RESULTS",
      ask: ({ broker, client }) => {
        broker.handles.add("h");
        return client.acknowledge("h", "stale");
      },
    },
  ],
  BAD_REQUEST: [
    { says: "no message to acknowledge", ask: ({ client }) => client.acknowledge() },
    { says: "no queue 8", ask: ({ client }) => client.pull({ messageQueue: { topic, id: 8 } }) },
    {
      says: "cannot be read",
      ask: ({ client }) => client.call("QueryRoute", Uint8Array.of(0x0a, 0xff)),
    },
    {
      says: "no resolution",
      ask: ({ client }) => client.call("EndTransaction", endOf({ transactionId, resolution: 7 })),
    },
    {
      says: "policy 9 is unknown",
      ask: ({ client }) => {
        const request = { messageQueue: { topic }, queryOffsetPolicy: 9 };
        return client.call("QueryOffset", methods.QueryOffset.request.encode(request));
      },
    },
    {
      says: "neither publishing nor subscription",
      ask: ({ client }) => client.settle({ clientType: 1 }),
    },
    {
      says: "does not fit the call's deadline",
      ask: ({ client }) => {
        const headers = { "x-mq-client-id": "old", "x-mq-client-version": "5.0.2" };
        const longPollingTimeout = { seconds: 20 };
        return client.receive({ longPollingTimeout }, { headers, remainingMs: 1_000 });
      },
    },
  ],
  ILLEGAL_TOPIC: [
    { says: "is blank", ask: ({ client }) => client.send({ topic: { name: " " } }) },
    { says: "may only hold", ask: ({ client }) => client.send({ topic: { name: "a.b" } }) },
    {
      says: "kept for the system",
      ask: ({ client }) => client.send({ topic: { name: "TBW102" } }),
    },
    { says: "rmq_sys_", ask: ({ client }) => client.send({ topic: { name: "rmq_sys_x" } }) },
  ],
  ILLEGAL_CONSUMER_GROUP: [
    { says: "is blank", ask: ({ client }) => client.receive({ group: { name: "" } }) },
    { says: "may only hold", ask: ({ client }) => client.receive({ group: { name: "a b" } }) },
    {
      says: "kept for the system",
      ask: ({ client }) => client.receive({ group: { name: "CID_RMQ_SYS_x" } }),
    },
  ],
  ILLEGAL_MESSAGE_TAG: [
    { says: "blank", ask: ({ client }) => client.send({}, { tag: " " }) },
    { says: "the character |", ask: ({ client }) => client.send({}, { tag: "a|b" }) },
    { says: "control character", ask: ({ client }) => client.send({}, { tag: "a\u0007" }) },
  ],
  ILLEGAL_MESSAGE_KEY: [
    { says: "blank", ask: ({ client }) => client.send({}, { keys: ["a", " "] }) },
    { says: "control character", ask: ({ client }) => client.send({}, { keys: ["a\n"] }) },
  ],
  ILLEGAL_MESSAGE_GROUP: [
    { says: "blank", ask: ({ client }) => client.send({}, { messageGroup: " " }) },
    {
      says: "control character",
      ask: ({ client }) => client.send({}, { messageGroup: "a\u0000" }),
    },
  ],
  ILLEGAL_MESSAGE_PROPERTY_KEY: [
    { says: "reserved", ask: ({ client }) => client.send({ userProperties: { TAGS: "a" } }) },
    { says: "the key", ask: ({ client }) => client.send({ userProperties: { "a\t": "b" } }) },
    { says: "the value", ask: ({ client }) => client.send({ userProperties: { a: "b\u0085" } }) },
  ],
  INVALID_TRANSACTION_ID: [
    {
      says: "blank or malformed",
      ask: ({ client }) => client.call("EndTransaction", endOf({ transactionId: " " })),
    },
  ],
  ILLEGAL_MESSAGE_ID: [{ says: "blank", ask: ({ client }) => client.send({}, { messageId: "" }) }],
  ILLEGAL_FILTER_EXPRESSION: [
    {
      says: /./,
      ask: ({ client }) => client.receive({ filterExpression: { type: 2, expression: "a = " } }),
    },
  ],
  ILLEGAL_INVISIBLE_TIME: [
    {
      says: "too small",
      ask: ({ client }) => client.receive({ invisibleDuration: { seconds: 9 } }),
    },
    { says: "too large", ask: ({ client }) => client.changeInvisible({ seconds: 43_201 }) },
  ],
  ILLEGAL_DELIVERY_TIME: [
    {
      says: "timerMaxDelaySec",
      flags: { timerMaxDelaySec: "60" },
      ask: async ({ broker, client }) => {
        await broker.metadata.updateTopic({ name: "t", messageType: "DELAY" });
        const deliveryTimestamp = timestampOfMs(broker.clock.now() + 61_000);
        return client.send({}, { deliveryTimestamp });
      },
    },
  ],
  INVALID_RECEIPT_HANDLE: [
    { says: "receipt handle", ask: ({ client }) => client.acknowledge("stale") },
    { says: "receipt handle", ask: ({ client }) => client.changeInvisible({ seconds: 30 }) },
    {
      says: "missing or malformed",
      ask: ({ client }) => {
        const request = { topic, recallHandle: "x" };
        return client.call("RecallMessage", methods.RecallMessage.request.encode(request));
      },
    },
  ],
  MESSAGE_PROPERTY_CONFLICT_WITH_TYPE: [
    { says: "accepts NORMAL", ask: ({ client }) => client.send({}, { messageGroup: "a" }) },
    {
      says: "no delivery timestamp",
      ask: async ({ broker, client }) => {
        await broker.metadata.updateTopic({ name: "t", messageType: "TRANSACTION" });
        return client.send({}, { messageType: 4, deliveryTimestamp: { seconds: 2_000_000_000 } });
      },
    },
  ],
  UNRECOGNIZED_CLIENT_TYPE: [
    { says: "known are", ask: ({ client }) => client.heartbeat({ clientType: 0 }) },
    {
      says: "does not go with",
      ask: ({ client }) => client.settle({ clientType: 2, publishing: { topics: [topic] } }),
    },
  ],
  MESSAGE_CORRUPTED: [
    { says: "holds no message", ask: ({ client }) => client.call("SendMessage", sendOf()) },
    { says: "t and u", ask: ({ client }) => client.call("SendMessage", sendOf("t", "u")) },
    {
      says: "cannot be read",
      ask: ({ client }) => client.call("SendMessage", Uint8Array.of(0x0a, 0xff)),
    },
  ],
  CLIENT_ID_REQUIRED: [
    { says: "x-mq-client-id", ask: ({ client }) => client.heartbeat({}, { headers: {} }) },
  ],
  ILLEGAL_POLLING_TIME: [
    {
      says: "does not fit the call's deadline",
      ask: ({ client }) =>
        client.receive({ longPollingTimeout: { seconds: 20 } }, { remainingMs: 1_000 }),
    },
  ],
  ILLEGAL_OFFSET: [
    {
      says: "has 10 to 100",
      ask: ({ broker, client }) => {
        broker.toPull = { kind: "outside", nextOffset: 10, minOffset: 10, endOffset: 100 };
        return client.pull({ offset: 3 });
      },
    },
  ],
  INVALID_CLIENT_PROPERTIES: [
    {
      says: "reserved",
      ask: ({ client }) => {
        const clientProperties = { "rocketmq.x": "y" };
        return client.settle({ clientType: 1, publishing: { topics: [topic] }, clientProperties });
      },
    },
  ],
  FORBIDDEN: [
    {
      says: "not writable",
      ask: async ({ broker, client }) => {
        await broker.metadata.updateTopic({ name: "t", perm: permission.read });
        return client.send();
      },
    },
    {
      says: "not readable",
      ask: async ({ broker, client }) => {
        await broker.metadata.updateTopic({ name: "t", perm: permission.write });
        return client.receive();
      },
    },
    {
      says: "consumeEnable",
      ask: async ({ broker, client }) => {
        await broker.metadata.updateGroup({ name: "g", consumeEnable: false });
        return client.receive();
      },
    },
  ],
  MESSAGE_NOT_FOUND: [
    { says: "no new message", ask: ({ client }) => client.receive() },
    { says: "no new message", ask: ({ client }) => client.pull() },
  ],
  TOPIC_NOT_FOUND: [
    {
      says: "No topic route info",
      flags: { autoCreateTopicEnable: "false" },
      ask: ({ client }) => client.send(),
    },
  ],
  CONSUMER_GROUP_NOT_FOUND: [
    {
      says: "mqadmin updateSubGroup",
      flags: { autoCreateSubscriptionGroup: "false" },
      ask: ({ client }) => client.receive(),
    },
  ],
  OFFSET_NOT_FOUND: [
    {
      says: /./,
      ask: ({ client }) => {
        const request = { group: { name: "g" }, messageQueue: { topic } };
        return client.call("GetOffset", methods.GetOffset.request.encode(request));
      },
    },
  ],
  MESSAGE_BODY_TOO_LARGE: [
    {
      says: "maxMessageSize",
      flags: { maxMessageSize: "1024" },
      ask: ({ client }) => client.send({ body: Buffer.alloc(1_025) }),
    },
  ],
  MESSAGE_BODY_EMPTY: [
    { says: "empty", ask: ({ client }) => client.send({ body: new Uint8Array() }) },
  ],
  TOO_MANY_REQUESTS: [
    failing("TOO_MANY_REQUESTS", "the queue of writes is full"),
    {
      says: "timerPendingMax",
      ask: async ({ broker, client }) => {
        await broker.metadata.updateTopic({ name: "t", messageType: "DELAY" });
        broker.admitFailure = new MqError("TOO_MANY_REQUESTS", "full (timerPendingMax)");
        return client.send({}, { deliveryTimestamp: timestampOfMs(broker.clock.now() + 1_000) });
      },
    },
  ],
  ILLEGAL_LITE_TOPIC: [
    { says: "blank", ask: ({ client, broker }) => sendLite(broker, client, " ") },
    { says: "64", ask: ({ client, broker }) => sendLite(broker, client, "x".repeat(65)) },
  ],
  LITE_TOPIC_QUOTA_EXCEEDED: [
    {
      says: "maxLmqConsumeQueueNum",
      ask: ({ client, broker }) => {
        broker.admitFailure = new MqError(
          "LITE_TOPIC_QUOTA_EXCEEDED",
          "full (maxLmqConsumeQueueNum)",
        );
        return sendLite(broker, client, "a");
      },
    },
  ],
  LITE_SUBSCRIPTION_QUOTA_EXCEEDED: [
    {
      says: "lite.sub.client.quota",
      ask: async ({ client, broker }) => {
        await broker.metadata.updateTopic({ name: "t", messageType: "LITE" });
        const text = "full (lite.sub.client.quota)";
        broker.admitFailure = new MqError("LITE_SUBSCRIPTION_QUOTA_EXCEEDED", text);
        const request = { topic, group: { name: "g" }, action: 1, liteTopicSet: ["a"] };
        const { SyncLiteSubscription } = methods;
        return client.call("SyncLiteSubscription", SyncLiteSubscription.request.encode(request));
      },
    },
  ],
  MESSAGE_PROPERTIES_TOO_LARGE: [
    { says: "16384", ask: ({ client }) => client.send({}, { tag: "x".repeat(16_385) }) },
  ],
  INTERNAL_SERVER_ERROR: [
    failing("DISK_FULL", "no space left"),
    failing("STORE_FAILED", "the flush failed"),
    failing("INTERNAL_SERVER_ERROR", "a bug"),
  ],
  HA_NOT_AVAILABLE: [
    failing("HA_NOT_AVAILABLE", "no slave is in sync"),
    {
      says: /./,
      ask: ({ broker, client }) => {
        broker.local = undefined;
        broker.standing = { kind: "none", epoch: 1, reason: "starting" };
        return client.receive({}, { remainingMs: 100 });
      },
    },
  ],
  MASTER_PERSISTENCE_TIMEOUT: [failing("MASTER_PERSISTENCE_TIMEOUT", "the disk is late")],
  SLAVE_PERSISTENCE_TIMEOUT: [failing("SLAVE_PERSISTENCE_TIMEOUT", "the slaves are late")],
  UNSUPPORTED: [
    {
      says: /queue/,
      ask: async ({ broker, client }) => {
        await broker.metadata.updateTopic({ name: "t", messageType: "PRIORITY" });
        return client.pull();
      },
    },
  ],
};

async function sendLite(
  broker: TestBroker,
  client: TestClient,
  liteTopic: string,
): Promise<AnsweredStatus> {
  await broker.metadata.updateTopic({ name: "t", messageType: "LITE" });
  return await client.send({}, { liteTopic });
}

function endOf(fields: rocketmq.v2.IEndTransactionRequest): Uint8Array {
  return methods.EndTransaction.request.encode({ topic, messageId: "1", ...fields });
}

function sendOf(...topics: readonly string[]): Uint8Array {
  const messages = topics.map((name) => ({
    topic: { name },
    systemProperties: { messageId: name },
    body: Buffer.from("x"),
  }));
  return methods.SendMessage.request.encode({ messages });
}

/** Each case, with the name of the code that it is answered with. */
export function answeredCases(): readonly (readonly [name: string, one: AnsweredCase])[] {
  return Object.entries<readonly AnsweredCase[] | undefined>(answeredCodes).flatMap(
    ([name, cases]) => (cases ?? []).map((one) => [name, one] as const),
  );
}
