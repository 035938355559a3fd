// One known client: what it said, over which connections, and when it was last heard.
// A plain record that only client-table.ts changes; others read it.
import type { ClientIdentity } from "./identity.ts";
import type { Subscription } from "./settings.ts";
import type { TelemetrySession } from "./telemetry-session.ts";

/** The connection a client uses, as far as this matters here. */
export interface ClientConnection {
  /** Unique in this process. */
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Aborted when the connection is gone. */
  readonly closed: AbortSignal;
}

/** A consumer's place in a group. */
export interface Membership {
  readonly group: string;
  /** By topic; from settings, or from receives when there are none. */
  readonly subscriptions: Map<string, Subscription>;
}

/** A client of this broker. */
export interface Client {
  identity: ClientIdentity;
  /** `apache.rocketmq.v2.ClientType`; 0 until it said. */
  type: number;
  hostname: string;
  /** Remote `host:port` of the connection last used. */
  address: string;
  readonly sinceMs: number;
  lastSeenMs: number;
  /** Since when it has no open connection; undefined while it has one. */
  disconnectedAtMs: number | undefined;
  readonly connections: Set<ClientConnection>;
  readonly sessions: Set<TelemetrySession>;
  /** Topics a producer declared. */
  readonly publishes: Set<string>;
  /** By group. */
  readonly memberships: Map<string, Membership>;
  /** The broker that passes on what it says of lite topics, which may have its telemetry stream; undefined: it comes itself. */
  passedOnBy: string | undefined;
  /** From its settings, milliseconds. */
  pollingMs: number | undefined;
  requestTimeoutMs: number | undefined;
}

/** A client as operators see it. */
export interface ClientRow {
  readonly clientId: string;
  readonly address: string;
  readonly language: string;
  readonly version: string;
  readonly type: number;
  readonly hostname: string;
  readonly sinceMs: number;
  readonly lastSeenMs: number;
  /** Of the group asked for; empty for producers. */
  readonly subscriptions: readonly Subscription[];
  readonly topics: readonly string[];
}

/** A snapshot of `client` as a member of `group`, or as a producer. */
export function clientRow(client: Client, group?: string): ClientRow {
  const membership = group === undefined ? undefined : client.memberships.get(group);
  return {
    clientId: client.identity.id,
    address: client.address,
    language: client.identity.language,
    version: client.identity.version,
    type: client.type,
    hostname: client.hostname,
    sinceMs: client.sinceMs,
    lastSeenMs: client.lastSeenMs,
    subscriptions: [...(membership?.subscriptions.values() ?? [])],
    topics: [...client.publishes],
  };
}
