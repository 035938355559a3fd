// Where topics live, asked from every server the application named and, when none of those answers,
// from the brokers already known. The union of what live servers say counts.
import { messagingService, type rocketmq } from "@cometmq/proto";
import type { Channel } from "./channel.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import { brokersOf, type Route, type RouteBroker, unionOf } from "./route.ts";
import { abortable, after, every } from "./timing.ts";

/** What the cache needs from its client. */
export interface RouteOwner {
  readonly requestTimeoutMs: number;
  request(topic: string): rocketmq.v2.IQueryRouteRequest;
  /** Channels to the servers the application named. */
  accessPoints(): readonly Channel[];
  /** Channels to brokers of known routes. */
  knownBrokers(): readonly Channel[];
  /** A topic's route is new or changed. */
  onRoute(route: Route): void;
  /** All routes were asked for again. */
  onRefreshed(): void;
}

interface Entry {
  readonly topic: string;
  /** What each server said last; a server that fails loses its say while another has one. */
  readonly answers: Map<string, ReadonlyMap<string, RouteBroker>>;
  route: Route | undefined;
  fetching: Promise<Route> | undefined;
  usedAtMs: number;
}

const refreshPeriodMs = 30_000;
/** Failures ask for routes at once, but not more often than this. */
const refreshSpacingMs = 1_000;
/** How long to wait for the slower servers once one has answered; later answers still count when they come. */
const slowerServersMs = 250;
/** Topics nobody used for so long are forgotten. */
const unusedMaxMs = 600_000;

const { QueryRoute } = messagingService.methods;

/** Routes by topic. */
export class RouteCache {
  readonly #owner: RouteOwner;
  readonly #entries = new Map<string, Entry>();
  #stopRefresh: (() => void) | undefined;
  #cancelSoon: (() => void) | undefined;
  #refreshedAtMs = 0;
  #closed = false;

  constructor(owner: RouteOwner) {
    this.#owner = owner;
  }

  /** Starts the periodic refresh. */
  start(): void {
    this.#stopRefresh = every(refreshPeriodMs, () => void this.#refreshAll());
  }

  /** The route of a topic: the known one, else asked for. Rejects with TOPIC_NOT_FOUND, UNREACHABLE, TIMEOUT, … */
  get(topic: string, signal?: AbortSignal): Route | Promise<Route> {
    const entry = this.#entry(topic);
    entry.usedAtMs = Date.now();
    return entry.route ?? abortable(this.#fetch(entry), signal);
  }

  /** Every route that is known. */
  routes(): readonly Route[] {
    return [...this.#entries.values()].flatMap((entry) => entry.route ?? []);
  }

  #entry(topic: string): Entry {
    let entry = this.#entries.get(topic);
    if (entry === undefined) {
      entry = { topic, answers: new Map(), route: undefined, fetching: undefined, usedAtMs: 0 };
      this.#entries.set(topic, entry);
    }
    return entry;
  }

  /** A connection failed or a broker does not know a topic: asks for all routes now, or within a second. */
  refreshSoon(): void {
    if (this.#closed || this.#cancelSoon !== undefined) return;
    const waitMs = Math.max(0, this.#refreshedAtMs + refreshSpacingMs - Date.now());
    this.#cancelSoon = after(waitMs, () => {
      this.#cancelSoon = undefined;
      void this.#refreshAll();
    });
  }

  async #refreshAll(): Promise<void> {
    this.#refreshedAtMs = Date.now();
    const oldest = this.#refreshedAtMs - unusedMaxMs;
    for (const [topic, entry] of this.#entries) {
      if (entry.usedAtMs < oldest && entry.fetching === undefined) this.#entries.delete(topic);
    }
    const fetches = [...this.#entries.values()].map((entry) => this.#fetch(entry).catch(toError));
    await Promise.all(fetches);
    if (!this.#closed) this.#owner.onRefreshed();
  }

  #fetch(entry: Entry): Promise<Route> {
    entry.fetching ??= this.#ask(entry).finally(() => {
      entry.fetching = undefined;
      if (entry.route === undefined) this.#entries.delete(entry.topic);
    });
    return entry.fetching;
  }

  async #ask(entry: Entry): Promise<Route> {
    const named = this.#owner.accessPoints();
    const names = new Set(named.map((channel) => channel.address));
    const errors = await this.#askSome(entry, named);
    if (errors.length < named.length) this.#forgetOthers(entry, names);
    if (entry.answers.size === 0 || errors.length === named.length) {
      const others = this.#owner.knownBrokers().filter((channel) => !names.has(channel.address));
      errors.push(...(await this.#askSome(entry, others)));
    }
    if (entry.route !== undefined && entry.route.brokers.length > 0) return entry.route;
    throw mostTelling(errors) ?? noBroker(entry.topic, named);
  }

  /** Once a named server answers, what brokers said in its place counts no longer. */
  #forgetOthers(entry: Entry, names: ReadonlySet<string>): void {
    const others = [...entry.answers.keys()].filter((address) => !names.has(address));
    for (const address of others) entry.answers.delete(address);
    if (others.length > 0) this.#publish(entry);
  }

  /** Asks servers side by side; resolves shortly after the first good answer, or when all have failed, with the failures so far. */
  async #askSome(entry: Entry, channels: readonly Channel[]): Promise<ClientError[]> {
    const errors: ClientError[] = [];
    const asked = channels.map(async (channel) => {
      const error = await this.#askOne(entry, channel);
      if (error === undefined) return;
      errors.push(error);
      throw error;
    });
    const enough = Promise.any(asked).then(() => grace(), toError);
    await Promise.race([Promise.allSettled(asked), enough]);
    return [...errors];
  }

  /** Asks one server and takes its answer into the route; the failure if there is one. */
  async #askOne(entry: Entry, channel: Channel): Promise<ClientError | undefined> {
    const { topic } = entry;
    try {
      const answer = await this.#query(topic, channel);
      entry.answers.set(channel.address, brokersOf(answer.messageQueues ?? []));
      this.#publish(entry);
      return undefined;
    } catch (error) {
      // Without any other server's word the last one known stays: better old than nothing.
      if (entry.answers.size > 1 && entry.answers.delete(channel.address)) this.#publish(entry);
      return error instanceof ClientError
        ? error
        : new ClientError("PROTOCOL", `QueryRoute: ${toError(error).message}`, {
            address: channel.address,
            topic,
            cause: error,
          });
    }
  }

  async #query(topic: string, channel: Channel): Promise<rocketmq.v2.IQueryRouteResponse> {
    const bytes = await channel.unary(
      QueryRoute.path,
      QueryRoute.request.encode(this.#owner.request(topic)),
      { timeoutMs: this.#owner.requestTimeoutMs, topic },
    );
    const answer = QueryRoute.response.decode(bytes);
    const error = statusError(answer.status, "QueryRoute", { address: channel.address, topic });
    if (error !== undefined) throw error;
    return answer;
  }

  #publish(entry: Entry): void {
    if (this.#closed) return;
    const route = unionOf(entry.topic, entry.answers.values());
    if (route.brokers.length === 0) return;
    entry.route = route;
    this.#owner.onRoute(route);
  }

  /** Ends all refreshing. */
  close(): void {
    this.#closed = true;
    this.#stopRefresh?.();
    this.#cancelSoon?.();
  }
}

function grace(): Promise<void> {
  return new Promise((resolve) => {
    after(slowerServersMs, resolve);
  });
}

/** A server's own words tell more than a missing connection. */
function mostTelling(errors: readonly ClientError[]): ClientError | undefined {
  const spoken = errors.find((error) => error.code !== "UNREACHABLE" && error.code !== "TIMEOUT");
  return spoken ?? errors[0];
}

function noBroker(topic: string, channels: readonly Channel[]): ClientError {
  const address = channels.map((channel) => channel.address).join(";");
  const message =
    "the route of the topic names no broker: is a broker registered, and was the topic created?";
  return new ClientError("TOPIC_NOT_FOUND", message, { topic, address });
}
