// The first words of two brokers on a connection: that both speak the replication, which version, and, when the cluster
// has a secret, that both know it. Pure: takes bytes, gives bytes. docs/format/replication.md.
import { createHmac, timingSafeEqual } from "node:crypto";
import { MqError, type Random } from "../../base/index.ts";

/** What one side is and has. */
export interface ProofOptions {
  readonly role: "dialler" | "acceptor";
  /** Empty: none. */
  readonly secret: string;
  /** Whether this side replicates over TLS. */
  readonly isTls: boolean;
  /** Bytes that only this TLS connection has, the same on both sides; empty without TLS. */
  readonly channelBinding: Buffer;
  /** Why the other side's certificate is not accepted: it is told, and nothing else. */
  readonly certificateFault?: string | undefined;
  readonly random: Random;
}

/** What is to be done after some bytes. `send` may be empty. */
export type ProofStep =
  | { readonly kind: "more"; readonly send: Buffer }
  /** Both have proved themselves; `rest` came behind. */
  | { readonly kind: "done"; readonly send: Buffer; readonly rest: Buffer }
  /** After `send` the connection is to be closed: UNAUTHORIZED, UNSUPPORTED or BAD_REQUEST. */
  | { readonly kind: "failed"; readonly send: Buffer; readonly error: MqError };

const magic = Buffer.from("CMQR", "latin1");
const newestVersion = 1;
const oldestVersion = 1;
const flag = { secret: 1, tls: 2, certificateRefused: 4 } as const;
const nonceSize = 32;
/** Magic, newest and oldest version, flags, a byte of nothing, nonce. */
export const greetingSize: number = magic.length + 4 + nonceSize;
const proofSize = 32;
const accepted = 1;
const refused = 0;
const nothing = Buffer.alloc(0);

/** One side of one connection. */
export class ClusterProof {
  readonly #options: ProofOptions;
  readonly #own: Buffer;
  #theirs: Buffer | undefined;
  #kept: Buffer = nothing;

  constructor(options: ProofOptions) {
    this.#options = options;
    const { secret, isTls, certificateFault, random } = options;
    const flags =
      (secret === "" ? 0 : flag.secret) +
      (isTls ? flag.tls : 0) +
      (certificateFault === undefined ? 0 : flag.certificateRefused);
    const head = Buffer.from([newestVersion, oldestVersion, flags, 0]);
    this.#own = Buffer.concat([magic, head, random.bytes(nonceSize)]);
  }

  /** What a dialler sends before anything has come. An acceptor says nothing to strangers. */
  begin(): Buffer {
    return this.#options.role === "dialler" ? this.#own : nothing;
  }

  /** Takes what has come. Nothing more is to be given after `done` and `failed`. */
  take(bytes: Buffer): ProofStep {
    this.#kept = Buffer.concat([this.#kept, bytes]);
    try {
      if (this.#theirs === undefined) return this.#takeGreeting();
      return this.#options.role === "dialler" ? this.#takeVerdict() : this.#takeProof();
    } catch (error) {
      if (!(error instanceof MqError)) throw error;
      return { kind: "failed", send: nothing, error };
    }
  }

  #takeGreeting(): ProofStep {
    checkMagic(this.#kept);
    if (this.#kept.length < greetingSize) return { kind: "more", send: nothing };
    const theirs = this.#kept.subarray(0, greetingSize);
    this.#theirs = theirs;
    this.#kept = this.#kept.subarray(greetingSize);
    const { role, secret } = this.#options;
    const isDialler = role === "dialler";
    const error = this.#fault(theirs);
    // The dialler is told too: it finds the same difference in this greeting.
    if (error !== undefined)
      return { kind: "failed", send: isDialler ? nothing : this.#own, error };
    if (secret === "") {
      return { kind: "done", send: isDialler ? nothing : this.#own, rest: this.#kept };
    }
    return { kind: "more", send: isDialler ? this.#proof("dialler") : this.#own };
  }

  /** Why these two cannot talk. */
  #fault(theirs: Buffer): MqError | undefined {
    const { secret, isTls, certificateFault } = this.#options;
    const [newest = 0, oldest = 0, flags = 0] = theirs.subarray(magic.length);
    if (newest < oldestVersion || oldest > newestVersion) {
      const spoken = oldest === newest ? `${newest}` : `${oldest} to ${newest}`;
      return new MqError(
        "UNSUPPORTED",
        `it speaks version ${spoken} of the replication, this broker version ${newestVersion}`,
      );
    }
    if ((flags & flag.tls) !== (isTls ? flag.tls : 0)) return tlsDiffers(isTls);
    if (certificateFault !== undefined) {
      return new MqError("UNAUTHORIZED", `its certificate is not accepted: ${certificateFault}`);
    }
    if ((flags & flag.certificateRefused) !== 0) {
      return new MqError(
        "UNAUTHORIZED",
        "it does not accept this broker's certificate: the haTlsCaPath there has not signed it",
      );
    }
    const hasTheirs = (flags & flag.secret) !== 0;
    if (hasTheirs === (secret !== "")) return undefined;
    return new MqError(
      "UNAUTHORIZED",
      hasTheirs
        ? "it wants a haSecret, and this broker has none: set the same on both"
        : "it has no haSecret, and this broker has one: set the same on both",
    );
  }

  /** Acceptor: the dialler proves itself first, so that strangers get nothing to guess the secret with. */
  #takeProof(): ProofStep {
    if (this.#kept.length < proofSize) return { kind: "more", send: nothing };
    const proof = this.#kept.subarray(0, proofSize);
    if (!timingSafeEqual(proof, this.#proof("dialler"))) {
      return { kind: "failed", send: Buffer.from([refused]), error: otherSecret() };
    }
    const send = Buffer.concat([Buffer.from([accepted]), this.#proof("acceptor")]);
    return { kind: "done", send, rest: this.#kept.subarray(proofSize) };
  }

  /** Dialler: what the acceptor thinks of the proof, and its own. */
  #takeVerdict(): ProofStep {
    const [verdict] = this.#kept;
    if (verdict === undefined) return { kind: "more", send: nothing };
    if (verdict !== accepted) throw otherSecret();
    if (this.#kept.length < 1 + proofSize) return { kind: "more", send: nothing };
    const proof = this.#kept.subarray(1, 1 + proofSize);
    if (!timingSafeEqual(proof, this.#proof("acceptor"))) throw otherSecret();
    return { kind: "done", send: nothing, rest: this.#kept.subarray(1 + proofSize) };
  }

  /**
   * Who says it, both greetings with their nonces, and the TLS connection: so it is of no use to anybody who replays
   * it, sends it back, or passes it on into another connection.
   */
  #proof(role: ProofOptions["role"]): Buffer {
    const theirs = this.#theirs ?? nothing;
    const isDialler = this.#options.role === "dialler";
    return createHmac("sha256", this.#options.secret)
      .update(`CometMQ replication ${role}\0`)
      .update(isDialler ? this.#own : theirs)
      .update(isDialler ? theirs : this.#own)
      .update(this.#options.channelBinding)
      .digest();
  }
}

/** TLS is on at one side only. */
export function tlsDiffers(isTls: boolean): MqError {
  return new MqError(
    "UNAUTHORIZED",
    isTls
      ? "it replicates without TLS, this broker with it: haTlsEnable must be the same on both"
      : "it replicates over TLS, this broker without: haTlsEnable must be the same on both",
  );
}

/** Whether the first byte of a connection opens a TLS handshake. */
export function isTlsHello(bytes: Buffer): boolean {
  return bytes[0] === 0x16;
}

function otherSecret(): MqError {
  return new MqError("UNAUTHORIZED", "it has another haSecret: set the same on both");
}

/** Throws as soon as it cannot become a greeting. */
function checkMagic(bytes: Buffer): void {
  const size = Math.min(bytes.length, magic.length);
  if (bytes.subarray(0, size).equals(magic.subarray(0, size))) return;
  if (isTlsHello(bytes)) throw tlsDiffers(false);
  throw new MqError("BAD_REQUEST", `it speaks ${languageOf(bytes)}: is it the right port?`);
}

function languageOf(bytes: Buffer): string {
  const text = bytes.toString("latin1", 0, 16);
  if (/^(?:GET|PUT|POST|HEAD|PRI|OPTIONS|CONNECT|HTTP\/) ?/.test(text)) return "HTTP";
  // Its slaves begin with the 8 bytes of the offset that they have.
  if (bytes.length === 8) return "no replication of CometMQ, perhaps that of RocketMQ";
  return "no replication of CometMQ";
}
