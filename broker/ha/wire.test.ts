import assert from "node:assert/strict";
import * as fc from "fast-check";
import { MqError } from "../../base/index.ts";
import { commonPoint } from "./common-point.ts";
import type { LogExtent } from "./control-messages.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import { encodeData, encodeFrame, type Frame, preface } from "./frames.ts";

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
  }),
  record({
    kind: fc.constant("ack" as const),
    epoch: long,
    written: long,
    flushed: long,
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

function bytesOf(frame: Frame): Buffer {
  return frame.kind === "data" ? Buffer.concat(encodeData(frame)) : encodeFrame(frame);
}

describe("the frames of replication", () => {
  it("come back as they were sent, however they are cut on the way", () => {
    fc.assert(
      fc.property(fc.array(anyFrame), fc.integer({ min: 1, max: 500 }), (frames, piece) => {
        const bytes = Buffer.concat([preface, ...frames.map(bytesOf)]);
        const splitter = new FrameSplitter();
        const got: Frame[] = [];
        for (let at = 0; at < bytes.length; at += piece) {
          got.push(...splitter.push(bytes.subarray(at, at + piece)));
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
          const frames = new FrameSplitter().push(Buffer.concat([preface, bytes]));
          // A longer length waits for more.
          assert.equal(frames.length, 0);
        } catch (error) {
          assert.ok(error instanceof MqError && error.code === "BAD_REQUEST");
        }
      }),
    );
  });

  it("say what a stranger speaks", () => {
    const push = (bytes: string): (() => void) => {
      return () => void new FrameSplitter().push(Buffer.from(bytes, "latin1"));
    };
    assert.throws(push("GET / HTTP/1.1\r\n"), /is it the right port/);
    assert.throws(push("\x16\x03\x01\x02\x00\x01\x00\x01"), /TLS, which haTlsEnable/);
    assert.throws(push("CMQR\x00\x00\x00\x02"), /version 2 of the replication/);
  });

  it("refuse control messages that are not whole, and name the field", () => {
    const push = (json: string): (() => void) => {
      const frame = encodeFrame({ kind: "control", message: JSON.parse(json) });
      return () => void new FrameSplitter().push(Buffer.concat([preface, frame]));
    };
    assert.throws(
      push('{"kind":"begin","position":-1,"epoch":1}'),
      /position of the message begin/,
    );
    assert.throws(push('{"kind":"begin","position":1}'), /epoch of the message begin/);
    assert.throws(push('{"kind":"constructor"}'), /no message "constructor"/);
    assert.throws(push("7"), /no object/);
  });
});

/** A log that is really there: an epoch for each byte. */
interface RealLog {
  readonly start: number;
  readonly bytes: readonly string[];
}

function extentOf({ start, bytes }: RealLog): LogExtent {
  const epochs: { epoch: number; start: number }[] = [];
  for (let at = start; at < bytes.length; at += 1) {
    const epoch = Number(bytes[at]?.split(":")[0]);
    if (epochs.at(-1)?.epoch !== epoch) epochs.push({ epoch, start: at });
  }
  return { epochs, start, end: bytes.length };
}

function trueCommonPoint(one: RealLog, other: RealLog): number | undefined {
  const from = Math.max(one.start, other.start);
  const end = Math.min(one.bytes.length, other.bytes.length);
  let at = from;
  while (at < end && one.bytes[at] === other.bytes[at]) at += 1;
  return at === from ? undefined : at;
}

/** Reigns of random masters over two logs: each copies, is cut, loses its beginning, and rules. */
function reigns(steps: readonly number[]): readonly [RealLog, RealLog] {
  let logs: [RealLog, RealLog] = [
    { start: 0, bytes: [] },
    { start: 0, bytes: [] },
  ];
  let epoch = 0;
  for (const step of steps) {
    const master = step & 1;
    const [ruler, slave] = master === 0 ? logs : [logs[1], logs[0]];
    epoch += 1;
    const bytes = [...ruler.bytes];
    for (let index = 0; index <= ((step >> 1) & 3); index += 1) bytes.push(`${epoch}:${index}`);
    const copied = trueCommonPoint(ruler, slave);
    const mayCopy = copied !== undefined || slave.bytes.length === 0;
    const copyEnd = mayCopy ? Math.max(copied ?? 0, bytes.length - ((step >> 3) & 3)) : 0;
    const copy = mayCopy ? { start: slave.start, bytes: bytes.slice(0, copyEnd) } : slave;
    const trim = Math.min(ruler.start + ((step >> 5) & 1), bytes.length - 1);
    const kept = { start: trim, bytes };
    logs = master === 0 ? [kept, copy] : [copy, kept];
  }
  return logs;
}

describe("the common point of two logs", () => {
  it("is where they really part", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 63 }), { minLength: 1, maxLength: 12 }), (steps) => {
        const [one, other] = reigns(steps);
        const truth = trueCommonPoint(one, other);
        const found = commonPoint(extentOf(one), extentOf(other));
        if (truth !== undefined) assert.deepEqual(found, { kind: "common", position: truth });
        else
          assert.ok(found.kind !== "common" || found.position <= Math.max(one.start, other.start));
      }),
      { numRuns: 2_000 },
    );
  });

  it("is nowhere when an epoch has other bytes at both", () => {
    const one = { start: 0, end: 90, epochs: [{ epoch: 1, start: 0 }] };
    const other = { start: 0, end: 90, epochs: [{ epoch: 2, start: 0 }] };
    assert.deepEqual(commonPoint(one, other), { kind: "diverged" });
    assert.deepEqual(commonPoint(one, { start: 0, end: 0, epochs: [] }), { kind: "apart" });
    assert.deepEqual(commonPoint(one, { ...other, start: 90, end: 99 }), { kind: "apart" });
  });
});
