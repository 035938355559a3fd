// Who is here: clients by id, their groups and topics, and when they are gone. A client lives by anything it sends:
// official clients lose their telemetry stream for minutes and go on receiving. Knows no wire format.
import { type CancelTimer, type Clock, type Logger, limits, MqError } from "../../base/index.ts";
import {
  type Client,
  type ClientConnection,
  type ClientRow,
  clientRow,
  type Membership,
} from "./client.ts";
import type { ClientIdentity } from "./identity.ts";
import { QueueShares } from "./queue-shares.ts";
import {
  type ClientRole,
  clientTypes,
  isLiteConsumer,
  knownClientTypes,
  type Subscription,
} from "./settings.ts";
import { isSameWish, SubscriptionDifferences } from "./subscription-differences.ts";
import type { TelemetrySession } from "./telemetry-session.ts";

const sweepPeriodMs = 1_000;

/** Hears that `clientId` will not ask for messages of `group` any more. */
export type GoneListener = (clientId: string, group: string) => void;

/** What the table needs. */
export interface ClientTableOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onGone: GoneListener;
}

/** The clients of this broker. */
export class ClientTable {
  /** Who of them reads which queue, for consumers that pull. */
  readonly shares: QueueShares;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onGone: GoneListener;
  readonly #clients = new Map<string, Client>();
  readonly #byConnection = new WeakMap<ClientConnection, Set<Client>>();
  /** Clients that said goodbye, as `id connection`, and when: what they still ask for must not get messages. */
  readonly #terminated = new Map<string, number>();
  readonly #differences: SubscriptionDifferences;
  #stopSweep: CancelTimer | undefined;
  #turn = 0;

  constructor(options: ClientTableOptions) {
    this.shares = new QueueShares(options.clock);
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onGone = options.onGone;
    this.#differences = new SubscriptionDifferences(options.logger);
  }

  /** Starts looking for silent clients. */
  start(): void {
    this.#stopSweep = this.#clock.every(sweepPeriodMs, () => this.#sweep());
  }

  /** Ends all telemetry streams and forgets everybody, without telling the listener. */
  close(): void {
    this.#stopSweep?.();
    for (const client of this.#clients.values()) {
      for (const session of client.sessions) session.end();
    }
    this.#clients.clear();
    this.#differences.clear();
  }

  /** The ids of all clients. */
  ids(): Iterable<string> {
    return this.#clients.keys();
  }

  /** How many clients are known. */
  get count(): number {
    return this.#clients.size;
  }

  /** The client of that id, when it is here. */
  get(clientId: string): Client | undefined {
    return this.#clients.get(clientId);
  }

  /** Whether a client that consumes as `group` is here. */
  isMember(clientId: string, group: string): boolean {
    return this.#clients.get(clientId)?.memberships.has(group) === true;
  }

  /**
   * Notes that a client said something over `connection`; a new one is added.
   * Throws TOO_MANY_REQUESTS when `clientCountMax` are here.
   */
  seen(identity: ClientIdentity, connection: ClientConnection): Client {
    const now = this.#clock.now();
    const client = this.#clients.get(identity.id) ?? this.#add(identity, now);
    client.lastSeenMs = now;
    if (!client.connections.has(connection)) this.#connect(client, connection);
    if (identity.address !== undefined) client.address = identity.address;
    return client;
  }

  /** Notes a telemetry stream. */
  openSession(session: TelemetrySession, connection: ClientConnection): void {
    this.seen(session.identity, connection).sessions.add(session);
  }

  /** The stream ended. The client stays: it may be rebuilding the stream, or have another one. */
  closeSession(session: TelemetrySession): void {
    this.#clients.get(session.identity.id)?.sessions.delete(session);
  }

  /** Takes what the client's settings say; they replace what was known of it. */
  settle(identity: ClientIdentity, role: ClientRole, connection: ClientConnection): void {
    const client = this.seen(identity, connection);
    this.#terminated.delete(terminatedKey(identity.id, connection));
    client.identity = identity;
    client.type = role.type;
    if (role.kind === "producer") {
      client.publishes.clear();
      for (const topic of role.topics) client.publishes.add(topic);
      return;
    }
    client.pollingMs = role.pollingMs;
    client.requestTimeoutMs = role.requestTimeoutMs;
    const membership = this.#join(client, role.group);
    if (role.type === clientTypes.pullConsumer) {
      const topics = new Set(role.subscriptions.map(({ topic }) => topic));
      this.shares.retain(role.group, identity.id, topics);
    }
    // A simple consumer of Rust sends none here: what its receives told stays then.
    if (role.subscriptions.length > 0) this.#unsubscribe(membership);
    for (const subscription of role.subscriptions) this.#subscribe(membership, subscription);
  }

  /** A heartbeat, with or without settings before. Throws UNRECOGNIZED_CLIENT_TYPE for a type not served here. */
  heartbeat(
    identity: ClientIdentity,
    connection: ClientConnection,
    said: { readonly type: number; readonly group: string | undefined },
  ): void {
    const known: readonly number[] = Object.values(clientTypes);
    if (!known.includes(said.type)) {
      throw new MqError(
        "UNRECOGNIZED_CLIENT_TYPE",
        `client type ${said.type} is not known; known are ${knownClientTypes}`,
      );
    }
    const client = this.seen(identity, connection);
    this.#terminated.delete(terminatedKey(identity.id, connection));
    client.type = said.type;
    if (said.type !== clientTypes.producer && said.group !== undefined && said.group !== "") {
      this.#join(client, said.group);
    }
  }

  /**
   * A receive or pull: its client may never have sent settings (Rust, or any client after our restart); `type` counts
   * then.
   */
  consuming(
    client: Client,
    group: string,
    subscription: Subscription,
    type: number = clientTypes.simpleConsumer,
  ): void {
    if (client.type === 0) client.type = type;
    const membership = this.#join(client, group);
    const { subscriptions } = membership;
    const known = subscriptions.get(subscription.topic);
    if (known !== undefined) {
      if (isSameWish(known, subscription)) return;
    } else if (subscriptions.size >= limits.clientTopicCountMax) {
      throw new MqError(
        "BAD_REQUEST",
        `the client has ${subscriptions.size} subscriptions, at most ${limits.clientTopicCountMax} are allowed`,
      );
    }
    // Forgotten while its receive was on the way: nobody would take that back.
    if (this.#clients.get(client.identity.id) !== client) return;
    this.#subscribe(membership, subscription);
  }

  /**
   * The client said goodbye: it is forgotten now, and its last requests on this connection get no messages. Its
   * telemetry streams are left to it: Node.js opens one that the server ends again, and lives on as a ghost.
   */
  terminate(clientId: string, connection: ClientConnection): void {
    if (this.#terminated.size >= limits.clientCountMax) this.#terminated.clear();
    this.#terminated.set(terminatedKey(clientId, connection), this.#clock.now());
    this.shares.leave(clientId);
    const client = this.#clients.get(clientId);
    if (client !== undefined) this.#forget(client, "said goodbye");
  }

  /**
   * The client comes over `connection` no more, which stays open: it is another broker's, and serves other clients.
   * Without a connection left the client is gone after a while.
   */
  disconnect(clientId: string, connection: ClientConnection): void {
    const client = this.#clients.get(clientId);
    if (client === undefined || !client.connections.delete(connection)) return;
    this.#byConnection.get(connection)?.delete(client);
    if (client.connections.size === 0) client.disconnectedAtMs = this.#clock.now();
  }

  /** Whether this client said goodbye on this connection a moment ago and nothing new since. */
  isTerminated(clientId: string, connection: ClientConnection): boolean {
    return this.#terminated.size > 0 && this.#terminated.has(terminatedKey(clientId, connection));
  }

  /** Members of `group`, in order of arrival. */
  consumers(group: string): ClientRow[] {
    const rows: ClientRow[] = [];
    for (const client of this.#clients.values()) {
      if (client.memberships.has(group)) rows.push(clientRow(client, group));
    }
    return rows;
  }

  /** Producers that declared `topic`, or all. */
  producers(topic?: string): ClientRow[] {
    const rows: ClientRow[] = [];
    for (const client of this.#clients.values()) {
      if (client.type !== clientTypes.producer) continue;
      if (topic === undefined || client.publishes.has(topic)) rows.push(clientRow(client));
    }
    return rows;
  }

  /** Whether a producer of `topic` is here that can be told something. */
  hasProducer(topic: string): boolean {
    for (const client of this.#clients.values()) if (canBeTold(client, topic)) return true;
    return false;
  }

  /** Tells one of the producers of `topic`, each in its turn; false when none of them could be told. */
  tellProducer(topic: string, command: Uint8Array): boolean {
    const producers = [...this.#clients.values()].filter((client) => canBeTold(client, topic));
    const first = this.#turn++ % Math.max(1, producers.length);
    for (const client of [...producers.slice(first), ...producers.slice(0, first)]) {
      for (const session of client.sessions) if (session.tell(command)) return true;
    }
    return false;
  }

  /** Notes that a client that is here consumes as `group`. */
  join(clientId: string, group: string): void {
    const client = this.#clients.get(clientId);
    if (client !== undefined) this.#join(client, group);
  }

  /** Tells a consumer of lite topics something, if it can be told: others may fail of such a command (Go). */
  tellLiteConsumer(clientId: string, command: Uint8Array): boolean {
    const client = this.#clients.get(clientId);
    if (client === undefined || !isLiteConsumer(client.type)) return false;
    for (const session of client.sessions) if (session.tell(command)) return true;
    return false;
  }

  /** Members by group and producers, for metrics and status. */
  tally(): { readonly producers: number; readonly consumers: ReadonlyMap<string, number> } {
    let producers = 0;
    const consumers = new Map<string, number>();
    for (const client of this.#clients.values()) {
      if (client.type === clientTypes.producer) producers += 1;
      for (const group of client.memberships.keys()) {
        consumers.set(group, (consumers.get(group) ?? 0) + 1);
      }
    }
    return { producers, consumers };
  }

  #add(identity: ClientIdentity, now: number): Client {
    if (this.#clients.size >= limits.clientCountMax) {
      throw new MqError(
        "TOO_MANY_REQUESTS",
        `this broker has ${this.#clients.size} clients, at most ${limits.clientCountMax} are allowed`,
      );
    }
    const client: Client = {
      identity,
      type: 0,
      hostname: identity.id.split("@", 1)[0] ?? "",
      address: "",
      sinceMs: now,
      lastSeenMs: now,
      disconnectedAtMs: now,
      connections: new Set(),
      sessions: new Set(),
      publishes: new Set(),
      memberships: new Map(),
      passedOnBy: undefined,
      pollingMs: undefined,
      requestTimeoutMs: undefined,
    };
    this.#clients.set(identity.id, client);
    return client;
  }

  #connect(client: Client, connection: ClientConnection): void {
    client.address = `${connection.remoteAddress}:${connection.remotePort}`;
    if (connection.closed.aborted) return;
    client.connections.add(connection);
    client.disconnectedAtMs = undefined;
    const known = this.#byConnection.get(connection);
    if (known !== undefined) {
      known.add(client);
      return;
    }
    this.#byConnection.set(connection, new Set([client]));
    const forget = (): void => this.#disconnected(connection);
    connection.closed.addEventListener("abort", forget, { once: true });
  }

  #disconnected(connection: ClientConnection): void {
    const now = this.#clock.now();
    for (const client of this.#byConnection.get(connection) ?? []) {
      client.connections.delete(connection);
      if (client.connections.size === 0) client.disconnectedAtMs = now;
    }
    this.#byConnection.delete(connection);
  }

  #join(client: Client, group: string): Membership {
    let membership = client.memberships.get(group);
    if (membership === undefined) {
      membership = { group, subscriptions: new Map() };
      client.memberships.set(group, membership);
    }
    return membership;
  }

  #subscribe({ group, subscriptions }: Membership, subscription: Subscription): void {
    const before = subscriptions.get(subscription.topic);
    if (before !== undefined) this.#differences.removed(group, before);
    subscriptions.set(subscription.topic, subscription);
    this.#differences.added(group, subscription);
  }

  #unsubscribe({ group, subscriptions }: Membership): void {
    for (const subscription of subscriptions.values()) {
      this.#differences.removed(group, subscription);
    }
    subscriptions.clear();
  }

  #sweep(): void {
    const now = this.#clock.now();
    this.shares.sweep();
    for (const client of this.#clients.values()) {
      if (now - client.lastSeenMs > limits.clientSilenceMaxMs) {
        this.#forget(client, "fell silent");
        for (const session of client.sessions) session.end();
      } else if (
        client.disconnectedAtMs !== undefined &&
        now - client.disconnectedAtMs > limits.clientReconnectGraceMs
      ) {
        this.#forget(client, "lost its connections");
      }
    }
    for (const [key, atMs] of this.#terminated) {
      if (now - atMs < limits.clientReconnectGraceMs) break;
      this.#terminated.delete(key);
    }
  }

  #forget(client: Client, reason: string): void {
    this.#clients.delete(client.identity.id);
    this.shares.leave(client.identity.id);
    for (const connection of client.connections) this.#byConnection.get(connection)?.delete(client);
    this.#logger.debug(`client ${reason}`, {
      clientId: client.identity.id,
      address: client.address,
    });
    for (const membership of client.memberships.values()) {
      this.#unsubscribe(membership);
      this.#onGone(client.identity.id, membership.group);
    }
  }
}

function canBeTold({ publishes, sessions }: Client, topic: string): boolean {
  return sessions.size > 0 && publishes.has(topic);
}

function terminatedKey(clientId: string, connection: ClientConnection): string {
  return `${clientId} ${connection.id}`;
}
