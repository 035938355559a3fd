import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  allocateRecordBuffer,
  checkRecord,
  claimedSize,
  encodeRecord,
  type RecordDraft,
  RecordView,
  recordHeaderSize,
  recordSize,
} from "./record.ts";

const bytes = fc.uint8Array({ maxLength: 300 });
const long = fc.maxSafeNat();

const drafts: fc.Arbitrary<RecordDraft> = fc.record({
  type: fc.integer({ min: 1, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  topic: fc.string({ unit: "grapheme", maxLength: 40 }),
  queueId: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
  systemProperties: bytes,
  userProperties: bytes,
  body: bytes,
  tagHash: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  messageGroupHash: long,
});

const stamps = fc.record({
  position: long,
  queueOffset: long,
  epoch: long,
  storeTimeMs: long,
  groupRest: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

function encode(draft: RecordDraft, stamp: Parameters<typeof encodeRecord>[3], start = 0) {
  const topicBytes = Buffer.from(draft.topic, "utf8");
  const buffer = allocateRecordBuffer(start + recordSize(draft, topicBytes.length));
  buffer.bytes.fill(0xee);
  const end = encodeRecord(buffer, start, { draft, topicBytes }, stamp);
  assert.equal(end, buffer.bytes.length);
  return buffer;
}

describe("record", () => {
  it("gives back what was encoded, anywhere in a buffer", () => {
    fc.assert(
      fc.property(drafts, stamps, fc.integer({ min: 0, max: 9 }), (draft, stamp, start) => {
        const buffer = encode(draft, stamp, start);
        const size = checkRecord(buffer, start, buffer.bytes.length, stamp.position);
        assert.equal(size, buffer.bytes.length - start);
        assert.equal(size % 8, 0);
        const { type, flags, topic, queueId, tagHash, messageGroupHash } = draft;
        const view = new RecordView(buffer, start);
        assert.deepEqual(
          {
            type: view.type,
            flags: view.flags,
            topic: view.topic,
            queueId: view.queueId,
            tagHash: view.tagHash,
            messageGroupHash: view.messageGroupHash,
            position: view.position,
            queueOffset: view.queueOffset,
            epoch: view.epoch,
            storeTimeMs: view.storeTimeMs,
            groupRest: view.groupRest,
          },
          { type, flags, topic, queueId, tagHash, messageGroupHash, ...stamp },
        );
        assert.equal(view.size, size);
        assert.deepEqual(new Uint8Array(view.systemProperties), draft.systemProperties);
        assert.deepEqual(new Uint8Array(view.userProperties), draft.userProperties);
        assert.deepEqual(new Uint8Array(view.body), draft.body);
      }),
    );
  });

  it("holds when a held message is due in the place of its queue offset", () => {
    fc.assert(
      fc.property(drafts, stamps, long, (draft, stamp, dueMs) => {
        const buffer = encode({ ...draft, dueMs }, stamp);
        assert.equal(new RecordView(buffer, 0).dueMs, dueMs);
      }),
    );
  });

  it("notices every changed byte", () => {
    fc.assert(
      fc.property(
        drafts,
        stamps,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (draft, stamp, place, change) => {
          const buffer = encode(draft, stamp);
          const index = place % buffer.bytes.length;
          buffer.bytes[index] = (buffer.bytes[index] ?? 0) ^ change;
          const found = checkRecord(buffer, 0, buffer.bytes.length, stamp.position);
          assert.equal(typeof found, "string");
        },
      ),
    );
  });

  it("asks for more bytes when it is cut", () => {
    fc.assert(
      fc.property(drafts, stamps, fc.nat(), (draft, stamp, cut) => {
        const buffer = encode(draft, stamp);
        const size = cut % buffer.bytes.length;
        assert.equal(checkRecord(buffer, 0, size, stamp.position), "short");
        if (size >= recordHeaderSize) assert.equal(claimedSize(buffer, 0), buffer.bytes.length);
      }),
    );
  });

  it("does not take a record for one of another place", () => {
    const draft = {
      type: 1,
      topic: "t",
      queueId: 0,
      systemProperties: new Uint8Array(0),
      userProperties: new Uint8Array(0),
      body: new Uint8Array(3),
    };
    const stamp = { position: 64, queueOffset: 0, epoch: 1, storeTimeMs: 1, groupRest: 0 };
    const buffer = encode(draft, stamp);
    assert.equal(checkRecord(buffer, 0, buffer.bytes.length, 72), "position");
  });

  it("tells a newer format from damage", () => {
    const draft = {
      type: 1,
      topic: "t",
      queueId: 0,
      systemProperties: new Uint8Array(0),
      userProperties: new Uint8Array(0),
      body: new Uint8Array(3),
    };
    const stamp = { position: 0, queueOffset: 0, epoch: 1, storeTimeMs: 1, groupRest: 0 };
    const buffer = encode(draft, stamp);
    buffer.bytes[7] = "2".charCodeAt(0);
    assert.equal(checkRecord(buffer, 0, buffer.bytes.length, 0), "version");
    buffer.bytes[4] = 0;
    assert.equal(checkRecord(buffer, 0, buffer.bytes.length, 0), "magic");
  });
});
