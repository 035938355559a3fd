import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { MqError } from "../../base/index.ts";
import type { ControlMessage } from "./control-messages.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import { encodeData, encodeFrame, type Frame, frameSizeMax, partChecksum } from "./frames.ts";

const long = fc.maxSafeNat();

function record<T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(fields, { noNullPrototype: true });
}

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  record({
    kind: fc.constant("data" as const),
    epoch: long,
    position: long,
    confirmed: long,
    bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  }),
  record({
    kind: fc.constant("confirm" as const),
    epoch: long,
    confirmed: long,
    start: long,
    end: long,
    nowMs: long,
    messageCount: long,
    newestMs: long,
  }),
  record({
    kind: fc.constant("ack" as const),
    epoch: long,
    written: long,
    flushed: long,
    applied: long,
    messageCount: long,
    newestMs: long,
  }),
  record({
    kind: fc.constant("part" as const),
    bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  }),
  record({ position: long, epoch: long }).map(({ position, epoch }) => ({
    kind: "control" as const,
    message: { kind: "begin" as const, position, epoch },
  })),
);

const identity = {
  cluster: "shop",
  brokerName: "broker-a",
  brokerId: 1,
  instanceId: "i-1",
  host: "",
  grpcPort: 8081,
  haPort: 10912,
};
const extent = {
  epochs: [
    { epoch: 1, start: 0 },
    { epoch: 4, start: 4_000 },
  ],
  start: 0,
  end: 5_000,
};
const hello: ControlMessage = {
  kind: "hello",
  ...identity,
  ...extent,
  purpose: "follow",
  isFlushing: true,
  flushed: 4_900,
};
const proof: ControlMessage = { kind: "proof", position: 9, from: 0, hash: "0f".repeat(32) };
const messages: readonly ControlMessage[] = [
  hello,
  {
    kind: "welcome",
    ...identity,
    ...extent,
    standing: "master",
    epoch: 4,
    confirmed: 4_500,
    hasOverlay: false,
    mayCut: false,
  },
  proof,
  { kind: "begin", position: 9, epoch: 4 },
  { kind: "refuse", code: "wrongCluster", message: "this is the cluster shop, not other" },
  { kind: "snapshotRequest" },
  { kind: "snapshotBegin", epoch: 4, asOf: 4_000, logStart: 0 },
  { kind: "partsEnd", count: 3, checksum: 77 },
  { kind: "overlayTaken" },
];

const place = { epoch: 3, position: 4_096, confirmed: 4_000 };

function bytesOf(frame: Frame): Buffer {
  return frame.kind === "data" ? Buffer.concat(encodeData(frame)) : encodeFrame(frame);
}

function framesIn(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  new FrameSplitter((frame) => frames.push(frame)).push(bytes);
  return frames;
}

/** The bytes of a frame are good for a moment only. */
function kept(frame: Frame): Frame {
  return "bytes" in frame ? { ...frame, bytes: Buffer.from(frame.bytes) } : frame;
}

describe("the frames of replication", () => {
  it("come back as they were sent, however they are cut on the way", () => {
    fc.assert(
      fc.property(fc.array(anyFrame), fc.integer({ min: 1, max: 500 }), (frames, piece) => {
        const bytes = Buffer.concat(frames.map(bytesOf));
        const got: Frame[] = [];
        const splitter = new FrameSplitter((frame) => got.push(kept(frame)));
        for (let at = 0; at < bytes.length; at += piece) {
          splitter.push(bytes.subarray(at, at + piece));
        }
        assert.deepEqual(got, frames);
      }),
    );
  });

  it("are refused with a reason when a bit has changed, and never anything else", () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), (frame, bit) => {
        const bytes = bytesOf(frame);
        const checked = frame.kind === "data" ? bytes.length - frame.bytes.length : bytes.length;
        const place = (bit >> 3) % checked;
        bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << (bit & 7)), place);
        try {
          const frames = framesIn(bytes);
          // A longer length waits for more.
          assert.equal(frames.length, 0);
        } catch (error) {
          assert.ok(error instanceof MqError && error.code === "BAD_REQUEST");
        }
      }),
    );
  });

  it("are a view of what came, not a copy", () => {
    const bytes = bytesOf({ ...place, kind: "data", bytes: Buffer.from("log") });
    const [frame] = framesIn(bytes);
    assert.ok(frame?.kind === "data");
    assert.equal(frame.bytes.buffer, bytes.buffer);
    const log = Buffer.from("log");
    assert.equal(encodeData({ ...place, bytes: log })[1], log);
  });

  it("are refused when they are too long or too short", () => {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(frameSizeMax - 3);
    assert.throws(() => framesIn(head), /claims 1048613 bytes; 12 to 1048612/);
    head.writeUInt32BE(7);
    assert.throws(() => framesIn(head), /claims 11 bytes/);
    assert.throws(() => encodeData({ ...place, bytes: Buffer.alloc(1_048_577) }), /1048577 bytes/);
  });

  it("are refused when they are of a type or have a flag that is not known", () => {
    for (const [at, what] of [
      [4, /type 9 is unknown/],
      [5, /flags 9, which are unknown/],
    ] as const) {
      const frame = encodeFrame({ kind: "part", bytes: Buffer.from("a part") });
      frame.writeUInt8(9, at);
      frame.writeUInt32BE(crc32(frame.subarray(12), crc32(frame.subarray(0, 8))), 8);
      assert.throws(() => framesIn(frame), what);
    }
  });

  it("may be longer than this version knows", () => {
    const ack = { epoch: 1, written: 2, flushed: 3, applied: 4, messageCount: 5, newestMs: 6 };
    const frame = Buffer.concat([encodeFrame({ kind: "ack", ...ack }), Buffer.alloc(8)]);
    frame.writeUInt32BE(frame.length - 4);
    frame.writeUInt32BE(crc32(frame.subarray(12), crc32(frame.subarray(0, 8))), 8);
    assert.deepEqual(framesIn(frame), [{ kind: "ack", ...ack }]);
  });

  it("of parts add up to one checksum, however they are cut", () => {
    const cut = partChecksum(partChecksum(0, Buffer.from("one ")), Buffer.from("two"));
    assert.equal(cut, partChecksum(0, Buffer.from("one two")));
  });

  it("refuse control messages that are not whole, and name the field", () => {
    const push = (json: string): (() => void) => {
      const frame = encodeFrame({ kind: "control", message: JSON.parse(json) });
      return () => void framesIn(frame);
    };
    assert.throws(
      push('{"kind":"begin","position":-1,"epoch":1}'),
      /position of the message begin/,
    );
    assert.throws(push('{"kind":"begin","position":1}'), /epoch of the message begin/);
    assert.throws(push('{"kind":"constructor"}'), /no message "constructor"/);
    assert.throws(push("7"), /no object/);
    assert.throws(push(JSON.stringify({ kind: "refuse", code: "no", message: "" })), /field code/);
    assert.throws(push(JSON.stringify({ ...proof, hash: "ff" })), /field hash/);
  });

  it("carry each control message", () => {
    for (const message of messages) {
      const frame = { kind: "control", message } as const;
      assert.deepEqual(framesIn(encodeFrame(frame)), [frame]);
    }
  });

  it("refuse epoch tables that do not grow", () => {
    for (const epochs of [
      [1, 1],
      [2, 1],
    ].map((list) => list.map((epoch, start) => ({ epoch, start })))) {
      const frame = encodeFrame({ kind: "control", message: { ...hello, epochs } });
      assert.throws(() => framesIn(frame), /field epochs of the message hello/);
    }
  });
});
