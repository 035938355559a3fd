// The gRPC server: accepts connections, finds out what each speaks, keeps them in order, and closes them in peace.
import { createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  type CancelTimer,
  type Clock,
  type Logger,
  MqError,
  type TransportLimits,
  transportLimits,
} from "../base/index.ts";
import type { CertificateSource } from "./certificates.ts";
import { type ConnectionContext, Http2Connection } from "./connection.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { Frame } from "./frame-splitter.ts";
import { awaitGreeting, type Greeting, http1Answer } from "./greeting.ts";
import { HealthService } from "./health.ts";
import { HeaderList } from "./hpack-decoder.ts";
import { Peer } from "./peer.ts";
import { reflectionMethods } from "./reflection.ts";
import { FlushQueue } from "./sender.ts";
import { TlsDoor, type TlsMode } from "./tls-door.ts";
import type { CutReason, MethodHandler, TransportObserver } from "./types.ts";

/** What reflection tells: service names, and serialized FileDescriptorProto messages by file name. */
export interface ServiceDescriptions {
  readonly names: readonly string[];
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** How a server is opened. */
export interface GrpcServerOptions {
  /** Address to listen on; undefined: all. */
  readonly host?: string | undefined;
  /** 0: any free port. */
  readonly port: number;
  /** Methods by path, `/package.Service/Method`. Health and reflection come on top. */
  readonly methods: ReadonlyMap<string, MethodHandler>;
  readonly services: ServiceDescriptions;
  /** Default: disabled. */
  readonly tls?: { readonly mode: TlsMode; readonly certificate?: CertificateSource };
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits?: Partial<TransportLimits>;
  readonly observer?: TransportObserver;
}

const housekeepingMs = 1000;
/** A peer that vanished without a word is noticed by the system's keep-alive. */
const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 } as const;
/** How long a cut connection may take to read why, milliseconds. */
const farewellMs = 1000;

/** A running server. */
export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #limits: TransportLimits;
  readonly #observer: TransportObserver;
  readonly #health: HealthService;
  readonly #wheel: DeadlineWheel;
  readonly #context: ConnectionContext;
  readonly #tls: TlsDoor;
  readonly #listener: Server;
  readonly #connections = new Set<Http2Connection>();
  /** Every accepted socket, also those that have not greeted yet. */
  readonly #sockets = new Set<Socket>();
  #nextId = 1;
  #port = 0;
  #cancelHousekeeping: CancelTimer | undefined;
  #onEmpty: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#limits = { ...transportLimits, ...options.limits };
    this.#observer = options.observer ?? {};
    this.#health = new HealthService(options.services.names);
    this.#wheel = new DeadlineWheel(options.clock);
    this.#tls = new TlsDoor({
      mode: options.tls?.mode ?? "disabled",
      certificate: options.tls?.certificate ?? { kind: "selfSigned" },
      handshakeMs: this.#limits.handshakeMs,
      clock: options.clock,
      logger: options.logger,
      onSecure: (socket) => this.#secure(socket),
    });
    this.#context = {
      limits: this.#limits,
      clock: options.clock,
      logger: options.logger,
      observer: this.#observer,
      wheel: this.#wheel,
      monotonicMs: () => options.clock.monotonicMs(),
      flushQueue: new FlushQueue(),
      frame: new Frame(),
      list: new HeaderList(this.#limits.headerListSizeMax),
      methods: new Map([
        ...options.methods,
        ...this.#health.methods(),
        ...reflectionMethods(options.services),
      ]),
      onClosed: (connection) => this.#onClosed(connection),
    };
    this.#listener = createServer(socketOptions, (socket) => this.#accept(socket));
  }

  /** Starts listening. Rejects BAD_CONFIG when the address cannot be had or the certificate is unusable. */
  static async listen(options: GrpcServerOptions): Promise<GrpcServer> {
    const server = new GrpcServer(options);
    await server.#tls.open();
    try {
      await server.#listen();
    } catch (error) {
      server.#tls.close();
      throw error;
    }
    return server;
  }

  /** The port that was bound. */
  get port(): number {
    return this.#port;
  }

  /** HTTP/2 connections. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Calls that are open. */
  get calls(): number {
    let count = 0;
    for (const connection of this.#connections) count += connection.streamCount;
    return count;
  }

  /** What the health service says from now on. True at first. */
  setServing(serving: boolean): void {
    this.#health.setServing(serving);
  }

  /**
   * Takes no new connections and calls, waits for the open calls at most `graceMs`, then aborts what is left.
   * Handlers of bidirectional calls see the end of their client's messages at once. Never rejects.
   */
  close(options: { readonly graceMs: number }): Promise<void> {
    this.#closing ??= this.#close(options.graceMs);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ graceMs: 0 });
  }

  #listen(): Promise<void> {
    const { host, port, clock } = this.#options;
    const listener = this.#listener;
    return new Promise((resolve, reject) => {
      listener.once("error", (error) => {
        const where = `${host ?? "*"}:${port}`;
        reject(
          new MqError("BAD_CONFIG", `cannot listen on ${where}: ${error.message}`, {
            cause: error,
          }),
        );
      });
      listener.listen({ port, host, backlog: 4096 }, () => {
        listener.removeAllListeners("error");
        listener.on("error", (error) => {
          this.#options.logger.error("the listener failed", { error: error.message });
        });
        const address = listener.address();
        if (address !== null && typeof address === "object") this.#port = address.port;
        this.#cancelHousekeeping = clock.every(housekeepingMs, () => this.#tick());
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    if (this.#sockets.size >= this.#limits.connectionsMax) {
      this.#observer.connectionCut?.("tooManyConnections");
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    this.#greet(socket, { tls: false });
  }

  #greet(socket: Socket, options: { readonly tls: boolean }): void {
    const { clock } = this.#options;
    awaitGreeting(socket, { clock, timeoutMs: this.#limits.handshakeMs }, (greeting) =>
      this.#greeted(socket, greeting, options),
    );
  }

  #greeted(socket: Socket, greeting: Greeting, options: { readonly tls: boolean }): void {
    switch (greeting.kind) {
      case "tls":
        if (options.tls || this.#tls.mode === "disabled") this.#cut(socket, "tlsRefused");
        else this.#tls.enter(socket, greeting.first);
        break;
      case "http2":
        if (!options.tls && this.#tls.mode === "enforcing") this.#cut(socket, "plaintextRefused");
        else this.#connect(socket, greeting.rest, options);
        break;
      case "http1":
        this.#cut(socket, "http1", http1Answer);
        break;
      case "timeout":
        this.#cut(socket, "handshakeTimeout");
        break;
      case "nonsense":
        this.#cut(socket, "protocolError");
        break;
      default:
        greeting satisfies never;
    }
  }

  #connect(socket: Socket, rest: Buffer, options: { readonly tls: boolean }): void {
    const peer = new Peer(this.#nextId, socket, options);
    this.#nextId += 1;
    const connection = new Http2Connection(socket, peer, this.#context);
    this.#connections.add(connection);
    this.#observer.connectionOpened?.(peer);
    connection.start(rest);
    if (this.#closing !== undefined) connection.drain();
  }

  /** A TLS handshake is done. */
  #secure(socket: TLSSocket): void {
    socket.on("error", () => socket.destroy());
    if (socket.alpnProtocol === "h2") this.#greet(socket, { tls: true });
    else this.#cut(socket, "http1", http1Answer);
  }

  #cut(socket: Socket, reason: CutReason, farewell?: string): void {
    const { logger, clock } = this.#options;
    this.#observer.connectionCut?.(reason);
    logger.debug("connection refused", { peer: socket.remoteAddress, reason });
    if (farewell === undefined) {
      socket.destroy();
      return;
    }
    // What still comes is dropped, or the client would see a reset instead of the answer.
    socket.resume();
    socket.end(farewell);
    const cancel = clock.after(farewellMs, () => socket.destroy(), { unref: true });
    socket.on("close", cancel);
  }

  #tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const connection of this.#connections) connection.tick(nowMs);
  }

  #onClosed(connection: Http2Connection): void {
    this.#connections.delete(connection);
    this.#observer.connectionClosed?.(connection.peer);
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  async #close(graceMs: number): Promise<void> {
    this.#health.close();
    const listenerClosed = new Promise<void>((resolve) => {
      this.#listener.close(() => resolve());
    });
    for (const connection of this.#connections) connection.drain();
    await this.#empty(graceMs);
    for (const connection of this.#connections) connection.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await listenerClosed;
    this.#cancelHousekeeping?.();
    this.#wheel.close();
    this.#tls.close();
  }

  /** Resolves when no connection is left, at the latest after `graceMs`. */
  #empty(graceMs: number): Promise<void> {
    if (this.#connections.size === 0 || graceMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(graceMs, resolve);
      this.#onEmpty = () => {
        cancel();
        resolve();
      };
    });
  }
}
