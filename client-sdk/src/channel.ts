// The edge to grpc-js: one connection to one server, bytes in and bytes out. Knows paths and deadlines,
// no topic. Every call settles by its deadline, with an answer or a ClientError.
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import {
  ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  status as grpcStatus,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { abortReason, onAbort } from "./abort-listeners.ts";
import { ClientError, type ClientErrorCode, toError } from "./client-error.ts";
import { type Endpoints, grpcTarget } from "./endpoints.ts";
import type { RequestMetadata } from "./request-metadata.ts";

/** How connections are secured. */
export interface TlsOptions {
  /** Certificates to trust, PEM; the system's when left out. */
  readonly ca?: Buffer | string | undefined;
  /** False accepts any certificate, a self-signed one too: the line is encrypted, the server not proven. */
  readonly rejectUnauthorized: boolean;
}

/** How one call is made. */
export interface CallOptions {
  /** Milliseconds until the call ends with TIMEOUT. */
  readonly timeoutMs: number;
  /** Waits for a connection instead of failing at once without one. */
  readonly waitForReady?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** For error messages. */
  readonly topic?: string | undefined;
  /** Headers of this call alone. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A stream in both directions. */
export interface DuplexCall {
  write(bytes: Uint8Array): void;
  /** Ends it without waiting. */
  cancel(): void;
}

/** A call under way. */
interface Pending {
  readonly startMs: number;
  readonly cancel: () => void;
  /** The connection was given up under it. */
  lost: boolean;
}

const messageSizeMaxBytes = 64 * 1024 * 1024;
const windowSizeBytes = 4 * 1024 * 1024;

const channelOptions = {
  // One connection a client and server: clients of one process do not share their fate.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.max_receive_message_length": messageSizeMaxBytes,
  "grpc.max_send_message_length": messageSizeMaxBytes,
  "grpc.initial_reconnect_backoff_ms": 100,
  // A broker that comes back shall be found well within a failover.
  "grpc.max_reconnect_backoff_ms": 500,
  // Brokers are not reached through web proxies, and a proxy variable must not break localhost.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  // Retries are decided by who knows the message; grpc-js would only add its buffer.
  "grpc.enable_retries": 0,
  "grpc-node.flow_control_window": windowSizeBytes,
};

const passBytes = (bytes: Buffer): Buffer => bytes;

/** A view of the same bytes as a Buffer. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A connection to one server, made at the first call and again whenever it breaks. */
export class Channel {
  readonly endpoints: Endpoints;
  readonly #credentials: ChannelCredentials;
  readonly #channelOptions: ChannelOptions;
  readonly #metadata: RequestMetadata;
  readonly #requests = new Set<Pending>();
  readonly #polls = new Set<Pending>();
  #client: Client | undefined;
  #heardAtMs = 0;
  #closed = false;

  constructor(options: {
    readonly endpoints: Endpoints;
    readonly tls: TlsOptions | undefined;
    readonly metadata: RequestMetadata;
  }) {
    this.endpoints = options.endpoints;
    this.#credentials = credentialsOf(options.tls, options.endpoints);
    this.#channelOptions = channelOptionsOf(options.tls, options.endpoints);
    this.#metadata = options.metadata;
  }

  get address(): string {
    return this.endpoints.facade;
  }

  #open(): Client {
    if (this.#closed) throw new ClientError("CLOSED", "the client was shut down");
    this.#client ??= new Client(
      grpcTarget(this.endpoints),
      this.#credentials,
      this.#channelOptions,
    );
    return this.#client;
  }

  /** One request, one answer. */
  unary(path: string, request: Uint8Array, options: CallOptions): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted === true) return reject(abortReason(signal));
      const call = this.#open().makeUnaryRequest(
        path,
        passBytes,
        passBytes,
        asBuffer(request),
        this.#headers(options),
        { deadline: Date.now() + options.timeoutMs },
        (error, answer) => {
          leave();
          this.#requests.delete(pending);
          if (error === null) this.#heardAtMs = Date.now();
          if (pending.lost) reject(this.#lost(options));
          else if (error !== null) reject(this.#failure(error, path, options));
          else if (answer === undefined) reject(this.#noAnswer(path, options));
          else resolve(answer);
        },
      );
      const leave = onAbort(signal, () => call.cancel());
      const pending = { startMs: Date.now(), cancel: () => call.cancel(), lost: false };
      this.#requests.add(pending);
    });
  }

  /** One request, a stream of answers: each is handed to `onMessage`; resolves at its end. */
  serverStream(
    path: string,
    request: Uint8Array,
    options: CallOptions & { readonly onMessage: (bytes: Buffer) => void },
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      if (signal?.aborted === true) return reject(abortReason(signal));
      const call = this.#open().makeServerStreamRequest(
        path,
        passBytes,
        passBytes,
        asBuffer(request),
        this.#headers(options),
        { deadline: Date.now() + options.timeoutMs },
      );
      const stopListening = onAbort(signal, () => call.cancel());
      const pending = { startMs: Date.now(), cancel: () => call.cancel(), lost: false };
      this.#polls.add(pending);
      const leave = (): void => {
        stopListening();
        this.#polls.delete(pending);
      };
      call.on("data", (bytes: Buffer) => {
        this.#heardAtMs = Date.now();
        options.onMessage(bytes);
      });
      call.on("error", (error: ServiceError) => {
        leave();
        reject(pending.lost ? this.#lost(options) : this.#failure(error, path, options));
      });
      call.on("end", () => {
        leave();
        this.#heardAtMs = Date.now();
        resolve();
      });
    });
  }

  #headers({ waitForReady, headers }: CallOptions): Metadata {
    const shared = this.#metadata.current({ waitForReady: waitForReady === true });
    if (headers === undefined) return shared;
    const own = shared.clone();
    for (const [name, value] of Object.entries(headers)) own.set(name, value);
    return own;
  }

  /** A stream in both directions. `onEnd` is called once, however it ends; never after `cancel`. */
  duplex(
    path: string,
    handlers: {
      readonly onMessage: (bytes: Buffer) => void;
      readonly onEnd: (error: Error | undefined) => void;
    },
  ): DuplexCall {
    const call: ClientDuplexStream<Buffer, Buffer> = this.#open().makeBidiStreamRequest(
      path,
      passBytes,
      passBytes,
      this.#metadata.current({ waitForReady: true }),
      {},
    );
    let ended = false;
    const end = (error: Error | undefined): void => {
      if (ended) return;
      ended = true;
      handlers.onEnd(error);
    };
    call.on("data", handlers.onMessage);
    call.on("error", (error: ServiceError) => end(this.#failure(error, path, { timeoutMs: 0 })));
    call.on("end", () => {
      // The server closed its side; closing ours lets the call finish.
      call.end();
      end(undefined);
    });
    return {
      write: (bytes) => void (ended || call.write(asBuffer(bytes))),
      cancel: () => {
        ended = true;
        call.cancel();
      },
    };
  }

  /** Resolves when connected; rejects with UNREACHABLE after `timeoutMs`. */
  connected(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open().waitForReady(Date.now() + timeoutMs, (error) => {
        if (error === undefined) resolve();
        else reject(this.#unreachable(`no connection within ${timeoutMs} ms`, error, undefined));
      });
    });
  }

  /** For how long calls have been waiting while nothing came back on the connection, in milliseconds; 0 without such calls. */
  silence(nowMs: number): { readonly requestsMs: number; readonly pollsMs: number } {
    const sinceOldest = (calls: ReadonlySet<Pending>): number => {
      const [oldest] = calls;
      return oldest === undefined ? 0 : nowMs - Math.max(oldest.startMs, this.#heardAtMs);
    };
    return { requestsMs: sinceOldest(this.#requests), pollsMs: sinceOldest(this.#polls) };
  }

  /** Gives the connection up: calls under way fail with UNREACHABLE now, the next call makes a new one. */
  abandon(): void {
    for (const calls of [this.#requests, this.#polls]) {
      for (const pending of calls) {
        pending.lost = true;
        pending.cancel();
      }
    }
    this.reconnect();
  }

  /** Drops the connection: the next call makes a new one. Calls under way run to their deadline. */
  reconnect(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** Ends the connection; later calls fail with CLOSED. */
  close(): void {
    this.#closed = true;
    this.reconnect();
  }

  #noAnswer(path: string, options: CallOptions): ClientError {
    return new ClientError("PROTOCOL", `${methodOf(path)} was answered without a message`, {
      address: this.address,
      topic: options.topic,
    });
  }

  #lost(options: CallOptions): ClientError {
    const { topic } = options;
    const reason = "the connection brings no answers any more, not even to a heartbeat";
    return new ClientError("UNREACHABLE", reason, { address: this.address, topic });
  }

  #unreachable(reason: string, cause: unknown, topic: string | undefined): ClientError {
    const message = `cannot reach the server: ${reason}. Check the address, that the server runs, and sslEnabled`;
    return new ClientError("UNREACHABLE", message, { address: this.address, topic, cause });
  }

  #failure(error: ServiceError, path: string, options: CallOptions): Error {
    if (options.signal?.aborted === true) return abortReason(options.signal);
    const said = error.details === "" ? toError(error).message : error.details;
    const place = { address: this.address, topic: options.topic, cause: error };
    const method = methodOf(path);
    switch (error.code) {
      case grpcStatus.UNAVAILABLE:
      case grpcStatus.CANCELLED:
        return this.#unreachable(said, error, options.topic);
      case grpcStatus.DEADLINE_EXCEEDED:
        return new ClientError(
          "TIMEOUT",
          `${method}: no answer within ${Math.round(options.timeoutMs)} ms; it may or may not have been done`,
          place,
        );
      case grpcStatus.UNIMPLEMENTED:
        return new ClientError(
          "UNSUPPORTED",
          `the server does not offer ${method}: ${said}. Is this a RocketMQ 5 broker or proxy?`,
          place,
        );
      default:
        return new ClientError(codeOf(error.code), `${method}: ${said}`, place);
    }
  }
}

function codeOf(code: grpcStatus): ClientErrorCode {
  switch (code) {
    case grpcStatus.UNAUTHENTICATED:
      return "UNAUTHORIZED";
    case grpcStatus.PERMISSION_DENIED:
      return "FORBIDDEN";
    case grpcStatus.RESOURCE_EXHAUSTED:
      return "TOO_MANY_REQUESTS";
    case grpcStatus.INVALID_ARGUMENT:
      return "BAD_REQUEST";
    default:
      return "PROTOCOL";
  }
}

function methodOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** What is sent as server name when a server is named by its IP address, which TLS does not allow there. */
const nameForAddress = "rocketmq";

function channelOptionsOf(tls: TlsOptions | undefined, endpoints: Endpoints): ChannelOptions {
  const host = endpoints.addressesList[0]?.host ?? "";
  if (tls === undefined || isIP(host) === 0) return channelOptions;
  return { ...channelOptions, "grpc.ssl_target_name_override": nameForAddress };
}

function credentialsOf(tls: TlsOptions | undefined, endpoints: Endpoints): ChannelCredentials {
  if (tls === undefined) return ChannelCredentials.createInsecure();
  const ca = tls.ca === undefined ? null : Buffer.from(tls.ca);
  const host = endpoints.addressesList[0]?.host ?? "";
  const { rejectUnauthorized } = tls;
  return ChannelCredentials.createSsl(ca, null, null, {
    rejectUnauthorized,
    checkServerIdentity: (_name, certificate) =>
      rejectUnauthorized ? checkServerIdentity(host, certificate) : undefined,
  });
}
