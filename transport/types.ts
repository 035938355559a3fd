// What a user of the transport sees: connections, calls, the three kinds of handlers.

/** A client's connection. */
export interface Connection {
  /** Unique in this process. */
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The address the client dialled, as this host sees it. */
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: boolean;
  /** Aborted when the connection is gone. */
  readonly closed: AbortSignal;
}

/** One call of a method. */
export interface ServerCall {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly connection: Connection;
  /** `:authority` as the client sent it; some send a fixed word. Never to be trusted for routing. */
  readonly authority: string;
  /** First value of the header with this lower-case name; binary (-bin) values stay base64. */
  header(name: string): string | undefined;
  /** Milliseconds until the call's deadline, at most 2^31 - 1; Infinity without one. */
  remainingMs(): number;
  /** Aborted when the client cancelled, the connection was lost, the deadline passed or the server was stopped. */
  readonly signal: AbortSignal;
}

/** A call answered with a stream of messages. */
export interface ServerStream extends ServerCall {
  /**
   * Sends one message (without length prefix). The bytes must not be changed afterwards.
   * False when much is waiting for the client: wait for `drained()` before the next. After the end it does nothing.
   */
  write(message: Uint8Array): boolean;
  /** As `write`, for bytes that hold whole messages with their 5-byte gRPC prefix each. */
  writeFramed(framed: Uint8Array): boolean;
  /** Resolves when little is waiting, or the stream has ended. */
  drained(): Promise<void>;
  /**
   * Ends the call with OK. Resolves "written" when all bytes were taken by the socket, "reset" when the
   * stream was reset or the connection closed before that. May be called again.
   */
  finish(): Promise<"written" | "reset">;
}

/** A call with streams both ways. Its headers are sent before the handler runs. */
export interface BidiStream extends ServerStream {
  /**
   * The client's messages; the bytes belong to the reader. Ends when the client has sent all, the stream was reset
   * (then `signal` is aborted) or the server closes. One reader only.
   */
  readonly messages: AsyncIterable<Uint8Array>;
}

/** `request` is a view that is valid only until the handler first yields to the event loop: copy what you keep. */
export type UnaryHandler = (
  request: Uint8Array,
  call: ServerCall,
) => Uint8Array | Promise<Uint8Array>;
/** Returning is `finish()`, throwing ends the call with the error's status. `request` as for UnaryHandler. */
export type ServerStreamHandler = (request: Uint8Array, stream: ServerStream) => Promise<void>;
/** Returning is `finish()`, throwing ends the call with the error's status. */
export type BidiHandler = (stream: BidiStream) => Promise<void>;

/** What every method may choose. */
export interface MethodOptions {
  /** Largest request message, bytes, after decompression. Default: the limit `requestSizeMax`. More: RESOURCE_EXHAUSTED. */
  readonly requestSizeMax?: number;
  /** The client's grpc-timeout does not end the call. */
  readonly ignoreDeadline?: boolean;
}

/** A method by path. */
export type MethodHandler =
  | ({ readonly kind: "unary"; readonly handle: UnaryHandler } & MethodOptions)
  | ({ readonly kind: "serverStream"; readonly handle: ServerStreamHandler } & MethodOptions)
  | ({ readonly kind: "bidi"; readonly handle: BidiHandler } & MethodOptions);

/** Why the server cut a connection or refused one: one word for metrics. */
export type CutReason =
  | "protocolError"
  | "flood"
  | "headerTooLarge"
  | "slowReader"
  | "idle"
  | "handshakeTimeout"
  | "tooManyConnections"
  | "http1"
  | "tlsRefused"
  | "plaintextRefused";

/** Hears what metrics count. Called on the hot path: must be cheap and must not throw. */
export interface TransportObserver {
  connectionOpened?(connection: Connection): void;
  connectionClosed?(connection: Connection): void;
  connectionCut?(reason: CutReason): void;
  /** Once per call; `path` is "unknown" for paths that are not served. */
  callFinished?(path: string, grpcStatus: number): void;
}
