import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { messageGroupHash } from "../delivery/index.ts";
import { tagHash } from "../store/index.ts";
import { messageFlags } from "./message-flags.ts";
import { type CallOptions, TestBroker } from "./testkit/index.ts";

const method = messagingService.methods.SendMessage;
const missing = messageFlags.sent | messageFlags.bodyDigestMissing;

function message(parts: rocketmq.v2.IMessage = {}): rocketmq.v2.IMessage {
  const { systemProperties, ...rest } = parts;
  return {
    topic: { name: "t" },
    body: Buffer.from("hello"),
    ...rest,
    systemProperties: {
      messageId: "id-1",
      messageType: 1,
      bornTimestamp: { seconds: 1_600_000_000 },
      bornHost: "sender",
      bodyDigest: { type: 2, checksum: "8B1A9953C4611296A827ABF8C47804D7" },
      ...systemProperties,
    },
  };
}

describe("SendMessage", () => {
  let broker: TestBroker;

  async function send(
    messages: readonly rocketmq.v2.IMessage[],
    options?: CallOptions,
  ): Promise<rocketmq.v2.SendMessageResponse> {
    const request = method.request.encode({ messages });
    return method.response.decode(await broker.unary(method.path, request, options));
  }

  async function refused(
    messages: readonly rocketmq.v2.IMessage[],
    code: number,
    words: RegExp,
  ): Promise<void> {
    const answer = await send(messages);
    assert.equal(answer.status?.code, code, answer.status?.message);
    assert.match(answer.status?.message ?? "", words);
    assert.equal(answer.entries.length, 0);
    assert.equal(broker.appended.length, 0);
  }

  beforeEach(() => {
    broker = new TestBroker();
  });

  it("stores a message and answers with its id and offset", async () => {
    const answer = await send([message({ systemProperties: { tag: "a" } })]);
    assert.equal(answer.status?.code, 20_000);
    assert.deepEqual(
      answer.entries.map((entry) => [
        entry.status?.code,
        entry.messageId,
        entry.transactionId,
        entry.offset,
      ]),
      [[20_000, "id-1", "id-1", 0]],
    );
    const [draft] = broker.appended[0] ?? [];
    assert.equal(draft?.topic, "t");
    assert.equal(Buffer.from(draft?.body ?? []).toString(), "hello");
    assert.equal(draft?.tagHash, tagHash("a"));
    assert.equal(draft?.flags, messageFlags.sent);
    const stored = rocketmq.v2.SystemProperties.decode(draft?.systemProperties ?? new Uint8Array());
    assert.equal(stored.bornHost, "sender");
  });

  it("stores several messages as one group in one queue, one entry each, in order", async () => {
    const ids = ["a", "b", "c"];
    const answer = await send(ids.map((id) => message({ systemProperties: { messageId: id } })));
    assert.deepEqual(
      answer.entries.map(({ messageId, offset }) => [messageId, offset]),
      [
        ["a", 0],
        ["b", 1],
        ["c", 2],
      ],
    );
    assert.equal(broker.appended.length, 1);
    assert.equal(new Set(broker.appended[0]?.map((draft) => draft.queueId)).size, 1);
  });

  it("takes the queue that the client names, else one after the other", async () => {
    await broker.metadata.updateTopic({ name: "t", readQueueNums: 3, writeQueueNums: 3 });
    const queueId = async (wish: number): Promise<number | undefined> => {
      await send([message({ systemProperties: { queueId: wish } })]);
      return broker.appended.at(-1)?.[0]?.queueId;
    };
    assert.equal(await queueId(2), 2);
    assert.equal(await queueId(1), 1);
    const spread = [await queueId(0), await queueId(0), await queueId(0), await queueId(3)];
    assert.deepEqual(new Set(spread.slice(0, 3)), new Set([0, 1, 2]));
    assert.equal(spread[3], spread[0]);
  });

  it("follows a change of the topic", async () => {
    await send([message()]);
    await broker.metadata.updateTopic({ name: "t", perm: 4 });
    const answer = await send([message()]);
    assert.equal(answer.status?.code, 40_300);
  });

  it("follows a change of the topic that comes while it is being created", async () => {
    const { metadata } = broker;
    const ensureTopic = metadata.ensureTopic.bind(metadata);
    metadata.ensureTopic = async (draft) => {
      const made = await ensureTopic(draft);
      await metadata.updateTopic({ name: draft.name, perm: 4 });
      return made;
    };
    for (let count = 0; count < 2; count++) {
      const answer = await send([message({ topic: { name: "fresh" } })]);
      assert.equal(answer.status?.code, 40_300);
    }
  });

  it("completes what some senders leave out and some consumers need", async () => {
    const bare = { topic: { name: "t" }, body: Buffer.from("x") };
    await send([{ ...bare, systemProperties: { messageId: "1" } }]);
    const [draft] = broker.appended[0] ?? [];
    assert.equal(draft?.flags, messageFlags.sent | messageFlags.bodyDigestMissing);
    const stored = rocketmq.v2.SystemProperties.decode(draft?.systemProperties ?? new Uint8Array());
    assert.equal(stored.messageId, "1");
    assert.equal(stored.bornHost, "10.1.1.1");
    assert.equal(stored.bornTimestamp?.seconds, 1_700_000_000);
    assert.equal(stored.bodyEncoding, rocketmq.v2.Encoding.IDENTITY);
    assert.equal(stored.messageType, rocketmq.v2.MessageType.NORMAL);
  });

  it("stores what is complete as it came", async () => {
    const systemProperties = {
      messageId: "1",
      bodyEncoding: rocketmq.v2.Encoding.GZIP,
      messageType: rocketmq.v2.MessageType.NORMAL,
      bornTimestamp: { seconds: 5, nanos: 6 },
      bornHost: "there",
    };
    const whole = message({ systemProperties });
    await send([whole]);
    const sent = rocketmq.v2.SystemProperties.encode(whole.systemProperties ?? {}).finish();
    const stored = broker.appended[0]?.[0]?.systemProperties ?? new Uint8Array();
    assert.deepEqual(Buffer.from(stored), Buffer.from(sent));
  });

  it("trusts no digest that clients spell differently", async () => {
    const flagsFor = async (type: number, checksum: string): Promise<number | undefined> => {
      await send([
        message({ systemProperties: { messageId: "1", bodyDigest: { type, checksum } } }),
      ]);
      return broker.appended.at(-1)?.[0]?.flags;
    };
    const md5 = "5D41402ABC4B2A76B9719D911017C592";
    assert.equal(await flagsFor(2, md5), messageFlags.sent);
    assert.equal(await flagsFor(3, `${md5}AAF4C61D`), messageFlags.sent);
    for (const [type, checksum] of [
      [1, "3610A686"],
      [0, md5],
      [2, ""],
      [2, md5.toLowerCase()],
      [3, md5],
    ] as const) {
      assert.equal(await flagsFor(type, checksum), missing, checksum);
    }
  });

  it("creates an unknown topic when allowed", async () => {
    await send([message({ topic: { name: "fresh" } })]);
    assert.equal(broker.metadata.topic("fresh")?.writeQueueNums, 8);
  });

  it("answers TOPIC_NOT_FOUND when creating is not allowed", async () => {
    broker = new TestBroker({ flags: { autoCreateTopicEnable: "false" } });
    await refused([message()], 40_402, /No topic route info in name server for the topic: t\b/);
  });

  it("counts what it stored", async () => {
    await send([message(), message()]);
    assert.deepEqual(broker.context.traffic.sent("t"), { messages: 2, bytes: 10 });
    assert.deepEqual(broker.context.traffic.total.in, { messages: 2, bytes: 10 });
  });

  it("refuses a call without client id: CLIENT_ID_REQUIRED", async () => {
    const answer = await send([message()], { headers: {} });
    assert.equal(answer.status?.code, 40_017);
    assert.match(answer.status?.message ?? "", /x-mq-client-id/);
  });

  it("refuses requests without message, with several topics or broken bytes: MESSAGE_CORRUPTED", async () => {
    await refused([], 40_016, /no message/);
    await refused([message(), message({ topic: { name: "u" } })], 40_016, /t and u/);
    const answer = await broker.unary(method.path, Uint8Array.of(10, 200, 1));
    assert.equal(method.response.decode(answer).status?.code, 40_016);
  });

  it("refuses topic names that are not allowed: ILLEGAL_TOPIC", async () => {
    for (const name of ["", " ", "a b", "x".repeat(128), "TBW102", "rmq_sys_x", "ä"]) {
      await refused([message({ topic: { name } })], 40_002, /topic/);
    }
  });

  it("refuses an empty and a too large body: MESSAGE_BODY_EMPTY, MESSAGE_BODY_TOO_LARGE", async () => {
    await refused([message({ body: new Uint8Array(0) })], 41_302, /empty/);
    broker = new TestBroker({ flags: { maxMessageSize: "4" } });
    await refused([message()], 41_301, /5 bytes, at most 4/);
  });

  it("refuses too many or too large properties: MESSAGE_PROPERTIES_TOO_LARGE", async () => {
    const many = Object.fromEntries(Array.from({ length: 129 }, (_, index) => [`k${index}`, "v"]));
    await refused([message({ userProperties: many })], 43_101, /129/);
    const large = { k: "v".repeat(16_384) };
    await refused([message({ userProperties: large })], 43_101, /16385 bytes/);
    const keys = Array.from({ length: 17 }, () => "k".repeat(1_000));
    await refused([message({ systemProperties: { keys } })], 43_101, /17000 bytes/);
    const answer = await send([message({ userProperties: { k: "v".repeat(16_383) } })]);
    assert.equal(answer.status?.code, 20_000);
  });

  it("refuses reserved names and control characters: ILLEGAL_MESSAGE_PROPERTY_KEY", async () => {
    await refused([message({ userProperties: { KEYS: "x" } })], 40_007, /KEYS/);
    await refused([message({ userProperties: { "a\u0001": "x" } })], 40_007, /control/);
    await refused([message({ userProperties: { a: "x\n" } })], 40_007, /control/);
    await refused([message({ userProperties: { a: "\u0085" } })], 40_007, /control/);
  });

  it("refuses tags and keys that cannot be used: ILLEGAL_MESSAGE_TAG, ILLEGAL_MESSAGE_KEY", async () => {
    for (const tag of [" ", "a|b", "a\t"]) {
      await refused([message({ systemProperties: { tag } })], 40_004, /tag/);
    }
    for (const key of ["", " ", "a\r"]) {
      await refused([message({ systemProperties: { keys: [key] } })], 40_005, /key/);
    }
    const answer = await send([message({ systemProperties: { keys: ["two words"] } })]);
    assert.equal(answer.status?.code, 20_000);
  });

  it("refuses a blank message id: ILLEGAL_MESSAGE_ID", async () => {
    await refused([message({ systemProperties: { messageId: " " } })], 40_009, /message id/);
  });

  it("refuses a message group that cannot be used: ILLEGAL_MESSAGE_GROUP", async () => {
    for (const messageGroup of [" ", "g".repeat(64), "a\u007f"]) {
      await refused([message({ systemProperties: { messageGroup } })], 40_006, /message group/);
    }
  });

  it("takes an empty message group for none", async () => {
    const answer = await send([message({ systemProperties: { messageGroup: "", liteTopic: "" } })]);
    assert.equal(answer.status?.code, 20_000, answer.status?.message);
  });

  it("refuses a recovery time over an hour: BAD_REQUEST", async () => {
    const orphanedTransactionRecoveryDuration = { seconds: 3_601 };
    const wrong = message({ systemProperties: { orphanedTransactionRecoveryDuration } });
    await refused([wrong], 40_000, /3601000 ms/);
  });

  it("refuses a kind that the topic does not take: MESSAGE_PROPERTY_CONFLICT_WITH_TYPE", async () => {
    const kinds: readonly rocketmq.v2.ISystemProperties[] = [
      { messageGroup: "g" },
      { deliveryTimestamp: { seconds: 1 } },
      { messageType: 4 },
      { liteTopic: "l" },
      { priority: 1 },
    ];
    for (const systemProperties of kinds) {
      await refused([message({ systemProperties })], 40_014, /accepts NORMAL/);
    }
    await broker.metadata.updateTopic({ name: "f", attributes: { "message.type": "FIFO" } });
    await refused([message({ topic: { name: "f" } })], 40_014, /accepts FIFO/);
  });

  it("chooses the queue by the message group, whatever the client says", async () => {
    const attributes = { "message.type": "FIFO" };
    await broker.metadata.updateTopic({ name: "f", writeQueueNums: 8, attributes });
    for (const queueId of [0, 3, 5]) {
      const systemProperties = { messageGroup: "order-1", queueId };
      await send([message({ topic: { name: "f" }, systemProperties })]);
    }
    const drafts = broker.appended.flat();
    assert.deepEqual(
      drafts.map((draft) => [draft.queueId, draft.messageGroupHash]),
      [0, 1, 2].map(() => [3, messageGroupHash("order-1")]),
    );
  });

  it("says of the kinds it does not handle yet: UNSUPPORTED", async () => {
    await broker.metadata.ensureDeadLetterTopic("g");
    const first = message({ topic: { name: "%DLQ%g" }, systemProperties: { liteTopic: "l" } });
    await refused([first], 50_500, /LITE/);
  });

  it("takes any kind's check off dead-letter topics", async () => {
    await broker.metadata.ensureDeadLetterTopic("g");
    for (const systemProperties of [{}, { messageGroup: "g" }, { priority: 7 }]) {
      const answer = await send([message({ topic: { name: "%DLQ%g" }, systemProperties })]);
      assert.equal(answer.status?.code, 20_000, answer.status?.message);
    }
    // It has one queue, whatever the priority.
    assert.deepEqual(
      broker.appended.flat().map(({ queueId }) => queueId),
      [0, 0, 0],
    );
  });

  it("refuses a topic that is not writable: FORBIDDEN", async () => {
    await broker.metadata.updateTopic({ name: "t", perm: 4 });
    await refused([message()], 40_300, /not writable/);
  });

  it("passes on what the store refuses", async () => {
    broker.appendFailure = new MqError("DISK_FULL", "the disk is full");
    await refused([message()], 50_001, /disk is full/);
    broker.appendFailure = new MqError("SHUTTING_DOWN", "stopping");
    await refused([message()], 50_002, /stopping/);
  });

  it("answers with entries when the message may be stored: MASTER_PERSISTENCE_TIMEOUT", async () => {
    broker.appendFailure = new MqError("MASTER_PERSISTENCE_TIMEOUT", "the disk is slow");
    const answer = await send([message()]);
    assert.equal(answer.status?.code, 50_401);
    assert.equal(answer.entries[0]?.status?.code, 50_401);
    assert.equal(answer.entries[0]?.messageId, "id-1");
  });
});
