// The machine's network: links to other brokers over TCP, or over TLS when it is on. docs/format/replication.md.
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Address, type Clock, formatAddress, limits } from "../../base/index.ts";
import type { Link, LinkListener, Network } from "./network.ts";
import { Acceptor, type TcpNetworkOptions, type TlsIdentity } from "./tcp-acceptor.ts";
import { prove, unproved } from "./tcp-proving.ts";

/** Dials and listens. */
export class TcpNetwork implements Network {
  readonly #options: TcpNetworkOptions;

  constructor(options: TcpNetworkOptions) {
    this.#options = options;
  }

  async connect(address: Address, signal?: AbortSignal): Promise<Link> {
    const peer = formatAddress(address);
    const { clock, random, secret, tls } = this.#options;
    const identity = tls?.();
    const startMs = clock.monotonicMs();
    const socket = dial(address, identity);
    const abort = (): void => void socket.destroy(new Error("dialling was given up"));
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted === true) abort();
    try {
      await connected(socket, { isTls: identity !== undefined, clock });
      return await prove(socket, {
        role: "dialler",
        secret,
        isTls: identity !== undefined,
        isCertificateChecked: identity?.ca !== undefined,
        peer,
        peerHost: address.host,
        timeoutMs: Math.max(1, limits.haProofMs - (clock.monotonicMs() - startMs)),
        clock,
        random,
      });
    } catch (error) {
      throw unproved(error, peer);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async listen(place: Address, accept: (link: Link) => void): Promise<LinkListener> {
    return await Acceptor.open({ ...this.#options, place, accept });
  }
}

/** Bytes taken off the network at once, at most: more leaves the disk less turns of the event loop. */
const receiveSize = 131_072;

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: limits.haKeepAliveMs,
} as const;

function dial({ host, port }: Address, identity: TlsIdentity | undefined): Socket {
  if (identity === undefined) return dialPlain({ host, port });
  const socket = connectTls({
    host,
    port,
    key: identity.key,
    cert: identity.cert,
    ...(identity.ca === undefined ? {} : { ca: identity.ca }),
    // Looked at when the connection is proved, so that the other side can be told.
    rejectUnauthorized: false,
    // Brokers dial addresses; what counts is who signed the certificate.
    checkServerIdentity: () => undefined,
    minVersion: "TLSv1.3",
  });
  return socket.setNoDelay(true).setKeepAlive(true, limits.haKeepAliveMs);
}

/** Reads into the same memory again and again: a slave that catches up takes hundreds of megabytes a second. */
function dialPlain(address: Address): Socket {
  const socket: Socket = connectPlain({
    ...address,
    ...socketOptions,
    onread: {
      buffer: Buffer.allocUnsafeSlow(receiveSize),
      callback: (size, bytes) => socket.emit("data", bytes.subarray(0, size)),
    },
  });
  return socket;
}

/** Resolves when bytes can be exchanged; otherwise the socket is destroyed. */
function connected(
  socket: Socket,
  { isTls, clock }: { readonly isTls: boolean; readonly clock: Clock },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const event = isTls ? "secureConnect" : "connect";
    const finish = (): void => {
      cancel();
      socket.off(event, ready).off("error", fail).off("close", end);
    };
    const ready = (): void => {
      finish();
      resolve();
    };
    const fail = (error: Error): void => {
      finish();
      // Further errors of a socket that is given up say nothing new.
      socket.on("error", () => {});
      socket.destroy();
      reject(isTls ? tlsFailure(error) : error);
    };
    const end = (): void => fail(new Error("it closed the connection"));
    const cancel = clock.after(limits.haProofMs, () => {
      fail(new Error(`it did not answer within ${limits.haProofMs} ms`));
    });
    socket.on(event, ready).on("error", fail).on("close", end);
  });
}

/** What a broker without TLS does to a handshake looks like this from here. */
function tlsFailure(error: Error): Error {
  const code = "code" in error ? String(error.code) : "";
  if (code !== "ECONNRESET" && !code.startsWith("ERR_SSL")) return error;
  const hint = "does it replicate over TLS? haTlsEnable must be the same on both";
  return new Error(`the TLS handshake failed (${error.message}): ${hint}`, { cause: error });
}
