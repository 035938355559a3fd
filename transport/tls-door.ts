// The TLS side of the port: a handshake for connections that begin like one, with a certificate that is made or
// read when first needed and replaced when its files change.
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { background, type CancelTimer, type Clock, type Logger } from "../base/index.ts";
import {
  type CertificateSource,
  fingerprint,
  type KeyPair,
  readPair,
  selfSignedPair,
} from "./certificates.ts";

/** permissive: TLS and plaintext; enforcing: TLS only; disabled: plaintext only. */
export type TlsMode = "permissive" | "enforcing" | "disabled";

/** How a door is built. */
export interface TlsDoorOptions {
  readonly mode: TlsMode;
  readonly certificate: CertificateSource;
  readonly handshakeMs: number;
  /** How often the certificate's files are looked at, milliseconds. */
  readonly reloadMs?: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gets each connection whose handshake is done. */
  readonly onSecure: (socket: TLSSocket) => void;
}

const reloadMsDefault = 5000;

/** Turns sockets into TLS sockets. */
export class TlsDoor {
  readonly mode: TlsMode;
  readonly #options: TlsDoorOptions;
  #server: Promise<Server> | undefined;
  #fingerprint = "";
  #cancelReload: CancelTimer | undefined;
  #closed = false;

  constructor(options: TlsDoorOptions) {
    this.mode = options.mode;
    this.#options = options;
  }

  /** Reads configured files, so that a wrong one is told at start. Rejects BAD_CONFIG. */
  async open(): Promise<void> {
    const { certificate, clock, reloadMs } = this.#options;
    if (this.mode === "disabled" || certificate.kind !== "files") return;
    this.#fingerprint = await fingerprint(certificate);
    const pair = await readPair(certificate);
    this.#server = Promise.resolve(this.#serve(pair));
    this.#cancelReload = clock.every(reloadMs ?? reloadMsDefault, () => background(this.#reload()));
  }

  /** Takes a socket over; `first` are the bytes that have been read of it. */
  enter(socket: Socket, first: Buffer): void {
    socket.pause();
    socket.unshift(first);
    this.#server ??= this.#selfSigned();
    background(this.#handOver(socket, this.#server));
  }

  async #handOver(socket: Socket, coming: Promise<Server>): Promise<void> {
    try {
      const server = await coming;
      if (this.#closed || socket.destroyed) socket.destroy();
      else server.emit("connection", socket);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.logger.error("no certificate for TLS", { error: why });
      if (this.#server === coming) this.#server = undefined;
      socket.destroy();
    }
  }

  /** Looks at the files now. A broken new file leaves the old certificate in use. */
  async #reload(): Promise<void> {
    const { certificate, logger } = this.#options;
    if (certificate.kind !== "files" || this.#closed) return;
    const now = await fingerprint(certificate);
    if (now === this.#fingerprint) return;
    this.#fingerprint = now;
    const facts = { file: certificate.certificateFile };
    try {
      const pair = await readPair(certificate);
      const server = await this.#server;
      server?.setSecureContext(pair);
      logger.info("certificate reloaded", facts);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.error("the changed certificate cannot be used, the old one stays", {
        ...facts,
        error: why,
      });
    }
  }

  /** Lets no more sockets in. */
  close(): void {
    this.#closed = true;
    this.#cancelReload?.();
  }

  async #selfSigned(): Promise<Server> {
    const { certificate, clock, logger } = this.#options;
    const folder = certificate.kind === "selfSigned" ? certificate.folder : undefined;
    const pair = await selfSignedPair(folder, clock.now());
    logger.info("TLS uses a self-signed certificate", { folder });
    return this.#serve(pair);
  }

  #serve(pair: KeyPair): Server {
    const { handshakeMs, onSecure } = this.#options;
    const server = createServer({
      ...pair,
      // HTTP/1.1 only to answer it in words.
      ALPNProtocols: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      handshakeTimeout: handshakeMs,
      noDelay: true,
    });
    server.on("secureConnection", onSecure);
    server.on("tlsClientError", (_error, socket) => socket.destroy());
    return server;
  }
}
