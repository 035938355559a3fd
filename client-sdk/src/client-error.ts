// The one error of this package: a code to decide by, a message to read, and where it happened.
import { Code } from "@cometmq/proto";

/** Names of `apache.rocketmq.v2.Code`, as servers answer them. */
export type StatusName = Extract<keyof typeof Code, string>;

/** What can go wrong, besides the answers of a server. */
export type ClientSideCode =
  /** No answer by the deadline. What was sent may have been done. */
  | "TIMEOUT"
  /** The client is not started, or was shut down. */
  | "CLOSED"
  /** No connection to any server that could do it. */
  | "UNREACHABLE"
  /** The server answered what no RocketMQ 5 server answers. */
  | "PROTOCOL"
  /** The send buffer is full and the producer was told not to wait. */
  | "BUFFER_FULL"
  /** An option or argument is missing or out of range. */
  | "BAD_OPTION";

/** Every code a ClientError can have. */
export type ClientErrorCode = StatusName | ClientSideCode;

/** Where a failure happened. */
export interface ErrorPlace {
  /** `host:port` of the server that was asked. */
  readonly address?: string | undefined;
  readonly topic?: string | undefined;
  readonly cause?: unknown;
  /** The message is stored all the same. */
  readonly stored?: boolean | undefined;
}

/** A failed operation. `message` says what was wrong, where, and what to do. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly code: ClientErrorCode;
  readonly address: string | undefined;
  readonly topic: string | undefined;
  /**
   * True when the server said that it has stored the message, but not in as many places as it should: sent again,
   * it comes twice. False says nothing.
   */
  readonly stored: boolean;

  constructor(code: ClientErrorCode, message: string, place: ErrorPlace = {}) {
    super(`${code}: ${message}${whereText(place)}`, "cause" in place ? { cause: place.cause } : {});
    this.code = code;
    this.address = place.address;
    this.topic = place.topic;
    this.stored = place.stored === true;
  }

  /** Whether the same call may succeed later or on another broker. */
  get retryable(): boolean {
    return retryableCodes.has(this.code);
  }
}

function whereText(place: ErrorPlace): string {
  const facts: string[] = [];
  if (place.topic !== undefined) facts.push(`topic ${place.topic}`);
  if (place.address !== undefined) facts.push(`server ${place.address}`);
  return facts.length === 0 ? "" : ` (${facts.join(", ")})`;
}

const retryableCodes: ReadonlySet<ClientErrorCode> = new Set<ClientErrorCode>([
  "TIMEOUT",
  "UNREACHABLE",
  "PROTOCOL",
  "REQUEST_TIMEOUT",
  "TOO_MANY_REQUESTS",
  "INTERNAL_ERROR",
  "INTERNAL_SERVER_ERROR",
  "HA_NOT_AVAILABLE",
  "PROXY_TIMEOUT",
  "MASTER_PERSISTENCE_TIMEOUT",
  "SLAVE_PERSISTENCE_TIMEOUT",
]);

/** Number of `Code.OK`. */
export const statusOk = 20_000;
/** Number of `Code.MESSAGE_NOT_FOUND`: nothing to receive now. */
export const statusMessageNotFound = 40_401;

interface StatusLike {
  readonly code?: number | null | undefined;
  readonly message?: string | null | undefined;
}

/** The error a status stands for; undefined for OK. No status, or one without a code, is a PROTOCOL error. */
export function statusError(
  status: StatusLike | null | undefined,
  doing: string,
  place: ErrorPlace,
): ClientError | undefined {
  const code = status?.code ?? 0;
  if (code === statusOk) return undefined;
  if (code === 0) {
    return new ClientError(
      "PROTOCOL",
      `${doing}: the answer carries no status; is this a RocketMQ 5 server?`,
      place,
    );
  }
  const name = statusName(code);
  const said = status?.message ?? "";
  if (name === undefined) {
    return new ClientError("PROTOCOL", `${doing}: unknown status ${code} "${said}"`, place);
  }
  return new ClientError(
    name,
    `${doing}: ${said === "" || said === name ? "refused" : said}`,
    place,
  );
}

function statusName(code: number): StatusName | undefined {
  const name: unknown = Code[code];
  return typeof name === "string" ? (name as StatusName) : undefined;
}

/** Turns anything thrown into an Error that can be handed to the application. */
export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error), { cause: error });
}
