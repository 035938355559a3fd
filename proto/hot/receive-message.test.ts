// The frames that ReceiveMessageWriter makes, decoded by protobufjs.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { rocketmq, timestampOfMs } from "../index.ts";
import { anyMessage, anyText, anyTimeMs } from "../testkit/arbitraries.ts";
import { type DeliveredMessageView, ReceiveMessageWriter } from "./index.ts";

const { v2 } = rocketmq;

/** Cuts gRPC frames. */
function framesOf(frames: Uint8Array): Uint8Array[] {
  const messages: Uint8Array[] = [];
  const view = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  let at = 0;
  while (at < frames.length) {
    assert.equal(frames[at], 0, "not compressed");
    const end = at + 5 + view.getUint32(at + 1);
    messages.push(frames.subarray(at + 5, end));
    at = end;
  }
  assert.equal(at, frames.length);
  return messages;
}

/** Cuts gRPC frames and decodes what they hold. */
function responsesOf(frames: Uint8Array): rocketmq.v2.ReceiveMessageResponse[] {
  return framesOf(frames).map((message) => v2.ReceiveMessageResponse.decode(message));
}

const anyDelivery = fc.record({
  message: anyMessage,
  topicNamespace: anyText,
  topic: anyText,
  receiptHandle: anyText,
  queueId: fc.nat(),
  queueOffset: fc.maxSafeNat(),
  deliveryAttempt: fc.nat(),
  storeTimestampMs: anyTimeMs,
  storeHost: anyText,
  invisibleMs: fc.nat(),
  bodyDigest: fc.option(fc.record({ type: fc.nat(), checksum: anyText }), { nil: undefined }),
});

type Delivery = typeof anyDelivery extends fc.Arbitrary<infer T> ? T : never;

function deliveredView({ message, ...delivery }: Delivery): DeliveredMessageView {
  const { userProperties, systemProperties, body } = message;
  return {
    ...delivery,
    // Field 1 is left out, so that only the entries of field 2 remain.
    userProperties: v2.Message.encode({ userProperties }).finish(),
    systemProperties: v2.SystemProperties.encode(systemProperties ?? {}).finish(),
    body: body ?? new Uint8Array(0),
  };
}

function checkDelivered(decoded: rocketmq.v2.Message | null, sent: Delivery): void {
  assert.ok(decoded !== null);
  const message = v2.Message.decode(v2.Message.encode(sent.message).finish());
  assert.equal(decoded.topic?.name, sent.topic);
  assert.equal(decoded.topic?.resourceNamespace, sent.topicNamespace);
  assert.deepEqual({ ...decoded.userProperties }, { ...message.userProperties });
  assert.deepEqual(Buffer.from(decoded.body), Buffer.from(message.body));
  const system = decoded.systemProperties;
  assert.ok(system !== null);
  const added: rocketmq.v2.ISystemProperties = {
    bodyDigest: sent.bodyDigest,
    storeTimestamp: timestampOfMs(sent.storeTimestampMs),
    storeHost: sent.storeHost,
    receiptHandle: sent.receiptHandle,
    queueId: sent.queueId,
    queueOffset: sent.queueOffset,
    invisibleDuration: timestampOfMs(sent.invisibleMs),
    deliveryAttempt: sent.deliveryAttempt,
  };
  const { bodyDigest, ...always } = added;
  const expected = v2.SystemProperties.decode(
    v2.SystemProperties.encode({
      ...sent.message.systemProperties,
      ...always,
      ...(bodyDigest === undefined ? {} : { bodyDigest }),
    }).finish(),
  );
  assert.deepEqual(system, expected);
}

describe("writing the answer of ReceiveMessage", () => {
  it("hands out what was sent, with the broker's properties instead of the client's", () => {
    fc.assert(
      fc.property(fc.array(anyDelivery, { maxLength: 4 }), fc.nat(300), (deliveries, sizeHint) => {
        const writer = new ReceiveMessageWriter(sizeHint);
        writer.status(20000, "OK");
        for (const delivery of deliveries) writer.message(deliveredView(delivery));
        writer.deliveryTimestamp(1_763_717_000_123);
        const size = writer.size;
        const frames = writer.take();
        assert.equal(frames.length, size);
        const responses = responsesOf(frames);
        assert.equal(responses.length, deliveries.length + 2);
        assert.equal(responses[0]?.status?.code, 20000);
        assert.equal(responses[0]?.status?.message, "OK");
        deliveries.forEach((delivery, index) =>
          checkDelivered(responses[index + 1]?.message ?? null, delivery),
        );
        const last = responses.at(-1);
        assert.equal(last?.content, "deliveryTimestamp");
        assert.equal(last?.deliveryTimestamp?.seconds, 1_763_717_000);
        assert.equal(last?.deliveryTimestamp?.nanos, 123_000_000);
      }),
      { numRuns: 300 },
    );
  });

  it("says where a pull goes on", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (offset) => {
        const writer = new ReceiveMessageWriter(8);
        writer.nextOffset(offset);
        const [frame] = framesOf(writer.take());
        const decoded = v2.PullMessageResponse.decode(frame ?? new Uint8Array(0));
        assert.equal(decoded.content, "nextOffset");
        assert.equal(decoded.nextOffset, offset);
      }),
    );
  });

  it("keeps what it has given away when it is used again", () => {
    const writer = new ReceiveMessageWriter(4096);
    writer.status(40401, "no message");
    const first = writer.take();
    const copy = Buffer.from(first);
    for (let count = 0; count < 500; count++) {
      writer.status(20000, "x".repeat(count));
      if (count % 7 === 0) writer.take();
    }
    assert.deepEqual(Buffer.from(first), copy);
    writer.take();
    assert.equal(writer.size, 0);
    assert.equal(writer.take().length, 0);
  });

  it("grows for messages that are larger than its buffer", () => {
    const writer = new ReceiveMessageWriter(16);
    const body = Buffer.alloc(5 * 1024 * 1024, 7);
    const nothing = new Uint8Array(0);
    const message = { topicNamespace: "", topic: "T", userProperties: nothing, body };
    writer.message({
      ...message,
      systemProperties: nothing,
      receiptHandle: "h",
      queueId: 0,
      queueOffset: 0,
      deliveryAttempt: 1,
      storeTimestampMs: 0,
      storeHost: "",
      invisibleMs: 0,
    });
    const [response] = responsesOf(writer.take());
    assert.deepEqual(Buffer.from(response?.message?.body ?? []), body);
  });
});
