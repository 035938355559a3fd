// The frames of replication: docs/format/replication.md. Encodes and decodes; knows neither links nor logs.
import { crc32 } from "node:zlib";
import { MqError } from "../../base/index.ts";
import { type ControlMessage, readControl } from "./control-messages.ts";

/** What each side sends first: "CMQR" and the version. */
export const preface: Buffer = Buffer.from([0x43, 0x4d, 0x51, 0x52, 0, 0, 0, 1]);

/** Raw bytes of the log: master to slave. */
export interface DataFrame {
  readonly kind: "data";
  /** Reign of the sender. */
  readonly epoch: number;
  /** Place of the first byte in the log. */
  readonly position: number;
  /** Everything before it may be seen. */
  readonly confirmed: number;
  readonly bytes: Buffer;
}

/** Where the master's log stands: each second, and when the confirmed position has moved. */
export interface ConfirmFrame {
  readonly kind: "confirm";
  readonly epoch: number;
  readonly confirmed: number;
  readonly start: number;
  readonly end: number;
  /** The sender's wall clock, milliseconds since 1970. */
  readonly nowMs: number;
}

/** What a slave has: after each write and flush, and each second. */
export interface AckFrame {
  readonly kind: "ack";
  readonly epoch: number;
  readonly written: number;
  readonly flushed: number;
  /** Messages that ever entered its queues. */
  readonly messageCount: number;
  /** Store time of its newest record, milliseconds since 1970. */
  readonly newestMs: number;
}

/** A part of a snapshot or an overlay. */
export interface PartFrame {
  readonly kind: "part";
  readonly bytes: Buffer;
}

/** Anything else. */
export interface ControlFrame {
  readonly kind: "control";
  readonly message: ControlMessage;
}

export type Frame = DataFrame | ConfirmFrame | AckFrame | PartFrame | ControlFrame;

/** Bytes of a frame behind its length, at most. */
export const frameSizeMax: number = 1_048_576 + 1_024;
/** Log bytes of one data frame, at most. */
export const dataSizeMax = 1_048_576;
/** Length, type, reserved bytes, checksum. */
export const frameHeadSize = 12;

const types = { control: 1, data: 2, confirm: 3, ack: 4, part: 5 } as const;
const dataHeadSize = frameHeadSize + 24;
const two32 = 2 ** 32;

/** The two pieces of a data frame: the bytes are not copied. */
export function encodeData(frame: Omit<DataFrame, "kind">): readonly [Buffer, Buffer] {
  const head = Buffer.allocUnsafe(dataHeadSize);
  writeHead(head, types.data, dataHeadSize - 4 + frame.bytes.length);
  writeLongs(head, [frame.epoch, frame.position, frame.confirmed]);
  // The bytes carry checksums of their own, one a record.
  seal(head, head.subarray(frameHeadSize));
  return [head, frame.bytes];
}

/** A whole frame. */
export function encodeFrame(frame: Exclude<Frame, DataFrame>): Buffer {
  switch (frame.kind) {
    case "control":
      return sealed(types.control, Buffer.from(JSON.stringify(frame.message), "utf8"));
    case "part":
      return sealed(types.part, frame.bytes);
    case "confirm":
      return longs(types.confirm, [
        frame.epoch,
        frame.confirmed,
        frame.start,
        frame.end,
        frame.nowMs,
      ]);
    case "ack":
      return longs(types.ack, [
        frame.epoch,
        frame.written,
        frame.flushed,
        frame.messageCount,
        frame.newestMs,
      ]);
  }
}

/** Reads a frame from its bytes, the length included; what it holds are views of them. Throws BAD_REQUEST. */
export function decodeFrame(bytes: Buffer): Frame {
  const type = bytes.readUInt8(4);
  const body = bytes.subarray(frameHeadSize);
  const checked = type === types.data ? body.subarray(0, dataHeadSize - frameHeadSize) : body;
  if (checksum(bytes, checked) !== bytes.readUInt32BE(8)) throw broken("its checksum is wrong");
  switch (type) {
    case types.control:
      return { kind: "control", message: readControl(body.toString("utf8")) };
    case types.part:
      return { kind: "part", bytes: body };
    case types.data: {
      const [epoch = 0, position = 0, confirmed = 0] = readLongs(body, 3);
      const log = body.subarray(dataHeadSize - frameHeadSize);
      return { kind: "data", epoch, position, confirmed, bytes: log };
    }
    case types.confirm: {
      const [epoch = 0, confirmed = 0, start = 0, end = 0, nowMs = 0] = readLongs(body, 5);
      return { kind: "confirm", epoch, confirmed, start, end, nowMs };
    }
    case types.ack: {
      const [epoch = 0, written = 0, flushed = 0, messageCount = 0, newestMs = 0] = readLongs(
        body,
        5,
      );
      return { kind: "ack", epoch, written, flushed, messageCount, newestMs };
    }
    default:
      throw broken(`its type ${type} is unknown`);
  }
}

/** A frame that cannot be read. */
export function broken(why: string): MqError {
  return new MqError("BAD_REQUEST", `a frame of the replication cannot be read: ${why}`);
}

function sealed(type: number, body: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadSize + body.length);
  writeHead(frame, type, frame.length - 4);
  body.copy(frame, frameHeadSize);
  seal(frame, body);
  return frame;
}

function longs(type: number, values: readonly number[]): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadSize + values.length * 8);
  writeHead(frame, type, frame.length - 4);
  writeLongs(frame, values);
  seal(frame, frame.subarray(frameHeadSize));
  return frame;
}

/** Notes the checksum over length, type and `checked`. */
function seal(frame: Buffer, checked: Uint8Array): void {
  frame.writeUInt32BE(checksum(frame, checked), 8);
}

function checksum(frame: Buffer, checked: Uint8Array): number {
  return crc32(checked, crc32(frame.subarray(0, 8)));
}

function writeHead(frame: Buffer, type: number, length: number): void {
  frame.writeUInt32BE(length, 0);
  frame.writeUInt32BE(type * 2 ** 24, 4);
}

function writeLongs(frame: Buffer, values: readonly number[]): void {
  let place = frameHeadSize;
  for (const value of values) {
    frame.writeUInt32BE(Math.floor(value / two32), place);
    frame.writeUInt32BE(value % two32, place + 4);
    place += 8;
  }
}

function readLongs(body: Buffer, count: number): number[] {
  if (body.length < count * 8) throw broken("it is too short");
  return Array.from({ length: count }, (_, index) => {
    const value = body.readUInt32BE(index * 8) * two32 + body.readUInt32BE(index * 8 + 4);
    if (!Number.isSafeInteger(value)) throw broken("it holds a number beyond 2^53 - 1");
    return value;
  });
}
