// What one broker tells another when it passes a client's call on. A call that came this way is not passed on again.
import type { Connection, ServerCall } from "../../transport/index.ts";

/** Headers of a call that is passed on, beside those of the client. */
export const hopHeaders = {
  /** The name of the broker that passes the call on. */
  from: "x-cometmq-hop",
  /** The message group lives at the broker that is called: it does not pass the call on. */
  toOwner: "x-cometmq-to-owner",
  /** `host:port` of the client. */
  clientAddress: "x-cometmq-client-address",
  /** From the client's settings, which the owner has not seen: milliseconds. */
  pollingMs: "x-cometmq-polling-ms",
  requestTimeoutMs: "x-cometmq-request-timeout-ms",
  /** `apache.rocketmq.v2.ClientType` of the client, from its settings too. */
  clientType: "x-cometmq-client-type",
  /** Names the messages of one receive, so that they can be given back. */
  receipt: "x-cometmq-receipt",
  /** Gives back what a receive with this receipt was given. */
  giveBack: "x-cometmq-give-back",
  /** The client has lost the lite topics that the call names to another one of its group. */
  liteLoss: "x-cometmq-lite-loss",
  /** The client has no connection left to the broker that passes its calls on. */
  gone: "x-cometmq-client-gone",
} as const;

/** Headers of clients that mean something to the owner. */
const clientHeaders = [
  "x-mq-client-id",
  "x-mq-language",
  "x-mq-client-version",
  "x-mq-protocol",
  "x-mq-protocol-version",
  "x-mq-namespace",
  "x-mq-date-time",
  "x-mq-session-token",
  "x-mq-request-id",
  "authorization",
] as const;

/** Headers by name. */
export type Headers = Readonly<Record<string, string>>;

/** A call as far as its headers and its other end are needed. */
export type IncomingCall = Pick<ServerCall, "header"> & {
  readonly connection: Pick<Connection, "remoteAddress" | "remotePort">;
};

/** Whether another broker has passed this call on. */
export function isPassedOn(call: Pick<ServerCall, "header">): boolean {
  return call.header(hopHeaders.from) !== undefined;
}

/** The name of the broker that has passed this call on; undefined for a call of the client itself. */
export function passedOnBy(call: Pick<ServerCall, "header">): string | undefined {
  const name = call.header(hopHeaders.from);
  return name === undefined || name.length > brokerNameLengthMax ? undefined : name;
}

/** What goes along when `call` is passed on by the broker `from`. */
export function passedHeaders(call: IncomingCall, from: string): Headers {
  const headers: Record<string, string> = {
    [hopHeaders.from]: from,
    [hopHeaders.clientAddress]: `${call.connection.remoteAddress}:${call.connection.remotePort}`,
  };
  for (const name of clientHeaders) {
    const value = call.header(name);
    if (value !== undefined) headers[name] = value;
  }
  return headers;
}

/** The client's host: the other end of the connection, or what the broker says that passed the call on. */
export function clientHost(call: IncomingCall): string {
  const told = isPassedOn(call) ? call.header(hopHeaders.clientAddress) : undefined;
  if (told === undefined || told.length > addressLengthMax) return call.connection.remoteAddress;
  return told.slice(0, Math.max(0, told.lastIndexOf(":")));
}

/** A header that holds a count of milliseconds, of a call that was passed on. */
export function passedMs(
  call: Pick<ServerCall, "header">,
  name: "pollingMs" | "requestTimeoutMs",
): number | undefined {
  if (!isPassedOn(call)) return undefined;
  const ms = Number(call.header(hopHeaders[name]) ?? Number.NaN);
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

const addressLengthMax = 262;
const brokerNameLengthMax = 127;
