// An HTTP/2 client that says exactly what a test wants it to say, frame by frame.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { encodeHeaders } from "../../transport/hpack-encoder.ts";
import { FrameType, preface } from "../../transport/http2.ts";
import { until } from "./until.ts";

/** A frame that came. */
export interface ReceivedFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Bytes of a frame. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array | string = "",
): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "hex") : payload;
  const header = Buffer.alloc(9);
  header.writeUIntBE(body.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, body]);
}

/** Four bytes, big-endian. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A SETTINGS frame. */
export function settings(
  ...entries: readonly (readonly [identifier: number, value: number])[]
): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  for (const [index, [identifier, value]] of entries.entries()) {
    payload.writeUInt16BE(identifier, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  }
  return frame(FrameType.settings, 0, 0, payload);
}

/** The header block of a gRPC call. */
export function callBlock(path: string, ...more: readonly (readonly [string, string])[]): Buffer {
  return encodeHeaders([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ]);
}

/** A HEADERS frame of a gRPC call whose request follows. */
export function callHeaders(streamId: number, path: string): Buffer {
  return frame(FrameType.headers, 4, streamId, callBlock(path));
}

/** A whole gRPC call with one message. */
export function wholeCall(
  streamId: number,
  path: string,
  message: Uint8Array = new Uint8Array(),
): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([
    callHeaders(streamId, path),
    frame(FrameType.data, 1, streamId, Buffer.concat([prefix, message])),
  ]);
}

/** The grpc-status in a header block of the server, which writes plain literals; -1 when there is none. */
export function grpcStatus(block: Buffer): number {
  const found = /grpc-status.(\d+)/s.exec(block.toString("latin1"));
  return found === null ? -1 : Number(found[1]);
}

/** A connection that has sent the preface. */
export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly frames: ReceivedFrame[] = [];
  closed = false;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  /** Connects and sends the preface and `first`, by default empty settings. */
  static async connect(port: number, first: Buffer = settings()): Promise<RawClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const client = new RawClient(socket);
    client.send(preface, first);
    return client;
  }

  send(...pieces: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(pieces));
  }

  /** Frames of a type that came so far. */
  ofType(type: number): ReceivedFrame[] {
    return this.frames.filter((each) => each.type === type);
  }

  /** Waits for frames of a type. */
  async next(type: number, count = 1): Promise<ReceivedFrame> {
    await until(
      `frame ${count} of type ${type}`,
      () => this.ofType(type).length >= count || this.closed,
    );
    const found = this.ofType(type)[count - 1];
    if (found === undefined)
      throw new Error(`the connection closed without frame ${count} of type ${type}`);
    return found;
  }

  /** Waits for GOAWAY and gives its error code. */
  async goaway(): Promise<number> {
    return (await this.next(FrameType.goaway)).payload.readUInt32BE(4);
  }

  /** Waits until the server has closed the connection. */
  async gone(timeoutMs?: number): Promise<void> {
    await until("the end of the connection", () => this.closed, timeoutMs);
  }

  /** Waits until the server has handled all that was sent, or closed. */
  async settled(): Promise<void> {
    const before = this.ofType(FrameType.ping).length;
    this.send(frame(FrameType.ping, 0, 0, Buffer.alloc(8)));
    await until("a ping", () => this.closed || this.ofType(FrameType.ping).length > before);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await until("the close", () => this.closed);
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const size = 9 + this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < size) return;
      this.frames.push({
        type: this.#rest.readUInt8(3),
        flags: this.#rest.readUInt8(4),
        streamId: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(9, size),
      });
      this.#rest = this.#rest.subarray(size);
    }
  }
}
