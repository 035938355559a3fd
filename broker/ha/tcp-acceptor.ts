// The port for other brokers: takes connections, lets those in that prove that they belong to the cluster, and says
// why others were not let in.
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import {
  type Address,
  background,
  type Clock,
  formatAddress,
  type Logger,
  limits,
  MqError,
  type Random,
} from "../../base/index.ts";
import { isTlsHello } from "./cluster-proof.ts";
import type { Link, LinkListener } from "./network.ts";
import { prove } from "./tcp-proving.ts";

/** This broker's key and certificate chain, and who must have signed those of the others; PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
  /** Undefined: any certificate will do, and none is asked for. */
  readonly ca: string | undefined;
}

/** What the machine's network is made of. */
export interface TcpNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The cluster's secret; empty: none. */
  readonly secret: string;
  /** Asked for each link, so that a renewed certificate counts; cheap. Undefined: no TLS. */
  readonly tls?: (() => TlsIdentity) | undefined;
}

/** Where an acceptor listens, and what it does with links. */
export interface AcceptorOptions extends TcpNetworkOptions {
  readonly place: Address;
  readonly accept: (link: Link) => void;
}

const repeatMs = 60_000;
const refusalsRemembered = 256;

/** An open port. */
export class Acceptor implements LinkListener {
  readonly #options: AcceptorOptions;
  readonly #server: Server;
  /** By `host:port` of the other side. */
  readonly #unproved = new Map<string, Socket>();
  /** When a reason was last logged loudly. */
  readonly #saidAtMs = new Map<string, number>();
  #tls: { readonly identity: TlsIdentity; readonly server: TlsServer } | undefined;
  #isClosed = false;

  private constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: limits.haKeepAliveMs },
      (socket) => this.#enter(socket),
    );
  }

  /** Throws BAD_CONFIG when the address cannot be had. */
  static async open(options: AcceptorOptions): Promise<Acceptor> {
    const acceptor = new Acceptor(options);
    const { host, port } = options.place;
    const server = acceptor.#server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => {
        const where = formatAddress({ host, port });
        reject(
          new MqError("BAD_CONFIG", `cannot listen for replication on ${where}: ${error.message}`, {
            cause: error,
            facts: { host, port },
          }),
        );
      });
      server.listen({ host, port }, resolve);
    });
    server.removeAllListeners("error").on("error", (error) => {
      options.logger.error("the replication port failed", { error: error.message });
    });
    return acceptor;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null
      ? address.port
      : this.#options.place.port;
  }

  /** Does not wait for the server's own close, which comes when the last link has ended. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#server.close();
    for (const socket of this.#unproved.values()) socket.destroy();
    return Promise.resolve();
  }

  #enter(socket: Socket): void {
    const guest = guestOf(socket);
    const { peer, peerHost } = guest;
    // Errors of a socket come with its close, which tells what has to be told.
    socket.on("error", () => {});
    if (this.#unproved.size >= limits.haUnprovedMax) {
      socket.destroy();
      const full = `${limits.haUnprovedMax} connections are still to prove themselves`;
      return this.#refused(peerHost, { peer, reason: full });
    }
    this.#unproved.set(peer, socket);
    socket.once("close", () => this.#unproved.delete(peer));
    if (this.#options.tls === undefined) background(this.#prove(guest));
    else this.#awaitTls(guest);
  }

  async #prove({ socket, peer, peerHost }: Guest): Promise<void> {
    const { secret, clock, random, tls, accept } = this.#options;
    try {
      const link = await prove(socket, {
        role: "acceptor",
        secret,
        isTls: tls !== undefined,
        isCertificateChecked: this.#tls?.identity.ca !== undefined,
        peer,
        peerHost,
        timeoutMs: limits.haProofMs,
        clock,
        random,
      });
      this.#unproved.delete(peer);
      if (this.#isClosed) link.close("the port is closed");
      else accept(link);
    } catch (error) {
      if (!(error instanceof MqError)) throw error;
      this.#refused(peerHost, {
        peer,
        reason: error.message,
        isQuiet: error.facts["silent"] === true,
      });
    }
  }

  /** The first byte tells whether a TLS handshake comes. Others are told what is spoken here. */
  #awaitTls(guest: Guest): void {
    const { socket, peer, peerHost } = guest;
    const cancel = this.#options.clock.after(limits.haProofMs, () => {
      socket.destroy();
      this.#refused(peerHost, { peer, reason: "it did not say a word", isQuiet: true });
    });
    socket.once("close", cancel);
    socket.once("data", (bytes: Buffer) => {
      cancel();
      socket.pause();
      socket.unshift(bytes);
      if (isTlsHello(bytes)) this.#tlsServer().emit("connection", socket);
      else background(this.#prove(guest));
    });
  }

  #tlsServer(): TlsServer {
    const identity = this.#options.tls?.();
    if (identity === undefined) throw new MqError("BAD_CONFIG", "TLS without a certificate");
    if (this.#tls !== undefined && isSame(this.#tls.identity, identity)) return this.#tls.server;
    const server = createTlsServer({
      key: identity.key,
      cert: identity.cert,
      ...(identity.ca === undefined ? {} : { ca: identity.ca }),
      requestCert: identity.ca !== undefined,
      // Looked at when the connection is proved, so that the other side can be told.
      rejectUnauthorized: false,
      minVersion: "TLSv1.3",
      handshakeTimeout: limits.haProofMs,
    });
    server.on("secureConnection", (socket) => background(this.#prove(guestOf(socket))));
    server.on("tlsClientError", (error, socket) => {
      socket.destroy();
      const { peer, peerHost } = guestOf(socket);
      this.#refused(peerHost, { peer, reason: `the TLS handshake failed: ${error.message}` });
    });
    this.#tls = { identity, server };
    return server;
  }

  /** Loud once a minute for a host and a reason, so that a stranger cannot fill the log. */
  #refused(
    peerHost: string,
    {
      peer,
      reason,
      isQuiet,
    }: { readonly peer: string; readonly reason: string; readonly isQuiet?: boolean },
  ): void {
    if (this.#isClosed) return;
    const { clock, logger } = this.#options;
    const key = `${peerHost} ${reason.replaceAll(peer, "")}`;
    const saidAtMs = this.#saidAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
    const isRepeated = clock.monotonicMs() - saidAtMs < repeatMs;
    const level = isQuiet === true || isRepeated ? "debug" : "warn";
    logger[level]("a connection for replication was refused", { peer, reason });
    if (level === "debug") return;
    if (this.#saidAtMs.size >= refusalsRemembered) this.#saidAtMs.clear();
    this.#saidAtMs.set(key, clock.monotonicMs());
  }
}

function isSame(one: TlsIdentity, other: TlsIdentity): boolean {
  return one.key === other.key && one.cert === other.cert && one.ca === other.ca;
}

interface Guest {
  readonly socket: Socket;
  readonly peer: string;
  readonly peerHost: string;
}

function guestOf(socket: Socket): Guest {
  const peerHost = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  return {
    socket,
    peerHost,
    peer: formatAddress({ host: peerHost, port: socket.remotePort ?? 0 }),
  };
}
