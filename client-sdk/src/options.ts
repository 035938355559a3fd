// Options every client takes, under the names of the official Node.js client, checked once.
import type { TlsOptions } from "./channel.ts";
import { ClientError } from "./client-error.ts";
import { type Endpoints, parseEndpoints } from "./endpoints.ts";
import { FilterExpression } from "./filter-expression.ts";
import type { SessionCredentials } from "./request-metadata.ts";

/** Where a client tells what happens to its connections. Never a line per message. */
export interface ClientLogger {
  info(...args: unknown[]): void;
  warn(...args: unknown[]): void;
  error(...args: unknown[]): void;
  debug?(...args: unknown[]): void;
}

/** Options of all clients. */
export interface ClientOptions {
  /** Addresses of NameServers or brokers: "host:port;host:port". Without a port 8081 is used. */
  readonly endpoints: string;
  /** Namespace of topics and groups; none when left out. */
  readonly namespace?: string | undefined;
  /** Milliseconds for one call, from 100; 3000 when left out. */
  readonly requestTimeout?: number | undefined;
  /** Encrypts connections. */
  readonly sslEnabled?: boolean | undefined;
  /** False accepts any certificate, also a self-signed one; true when left out. */
  readonly sslRejectUnauthorized?: boolean | undefined;
  /** Certificates to trust, PEM; the system's when left out. */
  readonly sslCa?: string | Buffer | undefined;
  readonly sessionCredentials?: SessionCredentials | undefined;
  /** Nothing is logged when left out. */
  readonly logger?: ClientLogger | undefined;
  /** Topics to look up at start-up, so that a wrong name fails there. */
  readonly topics?: readonly string[] | undefined;
}

/** Options of consumers. */
export interface ConsumerOptions extends ClientOptions {
  readonly consumerGroup: string;
  /** Topic to filter: tags joined by `||`, `*` for all, or a FilterExpression. */
  readonly subscriptions: ReadonlyMap<string, FilterExpression | string>;
}

/** Something that can be given up. */
export interface Abortable {
  readonly signal?: AbortSignal | undefined;
}

/** Options after the check, with what was left out filled in. */
export interface CheckedOptions {
  readonly endpoints: readonly Endpoints[];
  readonly namespace: string;
  readonly requestTimeoutMs: number;
  readonly tls: TlsOptions | undefined;
  readonly credentials: SessionCredentials | undefined;
  readonly logger: ClientLogger;
}

const silentLogger: ClientLogger = { info: () => {}, warn: () => {}, error: () => {} };
const requestTimeoutDefaultMs = 3_000;

/** Checks options. Throws ClientError BAD_OPTION that names option, value and what is allowed. */
export function checkOptions(options: ClientOptions): CheckedOptions {
  if (typeof options.endpoints !== "string") {
    throw new ClientError(
      "BAD_OPTION",
      'endpoints is missing: give addresses as "host:port;host:port"',
    );
  }
  const tls =
    options.sslEnabled === true
      ? { ca: options.sslCa, rejectUnauthorized: options.sslRejectUnauthorized !== false }
      : undefined;
  return {
    endpoints: parseEndpoints(options.endpoints),
    namespace: options.namespace ?? "",
    requestTimeoutMs: numberOption("requestTimeout", options.requestTimeout, {
      min: 100,
      max: 600_000,
      otherwise: requestTimeoutDefaultMs,
    }),
    tls,
    credentials: options.sessionCredentials,
    logger: options.logger ?? silentLogger,
  };
}

/** A whole number within `[min, max]`, or `otherwise` when left out. Throws ClientError BAD_OPTION. */
export function numberOption(
  name: string,
  value: number | undefined,
  range: { readonly min: number; readonly max: number; readonly otherwise: number },
): number {
  if (value === undefined) return range.otherwise;
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  throw new ClientError(
    "BAD_OPTION",
    `${name} must be a whole number from ${range.min} to ${range.max}, got ${value}`,
  );
}

/** Subscriptions with texts turned into filters. Throws ClientError BAD_OPTION without any, or without a group. */
export function checkSubscriptions(options: ConsumerOptions): Map<string, FilterExpression> {
  if (typeof options.consumerGroup !== "string" || options.consumerGroup === "") {
    throw new ClientError("BAD_OPTION", "consumerGroup is missing");
  }
  const filters = new Map<string, FilterExpression>();
  for (const [topic, filter] of options.subscriptions ?? []) {
    filters.set(topic, typeof filter === "string" ? new FilterExpression(filter) : filter);
  }
  if (filters.size > 0) return filters;
  throw new ClientError("BAD_OPTION", 'subscriptions is empty: give new Map([["topic", "*"]])');
}
