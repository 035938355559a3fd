// One gRPC call of a command: connect, ask, check the status, with a deadline. Over Node's own HTTP/2: a command makes a few
// calls and ends, and @grpc/grpc-js takes longer to load than all of them take.
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { CommandFailure, UnreachableFailure } from "./failure.ts";

/** One unary method of a service table of @cometmq/proto. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly request: { encode(value: Request): Uint8Array };
  readonly response: { decode(bytes: Uint8Array): Response };
}

/** The status that every response carries. */
export interface Answered {
  status?: { code?: number | null; message?: string | null } | null;
}

const okCode = 20000;

/** Connections of one mqadmin run, by address. */
export class Connections {
  readonly #sessions = new Map<string, ClientHttp2Session>();
  readonly #timeoutMs: number;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Calls `method` at `address` (host:port). Throws CommandFailure when nobody answers there in time,
   * or when the answer's status is not OK and not one of `allowed`.
   */
  async call<Request, Response extends Answered>(
    address: string,
    method: Method<Request, Response>,
    request: Request,
    allowed: readonly number[] = [],
  ): Promise<Response> {
    const response = await this.#unary(address, method, request);
    const code = response.status?.code ?? 0;
    if (code !== okCode && !allowed.includes(code)) {
      throw new CommandFailure(`${address}: ${response.status?.message ?? "no status"} (${code})`);
    }
    return response;
  }

  /** Closes every connection. */
  close(): void {
    for (const session of this.#sessions.values()) session.destroy();
    this.#sessions.clear();
  }

  #unary<Request, Response>(
    address: string,
    method: Method<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const call = new UnaryCall(address, this.#timeoutMs);
    const frame = framed(method.request.encode(request));
    return call.make(this.#session(address), method.path, frame).then((bytes) => {
      return method.response.decode(bytes);
    });
  }

  #session(address: string): ClientHttp2Session {
    let session = this.#sessions.get(address);
    if (session === undefined || session.closed || session.destroyed) {
      session = connect(`http://${address}`);
      // The calls under way hear of it, too.
      session.on("error", () => {});
      this.#sessions.set(address, session);
    }
    return session;
  }
}

const prefixSize = 5;
const responseSizeMax = 64 * 1024 * 1024;

/** gRPC's status codes that say something special here. */
const grpc = { ok: 0, deadlineExceeded: 4, unimplemented: 12, unavailable: 14 } as const;

/** One call, from its request to its answer. */
class UnaryCall {
  readonly #address: string;
  readonly #timeoutMs: number;
  readonly #chunks: Buffer[] = [];
  #size = 0;
  /** `grpc-status` and `grpc-message`, from wherever they came. */
  #status: number | undefined;
  #message = "";

  constructor(address: string, timeoutMs: number) {
    this.#address = address;
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves with the bytes of the response. Throws CommandFailure. */
  make(session: ClientHttp2Session, path: string, frame: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-timeout": `${this.#timeoutMs}m`,
        "x-mq-client-id": `mqadmin@${process.pid}`,
        "x-mq-language": "TYPESCRIPT",
      });
      const timer = setTimeout(() => {
        reject(this.#late());
        stream.close(constants.NGHTTP2_CANCEL);
      }, this.#timeoutMs);
      stream.on("response", (headers) => this.#note(headers));
      stream.on("trailers", (headers) => this.#note(headers));
      stream.on("data", (chunk: Buffer) => {
        this.#size += chunk.length;
        if (this.#size <= responseSizeMax) this.#chunks.push(chunk);
        else stream.close(constants.NGHTTP2_CANCEL);
      });
      stream.on("error", (error) => reject(this.#unreachable(error)));
      stream.on("close", () => {
        clearTimeout(timer);
        try {
          resolve(this.#answer());
        } catch (error) {
          reject(error);
        }
      });
      stream.end(frame);
    });
  }

  #note(headers: Readonly<Record<string, string | string[] | number | undefined>>): void {
    const status = headers["grpc-status"];
    if (status === undefined) return;
    this.#status = Number(status);
    this.#message = decoded(String(headers["grpc-message"] ?? ""));
  }

  #answer(): Uint8Array {
    const address = this.#address;
    if (this.#size > responseSizeMax) {
      throw new CommandFailure(`${address}: the answer is larger than ${responseSizeMax} bytes`);
    }
    switch (this.#status) {
      case grpc.ok:
        break;
      case undefined:
        throw new UnreachableFailure(`${address}: ended the call without an answer`);
      case grpc.deadlineExceeded:
        throw this.#late();
      case grpc.unavailable:
        throw this.#nobody(this.#message);
      case grpc.unimplemented:
        throw new CommandFailure(
          `${address} does not serve this command: is it a NameServer where a broker is needed, or the reverse?`,
        );
      default:
        throw new CommandFailure(`${address}: ${this.#message}`);
    }
    const bytes = Buffer.concat(this.#chunks);
    if (bytes.length < prefixSize) throw new CommandFailure(`${address}: empty answer`);
    return bytes.subarray(prefixSize, prefixSize + bytes.readUInt32BE(1));
  }

  #late(): UnreachableFailure {
    return new UnreachableFailure(`${this.#address} did not answer in time`);
  }

  #unreachable(error: Error): UnreachableFailure {
    const cause = error.cause instanceof Error ? error.cause : error;
    const code = "code" in cause ? String(cause.code) : "";
    const isRefused = /^E[A-Z]+$/.test(code);
    return this.#nobody(isRefused ? `connect ${code}` : cause.message || code);
  }

  #nobody(reason: string): UnreachableFailure {
    return new UnreachableFailure(
      `nobody answers at ${this.#address}: ${reason}. Is it running there? Name another with -n or -b.`,
    );
  }
}

/** A message as gRPC sends it: not compressed, with its length. */
function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(prefixSize + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, prefixSize);
  return frame;
}

/** `grpc-message` is percent-encoded UTF-8. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
