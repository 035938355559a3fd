import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Frame, FrameSplitter } from "./frame-splitter.ts";
import { ConnectionError, ErrorCode } from "./http2.ts";

interface Sent {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Uint8Array;
}

function encode(frame: Sent): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(frame.payload.length, 0, 3);
  header[3] = frame.type;
  header[4] = frame.flags;
  header.writeUInt32BE(frame.streamId, 5);
  return Buffer.concat([header, frame.payload]);
}

function collect(chunks: readonly Buffer[], stopAfter = Infinity): Sent[] {
  const frames: Sent[] = [];
  const splitter = new FrameSplitter(new Frame(), (frame) => {
    const { type, flags, streamId } = frame;
    frames.push({
      type,
      flags,
      streamId,
      payload: Uint8Array.from(frame.bytes.subarray(frame.start, frame.end)),
    });
    return frames.length < stopAfter;
  });
  for (const chunk of chunks) splitter.push(chunk);
  return frames;
}

describe("FrameSplitter", () => {
  it("finds the same frames however the bytes are cut", () => {
    const frame = fc.record(
      {
        type: fc.nat(255),
        flags: fc.nat(255),
        streamId: fc.nat(0x7fffffff),
        payload: fc.uint8Array({ maxLength: 200 }),
      },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 10 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames.map(encode));
          const chunks: Buffer[] = [];
          for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1;
            chunks.push(bytes.subarray(at, at + size));
            at += size;
          }
          assert.deepEqual(collect(chunks), frames);
        },
      ),
    );
  });

  it("ignores the reserved bit of the stream number", () => {
    const [frame] = collect([Buffer.from("000000060080000001", "hex")]);
    assert.equal(frame?.streamId, 1);
  });

  it("refuses a frame that is too large as soon as its header is there", () => {
    const header = encode({ type: 0, flags: 0, streamId: 1, payload: new Uint8Array(16_385) });
    for (const chunks of [
      [header.subarray(0, 9)],
      [header.subarray(0, 4), header.subarray(4, 9)],
    ]) {
      assert.throws(
        () => collect(chunks),
        (error) => error instanceof ConnectionError && error.code === ErrorCode.frameSizeError,
      );
    }
  });

  it("stops when told", () => {
    const frame = { type: 6, flags: 0, streamId: 0, payload: new Uint8Array(8) };
    assert.equal(collect([Buffer.concat([frame, frame, frame].map(encode))], 2).length, 2);
  });
});
