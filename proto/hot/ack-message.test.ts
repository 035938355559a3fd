// The byte-level codec of AckMessage against protobufjs, both ways.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { ProtoError, rocketmq } from "../index.ts";
import { anyText, broken } from "../testkit/arbitraries.ts";
import { readAckMessageRequest, writeAckMessageResponse } from "./index.ts";

const { v2 } = rocketmq;

const anyResource = fc.record({ resourceNamespace: anyText, name: anyText }, { requiredKeys: [] });
const anyEntry = fc.record(
  { messageId: anyText, receiptHandle: anyText, liteTopic: anyText },
  { requiredKeys: [] },
);
const anyRequest = fc.record(
  { group: anyResource, topic: anyResource, entries: fc.array(anyEntry, { maxLength: 4 }) },
  { requiredKeys: [] },
);

/** One request, or two that are merged. */
const anyBytes = fc
  .array(anyRequest, { minLength: 1, maxLength: 2 })
  .map((halves) => Buffer.concat(halves.map((half) => v2.AckMessageRequest.encode(half).finish())));

function sameRequest(bytes: Uint8Array): void {
  const expected = v2.AckMessageRequest.decode(bytes);
  assert.deepEqual(readAckMessageRequest(bytes), {
    groupNamespace: expected.group?.resourceNamespace ?? "",
    group: expected.group?.name ?? "",
    topicNamespace: expected.topic?.resourceNamespace ?? "",
    topic: expected.topic?.name ?? "",
    entries: expected.entries.map(({ messageId, receiptHandle, liteTopic }) => ({
      messageId,
      receiptHandle,
      liteTopic: liteTopic ?? undefined,
    })),
  });
}

describe("AckMessage over bytes", () => {
  it("reads what protobufjs reads", () => {
    fc.assert(fc.property(anyBytes, sameRequest), { numRuns: 300 });
  });

  it("refuses broken bytes with a ProtoError, or agrees with protobufjs on them", () => {
    fc.assert(
      fc.property(broken(broken(anyBytes)), (bytes) => {
        try {
          readAckMessageRequest(bytes);
        } catch (error) {
          assert.ok(error instanceof ProtoError, String(error));
          return;
        }
        sameRequest(bytes);
      }),
      { numRuns: 1000 },
    );
  });

  it("writes the very bytes of protobufjs", () => {
    const anyResult = fc.record({
      code: fc.oneof(fc.constant(20000), fc.integer()),
      message: anyText,
      messageId: anyText,
      receiptHandle: anyText,
    });
    fc.assert(
      fc.property(fc.array(anyResult, { maxLength: 4 }), anyResult, (entries, status) => {
        const expected = v2.AckMessageResponse.encode({
          status: { code: status.code, message: status.message },
          entries: entries.map(({ messageId, receiptHandle, code, message }) => ({
            messageId,
            receiptHandle,
            status: { code, message },
          })),
        });
        const written = writeAckMessageResponse(status, entries);
        assert.deepEqual(Buffer.from(written), Buffer.from(expected.finish()));
      }),
      { numRuns: 300 },
    );
  });
});
