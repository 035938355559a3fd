import { strict as assert } from "node:assert";
import { limits } from "../../base/index.ts";
import type { ConsumeFrom } from "./attributes.ts";
import { type GroupDraft, makeGroup, type RetryPolicy } from "./group-config.ts";
import {
  decodeGroup,
  decodeMetadataChange,
  decodeTopic,
  encodeMetadataChange,
  type MetadataChange,
} from "./metadata-codec.ts";
import { makeTopic, type TopicDraft } from "./topic-config.ts";

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value));
const from = (value: string): ConsumeFrom =>
  makeGroup({ name: "g", attributes: { "consume.from": value } }).consumeFrom;

describe("a topic", () => {
  it("gets defaults for what is left out", () => {
    assert.deepEqual(makeTopic({ name: "t" }, 5), {
      name: "t",
      readQueueNums: 8,
      writeQueueNums: 8,
      perm: 6,
      messageType: "NORMAL",
      attributes: {},
      order: false,
      createdAtMs: 5,
    });
    assert.equal(makeTopic({ name: "t", writeQueueNums: 3 }, 0).readQueueNums, 3);
  });

  it("takes its message type from the attribute", () => {
    const attributes = { "message.type": "FIFO" };
    assert.equal(makeTopic({ name: "t", attributes }, 0).messageType, "FIFO");
    assert.equal(makeTopic({ name: "t", attributes, messageType: "DELAY" }, 0).messageType, "FIFO");
    assert.equal(makeTopic({ name: "t", messageType: "DELAY" }, 0).messageType, "DELAY");
  });

  it("has queues up to the bound, and not one more", () => {
    const max = limits.topicQueueCountMax;
    for (const field of ["readQueueNums", "writeQueueNums"] as const) {
      for (const count of [1, 2, max - 1, max]) {
        assert.equal(makeTopic({ name: "t", [field]: count }, 0)[field], count);
      }
      for (const count of [0, max + 1]) {
        const wrong = { code: "BAD_REQUEST", message: /allowed are 1 to 1024/ };
        assert.throws(() => makeTopic({ name: "t", [field]: count }, 0), wrong);
      }
    }
  });

  it("is refused with the field and what is allowed", () => {
    const cases: [draft: Omit<TopicDraft, "name">, message: RegExp][] = [
      [{ readQueueNums: 0 }, /readQueueNums may not be 0: allowed are 1 to 1024/],
      [{ writeQueueNums: 1_025 }, /writeQueueNums may not be 1025|readQueueNums/],
      [{ readQueueNums: 1.5 }, /readQueueNums may not be 1.5/],
      [{ perm: 5 }, /perm may not be 5: allowed are 2 \(write\), 4 \(read\), 6/],
      [{ attributes: { color: "red" } }, /unknown attribute "color": allowed are message.type/],
      [{ attributes: { "message.type": "fifo" } }, /may not be "fifo": allowed are NORMAL, FIFO/],
      [{ attributes: { "cleanup.policy": "COMPACTION" } }, /allowed are DELETE/],
    ];
    for (const [draft, message] of cases) {
      assert.throws(() => makeTopic({ name: "t", ...draft }, 0), { code: "BAD_REQUEST", message });
    }
    assert.throws(() => makeTopic({ name: "TBW102" }, 0), { code: "ILLEGAL_TOPIC" });
  });
});

describe("a consumer group", () => {
  it("gets RocketMQ's defaults for what is left out", () => {
    const group = makeGroup({ name: "g" });
    assert.equal(group.retryMaxTimes, 16);
    assert.equal(group.consumeFrom, "default");
    assert.equal(group.consumeEnable, true);
    assert.equal(group.consumeMessageOrderly, false);
    assert.ok(group.retryPolicy.kind === "customized");
    assert.equal(group.retryPolicy.nextMs.length, 18);
    assert.deepEqual(group.retryPolicy.nextMs.slice(0, 5), [1_000, 5_000, 10_000, 30_000, 60_000]);
    assert.equal(group.retryPolicy.nextMs.at(-1), 7_200_000);
  });

  it("takes where it starts from the attribute", () => {
    assert.equal(from("first"), "first");
    assert.equal(from("last"), "last");
    assert.equal(from("1700000000000"), 1_700_000_000_000);
  });

  it("takes attempts, waits and their length up to the bounds, and not one more", () => {
    const { retryDelayMaxMs, retryPolicyStepsMax, retryTimesMax } = limits;
    const steps = (count: number, ms = 1): RetryPolicy => ({
      kind: "customized",
      nextMs: Array.from({ length: count }, () => ms),
    });
    const within: Omit<GroupDraft, "name">[] = [
      ...[0, 1, retryTimesMax - 1, retryTimesMax].map((retryMaxTimes) => ({ retryMaxTimes })),
      ...[1, 2, retryPolicyStepsMax].map((count) => ({ retryPolicy: steps(count) })),
      ...[0, 1, retryDelayMaxMs].map((ms) => ({ retryPolicy: steps(1, ms) })),
    ];
    for (const draft of within) makeGroup({ name: "g", ...draft });
    const beyond: Omit<GroupDraft, "name">[] = [
      ...[-1, retryTimesMax + 1].map((retryMaxTimes) => ({ retryMaxTimes })),
      ...[0, retryPolicyStepsMax + 1].map((count) => ({ retryPolicy: steps(count) })),
      ...[-1, retryDelayMaxMs + 1].map((ms) => ({ retryPolicy: steps(1, ms) })),
    ];
    for (const draft of beyond) {
      assert.throws(() => makeGroup({ name: "g", ...draft }), { code: "BAD_REQUEST" });
    }
  });

  it("is refused with the field and what is allowed", () => {
    const cases: [draft: Omit<GroupDraft, "name">, message: RegExp][] = [
      [{ retryMaxTimes: -1 }, /retryMaxTimes may not be -1: allowed are 0 to/],
      [{ consumeFrom: -5 }, /consume.from may not be -5: allowed are default, first, last/],
      [{ attributes: { "consume.from": "yesterday" } }, /allowed are default, first, last/],
      [{ attributes: { "message.type": "FIFO" } }, /unknown attribute.*allowed are consume.from/],
      [{ retryPolicy: { kind: "customized", nextMs: [] } }, /length of the retry policy/],
      [{ retryPolicy: { kind: "customized", nextMs: [-1] } }, /retry delay in ms/],
      [
        { retryPolicy: { kind: "exponential", initialMs: 9, maxMs: 5, multiplier: 2 } },
        /largest retry delay in ms may not be 5: allowed are 9 to/,
      ],
      [
        { retryPolicy: { kind: "exponential", initialMs: 1, maxMs: 5, multiplier: 0 } },
        /multiplier/,
      ],
    ];
    for (const [draft, message] of cases) {
      assert.throws(() => makeGroup({ name: "g", ...draft }), { code: "BAD_REQUEST", message });
    }
  });
});

describe("the metadata record", () => {
  const retryPolicy = { kind: "exponential", initialMs: 1, maxMs: 9, multiplier: 2 } as const;
  const changes: MetadataChange[] = [
    {
      kind: "putTopic",
      config: makeTopic({ name: "t", attributes: { "message.type": "FIFO" } }, 7),
    },
    { kind: "deleteTopic", name: "t", queues: [{ queueId: 2, nextOffset: 77 }] },
    { kind: "deleteTopic", name: "t", queues: [] },
    { kind: "putGroup", config: makeGroup({ name: "g" }) },
    { kind: "putGroup", config: makeGroup({ name: "g", retryPolicy, consumeFrom: 12 }) },
    { kind: "deleteGroup", name: "g" },
    { kind: "macKey", key: new Uint8Array(32).fill(9) },
  ];

  it("gives back what was written", () => {
    for (const change of changes) {
      assert.deepEqual(decodeMetadataChange(encodeMetadataChange(change)), change);
    }
  });

  it("throws CORRUPT for anything else", () => {
    const topic = JSON.stringify(makeTopic({ name: "t" }, 7));
    const group = JSON.stringify(makeGroup({ name: "g" }));
    const broken = [
      () => decodeMetadataChange(Uint8Array.of()),
      () => decodeMetadataChange(Uint8Array.of(2, 1)),
      () => decodeMetadataChange(Uint8Array.of(1, 99)),
      () => decodeMetadataChange(Uint8Array.of(1, 5, 1, 2, 3)),
      () => decodeMetadataChange(Buffer.concat([Uint8Array.of(1, 2), text('{"name":"t"}')])),
      () => decodeTopic(text("{")),
      () => decodeTopic(text("[]")),
      () => decodeTopic(text(topic.replace('"NORMAL"', '"ODD"'))),
      () => decodeTopic(text(topic.replace('"perm":6', '"perm":"6"'))),
      () => decodeGroup(text(group.replace('"default"', "true"))),
      () => decodeGroup(text(group.replace('"customized"', '"none"'))),
    ];
    for (const decode of broken) assert.throws(decode, { code: "CORRUPT" });
  });
});
