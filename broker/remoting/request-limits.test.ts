// Every limit of a request at its bound: one below and the bound itself are taken, one above is refused with its code and
// a text that says what is allowed.
import assert from "node:assert/strict";
import { durationOfMs, rocketmq, timestampOfMs } from "@cometmq/proto";
import { limits } from "../../base/index.ts";
import { type AnsweredStatus, TestBroker, TestClient } from "./testkit/index.ts";

const { Code } = rocketmq.v2;

interface Scene {
  readonly broker: TestBroker;
  readonly client: TestClient;
}

interface Limit {
  readonly what: string;
  readonly max: number;
  readonly code: keyof typeof rocketmq.v2.Code;
  /** Part of the text of a refusal; the limit as it is written in code, without one. */
  readonly says?: string;
  /** What a request within the limit gets; OK without one. */
  readonly taken?: keyof typeof rocketmq.v2.Code;
  readonly ask: (scene: Scene, value: number) => Promise<AnsweredStatus>;
}

const filler = (size: number): string => "x".repeat(size);
const properties = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, "v"]));
const client = ({
  headers,
}: {
  readonly headers: Record<string, string>;
}): { headers: Record<string, string> } => ({ headers });

const delayMaxSec = 60;
const noMessage = "MESSAGE_NOT_FOUND";

const upperLimits: readonly Limit[] = [
  {
    what: "bytes of a body",
    max: 4_194_304,
    code: "MESSAGE_BODY_TOO_LARGE",
    ask: (scene, size) => scene.client.send({ body: Buffer.alloc(size, 1) }),
  },
  {
    what: "characters of a topic",
    max: limits.topicLengthMax,
    code: "ILLEGAL_TOPIC",
    ask: (scene, size) => scene.client.send({ topic: { name: filler(size) } }),
  },
  {
    what: "characters of a dead-letter topic",
    max: limits.derivedTopicLengthMax,
    code: "ILLEGAL_TOPIC",
    taken: "TOPIC_NOT_FOUND",
    ask: (scene, size) => scene.client.send({ topic: { name: `%DLQ%${filler(size - 5)}` } }),
  },
  {
    what: "characters of a consumer group",
    max: limits.consumerGroupLengthMax,
    code: "ILLEGAL_CONSUMER_GROUP",
    taken: noMessage,
    ask: (scene, size) => scene.client.receive({ group: { name: filler(size) } }),
  },
  {
    what: "characters of a client id",
    max: 255,
    code: "CLIENT_ID_REQUIRED",
    ask: (scene, size) =>
      scene.client.heartbeat({}, client({ headers: { "x-mq-client-id": filler(size) } })),
  },
  {
    what: "user properties",
    max: limits.userPropertyCountMax,
    code: "MESSAGE_PROPERTIES_TOO_LARGE",
    ask: (scene, count) => scene.client.send({ userProperties: properties(count) }),
  },
  {
    what: "bytes of user properties",
    max: limits.userPropertySizeMax,
    code: "MESSAGE_PROPERTIES_TOO_LARGE",
    ask: (scene, size) => scene.client.send({ userProperties: { key: filler(size - 3) } }),
  },
  {
    what: "bytes of a tag",
    max: limits.userPropertySizeMax,
    code: "MESSAGE_PROPERTIES_TOO_LARGE",
    ask: (scene, size) => scene.client.send({}, { tag: filler(size) }),
  },
  {
    what: "bytes of message keys",
    max: limits.userPropertySizeMax,
    code: "MESSAGE_PROPERTIES_TOO_LARGE",
    ask: (scene, size) => scene.client.send({}, { keys: [filler(1_000), filler(size - 1_000)] }),
  },
  {
    what: "bytes of properties, tag and keys together",
    max: limits.userPropertySizeMax,
    code: "MESSAGE_PROPERTIES_TOO_LARGE",
    ask: (scene, size) =>
      scene.client.send(
        { userProperties: { ab: "cd" } },
        { tag: filler(1_000), keys: [filler(size - 1_004)] },
      ),
  },
  {
    what: "bytes of a message group",
    max: limits.messageGroupSizeMax,
    code: "ILLEGAL_MESSAGE_GROUP",
    // Counted in bytes: the last character has two.
    ask: async ({ broker, client: sender }, size) => {
      await broker.metadata.updateTopic({ name: "f", messageType: "FIFO" });
      return sender.send({ topic: { name: "f" } }, { messageGroup: `${filler(size - 2)}é` });
    },
  },
  {
    what: "bytes of a lite topic",
    max: limits.liteTopicSizeMax,
    code: "ILLEGAL_LITE_TOPIC",
    ask: async ({ broker, client: sender }, size) => {
      await broker.metadata.updateTopic({ name: "l", messageType: "LITE" });
      return sender.send({ topic: { name: "l" } }, { liteTopic: `${filler(size - 2)}é` });
    },
  },
  {
    what: "milliseconds to the first check of a transaction",
    max: limits.orphanedRecoveryMaxMs,
    code: "BAD_REQUEST",
    ask: async ({ broker, client: sender }, ms) => {
      await broker.metadata.updateTopic({ name: "x", messageType: "TRANSACTION" });
      const orphanedTransactionRecoveryDuration = durationOfMs(ms);
      return sender.send(
        { topic: { name: "x" } },
        { messageType: 4, orphanedTransactionRecoveryDuration },
      );
    },
  },
  {
    what: "seconds of delay (timerMaxDelaySec)",
    max: delayMaxSec,
    code: "ILLEGAL_DELIVERY_TIME",
    ask: async ({ broker, client: sender }, seconds) => {
      await broker.metadata.updateTopic({ name: "d", messageType: "DELAY" });
      const deliveryTimestamp = timestampOfMs(broker.clock.now() + seconds * 1_000);
      return sender.send({ topic: { name: "d" } }, { deliveryTimestamp });
    },
  },
  {
    what: "milliseconds that a received message is invisible",
    max: limits.invisibleMaxMs,
    code: "ILLEGAL_INVISIBLE_TIME",
    taken: noMessage,
    ask: (scene, ms) => scene.client.receive({ invisibleDuration: durationOfMs(ms) }),
  },
  {
    what: "milliseconds that a message is made invisible again",
    max: limits.invisibleMaxMs,
    code: "ILLEGAL_INVISIBLE_TIME",
    ask: (scene, ms) => scene.client.changeInvisible(durationOfMs(ms)),
  },
  {
    what: "characters of a filter expression",
    max: limits.filterExpressionLengthMax,
    code: "ILLEGAL_FILTER_EXPRESSION",
    taken: noMessage,
    ask: (scene, size) =>
      scene.client.receive({ filterExpression: { type: 1, expression: filler(size) } }),
  },
  {
    what: "client properties",
    max: limits.clientPropertyCountMax,
    code: "INVALID_CLIENT_PROPERTIES",
    ask: (scene, count) => settle(scene, properties(count)),
  },
  {
    what: "characters of the key of a client property",
    max: limits.clientPropertyKeyLengthMax,
    code: "INVALID_CLIENT_PROPERTIES",
    ask: (scene, size) => settle(scene, { [filler(size)]: "v" }),
  },
  {
    what: "characters of the value of a client property",
    max: limits.clientPropertyValueLengthMax,
    code: "INVALID_CLIENT_PROPERTIES",
    ask: (scene, size) => settle(scene, { key: filler(size) }),
  },
  {
    what: "bytes of all client properties",
    max: limits.clientPropertySizeMax,
    code: "INVALID_CLIENT_PROPERTIES",
    ask: (scene, size) => settle(scene, clientProperties(size)),
  },
  {
    what: "topics in the settings of a consumer",
    max: limits.clientTopicCountMax,
    code: "BAD_REQUEST",
    ask: (scene, count) =>
      subscribe(
        scene,
        Array.from({ length: count }, () => "*"),
      ),
  },
  {
    what: "characters of all filters in the settings of a consumer",
    max: limits.settingsFilterLengthMax,
    code: "ILLEGAL_FILTER_EXPRESSION",
    ask: (scene, size) => {
      const longest = limits.filterExpressionLengthMax;
      const filters = Array.from({ length: Math.floor(size / longest) }, () => filler(longest));
      const rest = size % longest;
      return subscribe(scene, rest === 0 ? filters : [...filters, filler(rest)]);
    },
  },
  {
    what: "topics in the settings of a producer",
    max: limits.clientTopicCountMax,
    code: "BAD_REQUEST",
    ask: (scene, count) => {
      const topics = Array.from({ length: count }, (_, index) => ({ name: `t${index}` }));
      return scene.client.settle({ clientType: 1, publishing: { topics } });
    },
  },
];

/** Client properties of so many bytes. */
function clientProperties(size: number): Record<string, string> {
  const all: Record<string, string> = {};
  for (let left = size, index = 10; left > 0; index += 1) {
    const valueSize = Math.min(253, left - 3);
    all[`k${index}`] = filler(valueSize);
    left -= 3 + valueSize;
    // What is left needs room for a key.
    if (left > 0 && left < 4) {
      all[`k${index}`] = filler(valueSize - 4);
      left += 4;
    }
  }
  return all;
}

function settle(scene: Scene, all: Record<string, string>): Promise<AnsweredStatus> {
  const publishing = { topics: [{ name: "t" }] };
  return scene.client.settle({ clientType: 1, publishing, clientProperties: all });
}

/** Sends the settings of a consumer with a topic for each of these filters. */
function subscribe(scene: Scene, filters: readonly string[]): Promise<AnsweredStatus> {
  const subscriptions = filters.map((expression, index) => ({
    topic: { name: `t${index}` },
    expression: { type: 1, expression },
  }));
  const subscription = { group: { name: "g" }, subscriptions };
  return scene.client.settle({ clientType: 2, subscription });
}

/** The other way round: the limit and one above are taken, one below is refused. */
const lowerLimits: readonly Limit[] = [
  {
    what: "bytes of a body",
    max: 1,
    code: "MESSAGE_BODY_EMPTY",
    says: "empty",
    ask: (scene, size) => scene.client.send({ body: Buffer.alloc(size) }),
  },
  {
    what: "milliseconds that a received message is invisible",
    max: limits.invisibleMinMs,
    code: "ILLEGAL_INVISIBLE_TIME",
    taken: noMessage,
    ask: (scene, ms) => scene.client.receive({ invisibleDuration: durationOfMs(ms) }),
  },
  {
    what: "milliseconds that a message is made invisible again",
    max: 0,
    code: "ILLEGAL_INVISIBLE_TIME",
    ask: (scene, ms) => scene.client.changeInvisible(durationOfMs(ms)),
  },
  {
    what: "milliseconds to the deadline of a receive that is held",
    max: limits.pollingMinMs - 500,
    code: "ILLEGAL_POLLING_TIME",
    says: `at least ${limits.pollingMinMs}`,
    taken: noMessage,
    ask: (scene, remainingMs) =>
      scene.client.receive({ longPollingTimeout: { seconds: 20 } }, { remainingMs }),
  },
  {
    what: "the priority",
    max: 0,
    code: "BAD_REQUEST",
    ask: async ({ broker, client: sender }, priority) => {
      await broker.metadata.updateTopic({ name: "p", messageType: "PRIORITY" });
      return sender.send({ topic: { name: "p" } }, { priority });
    },
  },
  {
    what: "the queue of a pull",
    max: 0,
    code: "BAD_REQUEST",
    taken: noMessage,
    ask: (scene, id) => scene.client.pull({ messageQueue: { topic: { name: "t" }, id } }),
  },
];

/** Not refused: what is outside becomes the bound. */
const clamped: readonly {
  readonly what: string;
  readonly min: number;
  readonly max: number;
  /** Gives what the broker made of the value. */
  readonly ask: (scene: Scene, value: number) => Promise<number | undefined>;
}[] = [
  {
    what: "messages of a receive",
    min: 1,
    max: limits.receiveBatchCountMax,
    ask: async ({ broker, client: consumer }, batchSize) => {
      await consumer.receive({ batchSize });
      return broker.received.at(-1)?.countMax;
    },
  },
  {
    what: "messages of a pull",
    min: 1,
    max: limits.pullBatchCountMax,
    ask: async ({ broker, client: consumer }, batchSize) => {
      await consumer.pull({ batchSize });
      return broker.pulled.at(-1)?.countMax;
    },
  },
  {
    what: "milliseconds that a receive is held",
    min: limits.pollingMinMs,
    max: limits.pollingMaxMs,
    ask: async ({ broker, client: consumer }, ms) => {
      await consumer.receive({ longPollingTimeout: durationOfMs(ms) });
      return broker.received.at(-1)?.pollingMs;
    },
  },
  {
    what: "milliseconds that a pull is held",
    min: 0,
    max: limits.pollingMaxMs,
    ask: async ({ broker, client: consumer }, ms) => {
      await consumer.pull({ longPollingTimeout: durationOfMs(ms) });
      return broker.pulled.at(-1)?.pollingMs;
    },
  },
];

describe("limits of requests", () => {
  let scene: Scene;

  beforeEach(() => {
    const broker = new TestBroker({ flags: { timerMaxDelaySec: String(delayMaxSec) } });
    broker.handles.add("h");
    scene = { broker, client: new TestClient(broker) };
  });

  async function takes({ ask, taken }: Limit, value: number): Promise<void> {
    const { code, message } = await ask(scene, value);
    assert.equal(Code[code], taken ?? "OK", `${value}: ${message}`);
  }

  async function refuses({ ask, code: expected, says, max }: Limit, value: number): Promise<void> {
    const { code, message } = await ask(scene, value);
    assert.equal(Code[code], expected, `${value}: ${message}`);
    assert.ok(message.includes(says ?? String(max)), `"${message}" says what is allowed`);
  }

  for (const limit of upperLimits) {
    it(`take ${limit.max} ${limit.what} at most, and say ${limit.code}`, async () => {
      await takes(limit, limit.max - 1);
      await takes(limit, limit.max);
      await refuses(limit, limit.max + 1);
    });
  }

  for (const limit of lowerLimits) {
    it(`take ${limit.max} at least for ${limit.what}, and say ${limit.code}`, async () => {
      await takes(limit, limit.max + 1);
      await takes(limit, limit.max);
      await refuses(limit, limit.max - 1);
    });
  }

  for (const { what, min, max, ask } of clamped) {
    it(`make ${min} to ${max} of the ${what}, quietly`, async () => {
      for (const value of [min, min + 1, max - 1, max]) {
        assert.equal(await ask(scene, value), value);
      }
      assert.equal(await ask(scene, min - 1), min);
      assert.equal(await ask(scene, max + 1), max);
    });
  }

  it("take delivery timestamps of the years 1 to 9999", async () => {
    scene = { ...scene, broker: new TestBroker() };
    const unlimited = new TestClient(scene.broker);
    await scene.broker.metadata.updateTopic({ name: "d", messageType: "DELAY" });
    const at = async (ms: number): Promise<string | undefined> => {
      const deliveryTimestamp = timestampOfMs(ms);
      return Code[(await unlimited.send({ topic: { name: "d" } }, { deliveryTimestamp })).code];
    };
    assert.equal(await at(limits.timestampMinMs), "OK");
    assert.equal(await at(limits.timestampMaxMs), "OK");
    assert.equal(await at(limits.timestampMinMs - 1), "ILLEGAL_DELIVERY_TIME");
    assert.equal(await at(limits.timestampMaxMs + 1), "ILLEGAL_DELIVERY_TIME");
  });
});
