// A load client that speaks just enough HTTP/2 to keep a server busy: prebuilt requests, responses
// counted by END_STREAM. It checks no gRPC status: whoever measures asks the server what arrived.
import { connect, type Socket } from "node:net";

const frameHeaderSize = 9;
const frameType = {
  data: 0,
  headers: 1,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  rst: 3,
} as const;
const endStream = 0x1;
const endHeaders = 0x4;
const windowMax = 2 ** 31 - 1;
const defaultWindow = 65_535;
const streamWindow = 16 * 1024 * 1024;

/** One request, ready to be sent on any stream. */
export interface RawRequest {
  /** HPACK header block that uses no dynamic table. */
  readonly headerBlock: Buffer;
  /** The gRPC message with its 5-byte prefix. */
  readonly body: Buffer;
}

/** Gives the next request to send, or undefined when there is none for now. */
export type NextRequest = () => RawRequest | undefined;

/** Called once a response: its DATA bytes joined (empty unless `collect`). */
export type OnResponse = (body: Buffer, request: RawRequest) => void;

/** Builds the header block of a gRPC call to `path`. */
export function headerBlockFor(
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Buffer {
  const parts: Buffer[] = [Buffer.from([0x83, 0x86]), Buffer.from([0x04]), text(path)];
  parts.push(Buffer.from([0x01]), text("127.0.0.1"));
  const all = { "content-type": "application/grpc", te: "trailers", ...headers };
  for (const [name, value] of Object.entries(all)) {
    parts.push(Buffer.from([0x00]), text(name), text(value));
  }
  return Buffer.concat(parts);
}

/** Puts the 5-byte gRPC prefix before a message. */
export function framed(message: Uint8Array): Buffer {
  const out = Buffer.alloc(5 + message.length);
  out.writeUInt32BE(message.length, 1);
  out.set(message, 5);
  return out;
}

/** The gRPC messages in a response body. */
export function* messagesIn(body: Buffer): Generator<Buffer> {
  for (let at = 0; at + 5 <= body.length; ) {
    const size = body.readUInt32BE(at + 1);
    yield body.subarray(at + 5, at + 5 + size);
    at += 5 + size;
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length = bytes.length < 127 ? [bytes.length] : [127, ...varint(bytes.length - 127)];
  return Buffer.concat([Buffer.from(length), bytes]);
}

function varint(value: number): number[] {
  const out: number[] = [];
  let left = value;
  while (left >= 128) {
    out.push((left & 127) | 128);
    left = Math.floor(left / 128);
  }
  out.push(left);
  return out;
}

interface RawStream {
  readonly request: RawRequest;
  readonly chunks: Buffer[];
}

/** One HTTP/2 connection that keeps `inFlight` requests under way. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #inFlightMax: number;
  readonly #next: NextRequest;
  readonly #onResponse: OnResponse;
  readonly #collect: boolean;
  readonly #streams = new Map<number, RawStream>();
  #nextStream = 1;
  #sendWindow = defaultWindow;
  #received = 0;
  #pendingInput: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;
  #closed = false;

  private constructor(socket: Socket, options: RawConnectionOptions) {
    this.#socket = socket;
    this.#inFlightMax = options.inFlight;
    this.#next = options.next;
    this.#onResponse = options.onResponse;
    this.#collect = options.collect ?? false;
  }

  /** Connects to `port` on loopback and begins to send. */
  static async open(port: number, options: RawConnectionOptions): Promise<RawConnection> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    const connection = new RawConnection(socket, options);
    connection.#start();
    return connection;
  }

  /** Requests without a response yet. */
  get inFlight(): number {
    return this.#streams.size;
  }

  /** What broke the connection, if anything did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Asks for requests again after `next` had none. */
  kick(): void {
    this.#fill();
  }

  /** Closes the socket at once. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #start(): void {
    const settings = Buffer.alloc(6);
    settings.writeUInt16BE(4, 0);
    settings.writeUInt32BE(streamWindow, 2);
    this.#socket.write(
      Buffer.concat([
        Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        frame(frameType.settings, 0, 0, settings),
        windowUpdate(windowMax - defaultWindow),
      ]),
    );
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", (error) => {
      if (!this.#closed) this.#failure ??= error;
    });
    this.#socket.on("close", () => {
      if (!this.#closed) this.#failure ??= new Error("the server closed the connection");
    });
    this.#fill();
  }

  #fill(): void {
    const output: Buffer[] = [];
    while (this.#streams.size < this.#inFlightMax) {
      if (this.#sendWindow < 65_536 / 2) break;
      const request = this.#next();
      if (request === undefined) break;
      const id = this.#nextStream;
      this.#nextStream += 2;
      this.#streams.set(id, { request, chunks: [] });
      this.#sendWindow -= request.body.length;
      output.push(
        frameHeader(request.headerBlock.length, frameType.headers, endHeaders, id),
        request.headerBlock,
      );
      output.push(frameHeader(request.body.length, frameType.data, endStream, id), request.body);
    }
    if (output.length > 0) this.#socket.write(Buffer.concat(output));
  }

  #onData(chunk: Buffer): void {
    const input =
      this.#pendingInput.length === 0 ? chunk : Buffer.concat([this.#pendingInput, chunk]);
    let at = 0;
    while (at + frameHeaderSize <= input.length) {
      const length = input.readUIntBE(at, 3);
      const end = at + frameHeaderSize + length;
      if (end > input.length) break;
      const type = input.readUInt8(at + 3);
      const flags = input.readUInt8(at + 4);
      const stream = input.readUInt32BE(at + 5) & 0x7fff_ffff;
      this.#onFrame({ type, flags, stream, payload: input.subarray(at + frameHeaderSize, end) });
      at = end;
    }
    this.#pendingInput = at === input.length ? Buffer.alloc(0) : input.subarray(at);
    this.#fill();
  }

  #onFrame(input: { type: number; flags: number; stream: number; payload: Buffer }): void {
    const { type, flags, stream, payload } = input;
    if (type === frameType.data) {
      this.#received += payload.length;
      if (this.#received > streamWindow) {
        this.#socket.write(windowUpdate(this.#received));
        this.#received = 0;
      }
      if (this.#collect) this.#streams.get(stream)?.chunks.push(payload);
    } else if (type === frameType.settings && (flags & 1) === 0) {
      this.#socket.write(frame(frameType.settings, 1, 0, Buffer.alloc(0)));
    } else if (type === frameType.ping && (flags & 1) === 0) {
      this.#socket.write(frame(frameType.ping, 1, 0, payload));
    } else if (type === frameType.windowUpdate && stream === 0) {
      this.#sendWindow += payload.readUInt32BE(0);
    } else if (type === frameType.rst || type === frameType.goaway) {
      this.#failure ??= new Error(`frame of type ${type}: ${payload.toString("hex")}`);
    }
    const ends =
      (type === frameType.data || type === frameType.headers) && (flags & endStream) !== 0;
    if (ends) this.#end(stream);
  }

  #end(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    const { chunks } = stream;
    const body = chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks);
    this.#onResponse(body, stream.request);
  }
}

/** What a RawConnection sends and whom it tells. */
export interface RawConnectionOptions {
  readonly inFlight: number;
  readonly next: NextRequest;
  readonly onResponse: OnResponse;
  /** Whether response bodies are kept for `onResponse`. */
  readonly collect?: boolean;
}

function frameHeader(length: number, type: number, flags: number, stream: number): Buffer {
  const out = Buffer.allocUnsafe(frameHeaderSize);
  out.writeUIntBE(length, 0, 3);
  out.writeUInt8(type, 3);
  out.writeUInt8(flags, 4);
  out.writeUInt32BE(stream, 5);
  return out;
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(payload.length, type, flags, stream), payload]);
}

function windowUpdate(size: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(size, 0);
  return frame(frameType.windowUpdate, 0, 0, payload);
}
