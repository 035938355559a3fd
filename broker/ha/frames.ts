// The frames that brokers replicate with: docs/format/replication.md. Encodes and decodes them; knows neither links
// nor logs. What is said rarely is JSON in a control frame; what goes with the messages has a fixed layout.
import { crc32 } from "node:zlib";
import { assert, MqError } from "../../base/index.ts";
import { type ControlMessage, readControl } from "./control-messages.ts";

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
  /** Messages that ever entered its queues. */
  readonly messageCount: number;
  /** Store time of its newest record, milliseconds since 1970; 0: it has none. */
  readonly newestMs: number;
}

/** What a slave has: after each write and flush, and each second. */
export interface AckFrame {
  readonly kind: "ack";
  readonly epoch: number;
  readonly written: number;
  readonly flushed: number;
  /** Everything before it is in its queues and its state. */
  readonly applied: number;
  /** Messages that ever entered its queues. */
  readonly messageCount: number;
  /** Store time of its newest record, milliseconds since 1970; 0: it has none. */
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

/** Log bytes of one data frame, and bytes of any other body, at most. */
export const bodySizeMax = 1_048_576;
/** Length, type, flags, two bytes of nothing, checksum. */
export const frameHeadSize = 12;
/** A frame as a whole, at most. */
export const frameSizeMax: number = frameHeadSize + 24 + bodySizeMax;

const types = { control: 1, data: 2, confirm: 3, ack: 4, part: 5 } as const;
const dataHeadSize = frameHeadSize + 24;
const checksumPlace = 8;
const two32 = 2 ** 32;

/** The two pieces of a data frame: the bytes are not copied. At most `bodySizeMax` of them, or an assert stops the process. */
export function encodeData(frame: Omit<DataFrame, "kind">): readonly [Buffer, Buffer] {
  assert(frame.bytes.length <= bodySizeMax, `${frame.bytes.length} bytes in one data frame`);
  const head = Buffer.allocUnsafe(dataHeadSize);
  const view = viewOf(head);
  writeHead(view, types.data, dataHeadSize + frame.bytes.length);
  writeLongs(view, [frame.epoch, frame.position, frame.confirmed]);
  // The bytes carry checksums of their own, one a record.
  view.setUint32(checksumPlace, checksum(head));
  return [head, frame.bytes];
}

/** A whole frame. A body over `bodySizeMax` stops the process by an assert. */
export function encodeFrame(frame: Exclude<Frame, DataFrame>): Buffer {
  switch (frame.kind) {
    case "control":
      return withBody(types.control, Buffer.from(JSON.stringify(frame.message), "utf8"));
    case "part":
      return withBody(types.part, frame.bytes);
    case "confirm": {
      const { epoch, confirmed, start, end, nowMs, messageCount, newestMs } = frame;
      return ofLongs(types.confirm, [epoch, confirmed, start, end, nowMs, messageCount, newestMs]);
    }
    case "ack":
      break;
  }
  const { epoch, written, flushed, applied, messageCount, newestMs } = frame;
  return ofLongs(types.ack, [epoch, written, flushed, applied, messageCount, newestMs]);
}

/** Length of the frame that begins with these bytes, itself included. Throws BAD_REQUEST when no frame is so long. */
export function frameSize(head: Buffer, place: number): number {
  const size = 4 + head.readUInt32BE(place);
  if (size >= frameHeadSize && size <= frameSizeMax) return size;
  throw broken(`it claims ${size} bytes; ${frameHeadSize} to ${frameSizeMax} are allowed`);
}

/** Reads a frame from its bytes, the length included; what it holds are views of them. Throws BAD_REQUEST. */
export function decodeFrame(bytes: Buffer): Frame {
  const view = viewOf(bytes);
  const type = view.getUint8(4);
  const checked = type === types.data ? bytes.subarray(0, dataHeadSize) : bytes;
  if (checksum(checked) !== view.getUint32(checksumPlace)) throw broken("its checksum is wrong");
  if (view.getUint8(5) !== 0) throw broken(`it has flags ${view.getUint8(5)}, which are unknown`);
  switch (type) {
    case types.control:
      return { kind: "control", message: readControl(bytes.toString("utf8", frameHeadSize)) };
    case types.part:
      return { kind: "part", bytes: bytes.subarray(frameHeadSize) };
    case types.data: {
      const [epoch = 0, position = 0, confirmed = 0] = readLongs(view, 3);
      return { kind: "data", epoch, position, confirmed, bytes: bytes.subarray(dataHeadSize) };
    }
    case types.confirm: {
      const [
        epoch = 0,
        confirmed = 0,
        start = 0,
        end = 0,
        nowMs = 0,
        messageCount = 0,
        newestMs = 0,
      ] = readLongs(view, 7);
      return { kind: "confirm", epoch, confirmed, start, end, nowMs, messageCount, newestMs };
    }
    case types.ack: {
      const [epoch = 0, written = 0, flushed = 0, applied = 0, messageCount = 0, newestMs = 0] =
        readLongs(view, 6);
      return { kind: "ack", epoch, written, flushed, applied, messageCount, newestMs };
    }
    default:
      throw broken(`its type ${type} is unknown`);
  }
}

/** The checksum over all parts: of those before, and of the next one. Begins with 0. */
export function partChecksum(before: number, part: Uint8Array): number {
  return crc32(part, before);
}

function broken(why: string): MqError {
  return new MqError("BAD_REQUEST", `a frame of the replication cannot be read: ${why}`);
}

/** Over everything but itself, so that a changed length or type is seen as well. */
function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(frameHeadSize), crc32(bytes.subarray(0, checksumPlace)));
}

function withBody(type: number, body: Buffer): Buffer {
  assert(body.length <= bodySizeMax, `${body.length} bytes in one frame`);
  const frame = Buffer.allocUnsafe(frameHeadSize + body.length);
  body.copy(frame, frameHeadSize);
  return sealed(type, frame);
}

function ofLongs(type: number, values: readonly number[]): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadSize + values.length * 8);
  writeLongs(viewOf(frame), values);
  return sealed(type, frame);
}

function sealed(type: number, frame: Buffer): Buffer {
  const view = viewOf(frame);
  writeHead(view, type, frame.length);
  view.setUint32(checksumPlace, checksum(frame));
  return frame;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeHead(view: DataView, type: number, size: number): void {
  view.setUint32(0, size - 4);
  view.setUint32(4, type * 2 ** 24);
}

function writeLongs(view: DataView, values: readonly number[]): void {
  let place = frameHeadSize;
  for (const value of values) {
    view.setUint32(place, Math.floor(value / two32));
    view.setUint32(place + 4, value % two32);
    place += 8;
  }
}

/** Bytes behind them belong to later versions, which may add fields. */
function readLongs(view: DataView, count: number): number[] {
  if (view.byteLength < frameHeadSize + count * 8) throw broken("it is too short");
  return Array.from({ length: count }, (_, index) => {
    const place = frameHeadSize + index * 8;
    const value = view.getUint32(place) * two32 + view.getUint32(place + 4);
    if (!Number.isSafeInteger(value)) throw broken("it holds a number beyond 2^53 - 1");
    return value;
  });
}
