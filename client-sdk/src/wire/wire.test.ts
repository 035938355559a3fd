import assert from "node:assert/strict";
import { messagingService, type rocketmq } from "@cometmq/proto";
import * as fc from "fast-check";
import { prepareMessage } from "../message.ts";
import { BufferPool } from "./buffer-pool.ts";
import { readPullFrame } from "./pull-response.ts";
import { readReceiveFrame } from "./receive-response.ts";
import { requestSizeOf, writeSendRequest } from "./send-request.ts";
import { readSendResponse } from "./send-response.ts";
import { WireReader } from "./wire-reader.ts";

const { SendMessage, ReceiveMessage, PullMessage } = messagingService.methods;

const text = fc
  .string({ unit: "binary", minLength: 1, maxLength: 60 })
  .filter((one) => one.trim() !== "");
const word = fc.stringMatching(/^[a-zA-Z0-9_%-]{1,40}$/);
const body = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(one, { nil: undefined });
const ms = fc.integer({ min: 0, max: 4_000_000_000_000 });
const int53 = fc.maxSafeInteger();

const messages = fc.array(
  fc.record({
    topic: fc.constant("orders"),
    body,
    tag: optional(word),
    keys: optional(fc.array(text, { maxLength: 4 })),
    properties: optional(
      fc
        .array(fc.tuple(text, fc.string({ unit: "binary" })), { maxLength: 5 })
        .map((pairs) => new Map(pairs)),
    ),
    kind: fc.oneof(
      fc.constant({}),
      text.map((messageGroup) => ({ messageGroup })),
      ms.map((at) => ({ deliveryTimestamp: new Date(at) })),
      text.map((liteTopic) => ({ liteTopic })),
      fc.nat().map((priority) => ({ priority })),
    ),
  }),
  { minLength: 1, maxLength: 6 },
);

describe("writing SendMessage requests", () => {
  it("gives what protobufjs reads as the same messages", () => {
    const pool = new BufferPool();
    fc.assert(
      fc.property(
        messages,
        fc.string(),
        fc.nat(),
        ms,
        (list, namespace, queueId, bornTimestampMs) => {
          const limits = { bodySizeMaxBytes: 1_000, isHalf: false, nowMs: 1_700_000_000_000 };
          const outgoing = list.map(({ kind, ...rest }) =>
            prepareMessage({ ...rest, ...kind }, limits),
          );
          const header = {
            namespace,
            topic: "orders",
            queueId,
            messageType: 1,
            bornHost: "host-ä",
            bornTimestampMs,
          };
          const bytes = writeSendRequest(header, outgoing, pool);
          const read = SendMessage.request.decode(bytes).messages ?? [];
          assert.equal(read.length, outgoing.length);
          read.forEach((message, index) => {
            const sent = outgoing[index];
            assert.ok(sent);
            assert.equal(message.topic?.name, "orders");
            assert.equal(message.topic?.resourceNamespace, namespace);
            assert.deepEqual(Buffer.from(message.body ?? []), sent.body);
            assert.deepEqual(
              { ...message.userProperties },
              Object.fromEntries(sent.properties ?? []),
            );
            const system = message.systemProperties;
            assert.equal(system?.messageId, sent.messageId);
            assert.equal(system?.tag ?? undefined, sent.tag);
            assert.deepEqual(system?.keys, sent.keys);
            assert.equal(system?.messageGroup ?? undefined, sent.messageGroup);
            assert.equal(system?.liteTopic ?? undefined, sent.liteTopic);
            assert.equal(system?.priority ?? undefined, sent.priority);
            assert.equal(msOf(system?.deliveryTimestamp), sent.deliveryTimestampMs);
            assert.equal(msOf(system?.bornTimestamp), bornTimestampMs);
            assert.equal(system?.queueId, queueId);
            assert.equal(system?.bodyEncoding, 1);
            assert.equal(system?.bornHost, "host-ä");
          });
          const bound = outgoing.reduce((sum, message) => sum + requestSizeOf(message), 0);
          assert.ok(bytes.length <= bound + outgoing.length * 3 * namespace.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("lends and takes back only large buffers of its own", () => {
    const pool = new BufferPool();
    const large = pool.take(100_000);
    pool.give(large);
    assert.equal(pool.take(50_000).buffer, large.buffer);
    pool.give(Buffer.alloc(10));
    assert.equal(pool.take(10).length, 10);
    assert.equal(pool.take(2_000_000).length, 2_000_000);
  });
});

function msOf(
  time:
    | { seconds?: number | null | undefined; nanos?: number | null | undefined }
    | null
    | undefined,
): number | undefined {
  return time ? (time.seconds ?? 0) * 1000 + Math.floor((time.nanos ?? 0) / 1e6) : undefined;
}

function plain(one: { code: number; message: string }): object {
  return one.code === 20_000 ? { code: one.code, message: "OK" } : { ...one };
}

const status = fc.record({ code: fc.integer({ min: 1, max: 99_999 }), message: fc.string() });

describe("reading SendMessage responses", () => {
  it("gives what protobufjs wrote", () => {
    const entry = fc.record({
      status,
      messageId: fc.string(),
      transactionId: fc.string(),
      offset: int53,
      recallHandle: fc.string(),
    });
    fc.assert(
      fc.property(fc.record({ status, entries: fc.array(entry, { maxLength: 5 }) }), (response) => {
        const read = readSendResponse(Buffer.from(SendMessage.response.encode(response)));
        assert.deepEqual(read.status, plain(response.status));
        assert.equal(read.firstMessageId, response.entries[0]?.messageId ?? "");
        assert.deepEqual(
          read.entries,
          response.entries.map(({ transactionId, offset, recallHandle, status }) => ({
            transactionId,
            offset,
            recallHandle,
            status: plain(status),
          })),
        );
      }),
    );
  });
});

const received: fc.Arbitrary<rocketmq.v2.IMessage> = fc.record({
  topic: fc.record({ resourceNamespace: fc.string(), name: word }),
  userProperties: fc.dictionary(word, fc.string(), { maxKeys: 4 }),
  body,
  systemProperties: fc.record({
    tag: optional(word),
    keys: fc.array(text, { maxLength: 3 }),
    messageId: word,
    bodyDigest: fc.record({ type: fc.nat({ max: 3 }), checksum: word }),
    bodyEncoding: fc.nat({ max: 2 }),
    bornHost: word,
    bornTimestamp: fc.record({ seconds: fc.nat(), nanos: fc.nat({ max: 999_999_999 }) }),
    storeHost: word,
    receiptHandle: word,
    queueId: fc.integer({ min: -1, max: 10_000 }),
    queueOffset: int53,
    deliveryAttempt: fc.nat(),
    invisibleDuration: fc.record({ seconds: fc.nat(), nanos: fc.constant(0) }),
    messageGroup: optional(text),
    liteTopic: optional(text),
    priority: optional(fc.nat()),
    traceContext: optional(text),
  }),
});

function frame(value: rocketmq.v2.IReceiveMessageResponse): unknown {
  return readReceiveFrame(Buffer.from(ReceiveMessage.response.encode(value)));
}

describe("reading ReceiveMessage frames", () => {
  it("gives the message that protobufjs wrote", () => {
    fc.assert(
      fc.property(received, (message) => {
        const frame = readReceiveFrame(Buffer.from(ReceiveMessage.response.encode({ message })));
        assert.ok(frame.kind === "message");
        const read = frame.message;
        const system = message.systemProperties;
        assert.equal(read.topic, message.topic?.name);
        assert.deepEqual(read.body, message.body);
        assert.deepEqual(Object.fromEntries(read.userProperties), { ...message.userProperties });
        assert.equal(read.messageId, system?.messageId);
        assert.equal(read.tag, system?.tag);
        assert.deepEqual(read.keys, system?.keys);
        assert.equal(read.digestType, system?.bodyDigest?.type);
        assert.equal(read.digestChecksum, system?.bodyDigest?.checksum);
        assert.equal(read.bodyEncoding, system?.bodyEncoding);
        assert.equal(read.bornHost, system?.bornHost);
        assert.equal(read.bornTimestampMs, msOf(system?.bornTimestamp));
        assert.equal(read.receiptHandle, system?.receiptHandle);
        assert.equal(read.queueId, system?.queueId);
        assert.equal(read.queueOffset, system?.queueOffset);
        assert.equal(read.deliveryAttempt, system?.deliveryAttempt);
        assert.equal(read.messageGroup, system?.messageGroup);
        assert.equal(read.liteTopic, system?.liteTopic);
        assert.equal(read.priority, system?.priority);
      }),
    );
  });

  it("gives statuses and timestamps, and nothing for an empty frame", () => {
    assert.deepEqual(frame({ status: { code: 40_401, message: "none" } }), {
      kind: "status",
      status: { code: 40_401, message: "none" },
    });
    assert.deepEqual(frame({ deliveryTimestamp: { seconds: 5, nanos: 6_000_000 } }), {
      kind: "deliveryTimestamp",
      ms: 5_006,
    });
    assert.deepEqual(frame({}), { kind: "nothing" });
  });

  it("gives the same messages, statuses and the next offset of a pull", () => {
    const pulled = (value: rocketmq.v2.IPullMessageResponse): unknown =>
      readPullFrame(Buffer.from(PullMessage.response.encode(value)));
    fc.assert(
      fc.property(received, fc.maxSafeNat(), (message, nextOffset) => {
        assert.deepEqual(pulled({ message }), frame({ message }));
        assert.deepEqual(pulled({ nextOffset }), { kind: "nextOffset", offset: nextOffset });
      }),
    );
    const status = { code: 40_019, message: "too small" };
    assert.deepEqual(pulled({ status }), { kind: "status", status });
    assert.deepEqual(pulled({}), { kind: "nothing" });
  });

  it("throws RangeError on broken bytes, and nothing else ever", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        for (const read of [readReceiveFrame, readPullFrame, readSendResponse]) {
          try {
            read(Buffer.from(bytes));
          } catch (error) {
            assert.ok(error instanceof RangeError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

describe("WireReader", () => {
  it("reads every size of number, negative ones too", () => {
    fc.assert(
      fc.property(fc.oneof(int53, fc.integer(), fc.nat({ max: 300 })), (value) => {
        assert.equal(new WireReader(varint(BigInt(value))).varint(), value);
      }),
    );
    assert.throws(() => new WireReader(Buffer.alloc(11, 0xff)).varint(), RangeError);
  });
});
