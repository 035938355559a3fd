// The byte-level codec of SendMessage against protobufjs, both ways, over random and broken bytes.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { durationOfMs, msOfDuration, msOfTimestamp, ProtoError, rocketmq } from "../index.ts";
import {
  anySystemProperties,
  anyText,
  broken,
  oddSendRequest,
  plainSendRequest,
} from "../testkit/arbitraries.ts";
import {
  forEachUserProperty,
  type MessageProperties,
  type MessageView,
  readMessageProperties,
  readSendMessageRequest,
  writeSendMessageResponse,
} from "./index.ts";

const { v2 } = rocketmq;

function sameProperties(
  view: MessageProperties,
  expected: rocketmq.v2.SystemProperties | null,
): void {
  const system = expected ?? new v2.SystemProperties();
  assert.equal(view.messageId, system.messageId);
  assert.equal(view.tag, system.tag ?? undefined);
  assert.deepEqual(view.keys, [...system.keys]);
  assert.equal(view.messageType, system.messageType);
  assert.equal(view.bodyEncoding, system.bodyEncoding);
  assert.equal(view.queueId, system.queueId);
  assert.equal(view.messageGroup, system.messageGroup ?? undefined);
  assert.equal(view.liteTopic, system.liteTopic ?? undefined);
  assert.equal(view.priority, system.priority ?? undefined);
  assert.equal(view.bodyDigest?.type, system.bodyDigest?.type);
  assert.equal(view.bodyDigest?.checksum, system.bodyDigest?.checksum);
  const { bornTimestamp, deliveryTimestamp, orphanedTransactionRecoveryDuration } = system;
  assert.equal(view.bornTimestampMs, bornTimestamp ? msOfTimestamp(bornTimestamp) : undefined);
  assert.equal(
    view.deliveryTimestampMs,
    deliveryTimestamp ? msOfTimestamp(deliveryTimestamp) : undefined,
  );
  assert.equal(
    view.orphanedRecoveryMs,
    orphanedTransactionRecoveryDuration
      ? msOfDuration(orphanedTransactionRecoveryDuration)
      : undefined,
  );
}

function sameMessage(view: MessageView, expected: rocketmq.v2.Message): void {
  assert.equal(view.topicNamespace, expected.topic?.resourceNamespace ?? "");
  assert.equal(view.topic, expected.topic?.name ?? "");
  assert.deepEqual(Buffer.from(view.body), Buffer.from(expected.body));
  sameProperties(view, expected.systemProperties);
  sameProperties(readMessageProperties(view.systemProperties), expected.systemProperties);
  assert.deepEqual(
    v2.SystemProperties.decode(view.systemProperties),
    expected.systemProperties ?? new v2.SystemProperties(),
  );
  const properties = new Map<string, string>();
  let [count, size] = [0, 0];
  forEachUserProperty(view.userProperties, (key, value) => {
    properties.set(key, value);
    count++;
    size += Buffer.byteLength(key) + Buffer.byteLength(value);
  });
  assert.equal(view.userPropertyCount, count);
  assert.equal(view.userPropertySize, size);
  assert.deepEqual(properties, new Map(Object.entries(expected.userProperties)));
}

function sameRequest(bytes: Uint8Array): void {
  const views = readSendMessageRequest(bytes);
  const expected = v2.SendMessageRequest.decode(bytes).messages;
  assert.equal(views.length, expected.length);
  views.forEach((view, index) => {
    const message = expected[index];
    assert.ok(message !== undefined);
    sameMessage(view, message);
  });
}

describe("reading SendMessageRequest", () => {
  it("finds what protobufjs finds", () => {
    fc.assert(fc.property(plainSendRequest, sameRequest), { numRuns: 300 });
  });

  it("merges repeated parts and passes unknown fields as protobufjs does", () => {
    fc.assert(fc.property(oddSendRequest, sameRequest), { numRuns: 500 });
  });

  it("reads Buffers and plain Uint8Arrays alike, and nothing around them", () => {
    fc.assert(
      fc.property(oddSendRequest, fc.uint8Array({ maxLength: 20 }), (bytes, around) => {
        const inside = Buffer.concat([around, bytes, Buffer.alloc(20, 0xff)]);
        const view = inside.subarray(around.length, around.length + bytes.length);
        const alone = new Uint8Array(Array.from(bytes));
        assert.deepEqual(comparable(view), comparable(alone));
      }),
      { numRuns: 200 },
    );
  });

  it("refuses broken bytes with a ProtoError, or agrees with protobufjs on them", () => {
    const bytes = broken(broken(fc.oneof(plainSendRequest, oddSendRequest)));
    fc.assert(
      fc.property(bytes, (input) => {
        try {
          readSendMessageRequest(input);
        } catch (error) {
          assert.ok(error instanceof ProtoError, String(error));
          return;
        }
        sameRequest(input);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses every prefix that ends inside of the message", () => {
    const message = { topic: { name: "T" }, userProperties: { a: "b" }, body: Buffer.from("body") };
    const bytes = v2.SendMessageRequest.encode({ messages: [message] }).finish();
    for (let size = 1; size < bytes.length; size++)
      assert.throws(() => readSendMessageRequest(bytes.subarray(0, size)), ProtoError);
  });

  it("takes properties that came in many pieces", () => {
    const entry = Buffer.from([18, 0, 160, 6, 1]);
    const pieces = Buffer.concat(Array.from({ length: 200_000 }, () => entry));
    const request = Buffer.concat([Buffer.from([10, ...lengthBytes(pieces.length)]), pieces]);
    const [view] = readSendMessageRequest(request);
    assert.equal(view?.userPropertyCount, 200_000);
    assert.equal(view?.userProperties.length, 400_000);
  });

  it("gives views of the request, not copies", () => {
    const message = {
      topic: { name: "T" },
      userProperties: { color: "red" },
      systemProperties: { messageId: "id" },
      body: Buffer.from("body"),
    };
    const bytes = v2.SendMessageRequest.encode({ messages: [message] }).finish();
    const [view] = readSendMessageRequest(bytes);
    for (const part of [view?.body, view?.userProperties, view?.systemProperties])
      assert.equal(part?.buffer, bytes.buffer);
  });

  it("says where the bytes are broken", () => {
    assert.throws(
      () => readSendMessageRequest(Uint8Array.of(10, 5, 1)),
      /5 bytes announced at byte 2/,
    );
    assert.throws(() => readSendMessageRequest(Uint8Array.of(0, 0)), /field number 0/);
    assert.throws(() => readSendMessageRequest(Uint8Array.of(0x0f)), /wire type 7/);
    assert.throws(() => readSendMessageRequest(Uint8Array.of(0x80)), /cut off/);
    const badText = Uint8Array.of(10, 5, 10, 3, 18, 1, 0xff);
    assert.throws(() => readSendMessageRequest(badText), /not UTF-8/);
    const deep = Buffer.alloc(400, 0xa3);
    for (let at = 1; at < deep.length; at += 2) deep[at] = 6;
    assert.throws(() => readSendMessageRequest(deep), /nested too deeply/);
    const crossed = Uint8Array.of(0xa3, 6, 0xac, 6);
    assert.throws(() => readSendMessageRequest(crossed), /ends as another one/);
  });
});

describe("reading stored system properties", () => {
  it("finds what protobufjs finds", () => {
    fc.assert(
      fc.property(anySystemProperties, (properties) => {
        const bytes = v2.SystemProperties.encode(properties).finish();
        sameProperties(readMessageProperties(bytes), v2.SystemProperties.decode(bytes));
      }),
    );
  });

  it("refuses user properties that are none", () => {
    assert.throws(() => forEachUserProperty(Uint8Array.of(10, 0), () => undefined), ProtoError);
  });
});

describe("writing SendMessageResponse", () => {
  const anyEntry = fc.record({
    code: fc.oneof(fc.constant(20000), fc.integer()),
    message: anyText,
    messageId: anyText,
    transactionId: anyText,
    offset: fc.oneof(fc.nat(), fc.maxSafeInteger()),
    recallHandle: anyText,
  });

  it("writes the very bytes of protobufjs", () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { maxLength: 5 }), anyEntry, (entries, { code, message }) => {
        const expected = v2.SendMessageResponse.encode({
          status: { code, message },
          entries: entries.map(({ code: entryCode, message: text, ...entry }) => ({
            status: { code: entryCode, message: text },
            ...entry,
          })),
        });
        const written = writeSendMessageResponse({ code, message }, entries);
        assert.deepEqual(Buffer.from(written), Buffer.from(expected.finish()));
      }),
      { numRuns: 500 },
    );
  });
});

describe("times", () => {
  it("turn to milliseconds and back", () => {
    assert.deepEqual(durationOfMs(-1500), { seconds: -1, nanos: -500_000_000 });
    assert.equal(msOfDuration({ seconds: -1, nanos: -500_000_000 }), -1500);
    assert.equal(msOfTimestamp({ seconds: 7, nanos: 123_999_999 }), 7123);
    assert.equal(msOfTimestamp({ seconds: 7, nanos: -123_999_999 }), 6877);
  });
});

function comparable(bytes: Uint8Array): unknown {
  return readSendMessageRequest(bytes).map((view) => ({
    ...view,
    body: Buffer.from(view.body),
    userProperties: Buffer.from(view.userProperties),
    systemProperties: Buffer.from(view.systemProperties),
  }));
}

function lengthBytes(size: number): number[] {
  const bytes: number[] = [];
  for (let rest = size; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}
