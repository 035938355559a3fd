// Takes a fresh socket, plain or TLS, through the first words of a connection, within a bounded time.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Clock, limits, MqError, type Random } from "../../base/index.ts";
import { ClusterProof } from "./cluster-proof.ts";
import { closeGently, TcpLink } from "./tcp-link.ts";

/** What a socket is proved with. */
export interface ProvingOptions {
  readonly role: "dialler" | "acceptor";
  /** Empty: none. */
  readonly secret: string;
  /** Whether this side replicates over TLS. The socket of a stranger may be without. */
  readonly isTls: boolean;
  /** Whether the other side's certificate must be signed by the cluster's authority. */
  readonly isCertificateChecked: boolean;
  readonly peer: string;
  readonly peerHost: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

/** RFC 9266: the same on both sides of one TLS 1.3 connection, and of no other one. */
const exporterLabel = "EXPORTER-Channel-Binding";

/** Gives the link. Rejects UNAUTHORIZED, UNSUPPORTED, BAD_REQUEST or HA_NOT_AVAILABLE; the socket is closed then. */
export function prove(socket: Socket, options: ProvingOptions): Promise<TcpLink> {
  const proof = new ClusterProof({ ...options, ...secured(socket, options) });
  return new Promise((resolve, reject) => {
    let isOver = false;
    let hasSpoken = false;
    const finish = (): void => {
      isOver = true;
      cancel();
      socket.off("data", take).off("error", fail).off("end", end).off("close", end);
    };
    const fail = (error: Error): void => {
      if (isOver) return;
      finish();
      socket.on("error", () => {});
      closeGently(socket, options.clock);
      reject(unproved(error, options.peer));
    };
    const end = (): void => fail(hungUp(hasSpoken));
    const cancel = options.clock.after(options.timeoutMs, () => {
      const late = `it did not prove itself within ${limits.haProofMs} ms`;
      fail(new MqError("HA_NOT_AVAILABLE", late));
    });
    const take = (bytes: Buffer): void => {
      hasSpoken = true;
      const step = proof.take(bytes);
      if (step.send.length > 0) socket.write(step.send);
      if (step.kind === "failed") return fail(step.error);
      if (step.kind === "more") return;
      finish();
      socket.pause();
      resolve(new TcpLink({ ...options, socket, rest: step.rest }));
    };
    socket.on("data", take).on("error", fail).on("end", end).on("close", end);
    socket.resume();
    const first = proof.begin();
    if (first.length > 0) socket.write(first);
  });
}

/** Names the other side and the reason, once. */
export function unproved(error: unknown, peer: string): MqError {
  if (error instanceof MqError && error.facts["peer"] === peer) return error;
  const why = error instanceof Error ? error.message : String(error);
  const message = `no replication with ${peer}: ${why}`;
  if (error instanceof MqError) {
    return new MqError(error.code, message, { facts: { ...error.facts, peer } });
  }
  return new MqError("HA_NOT_AVAILABLE", message, { cause: error, facts: { peer } });
}

/** A stranger that says nothing is most often one who looks whether the port is open. */
function hungUp(hasSpoken: boolean): MqError {
  const words = hasSpoken ? "before it was proved" : "without a word";
  return new MqError("HA_NOT_AVAILABLE", `it closed the connection ${words}`, {
    facts: { silent: !hasSpoken },
  });
}

interface Secured {
  readonly channelBinding: Buffer;
  readonly certificateFault: string | undefined;
}

function secured(socket: Socket, { isCertificateChecked }: ProvingOptions): Secured {
  if (!(socket instanceof TLSSocket)) {
    return { channelBinding: Buffer.alloc(0), certificateFault: undefined };
  }
  return {
    channelBinding: socket.exportKeyingMaterial(32, exporterLabel, Buffer.alloc(0)),
    certificateFault: isCertificateChecked ? certificateFault(socket) : undefined,
  };
}

function certificateFault(socket: TLSSocket): string | undefined {
  // A resumed session has shown no certificate, and counts as authorized all the same. Brokers resume none.
  if (socket.isSessionReused()) return "the TLS session is a resumed one";
  return socket.authorized ? undefined : String(socket.authorizationError);
}
