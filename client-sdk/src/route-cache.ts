// Where topics live, asked from every server the application named and, where those do not help, from the
// brokers already known. Asks each half a minute; while something is wrong, again and again, but never in a hurry
// that would hurt the servers.
import { messagingService, type rocketmq } from "@cometmq/proto";
import type { Channel } from "./channel.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import type { Endpoints } from "./endpoints.ts";
import type { Route } from "./route.ts";
import { RouteAnswers } from "./route-answers.ts";
import { abortable, after, every } from "./timing.ts";

/** What the cache needs from its client. */
export interface RouteOwner {
  readonly requestTimeoutMs: number;
  /** The question to one server. It must carry the address of that server: brokers hand it out as their own. */
  request(topic: string, server: Endpoints): rocketmq.v2.IQueryRouteRequest;
  /** Channels to the servers the application named. */
  accessPoints(): readonly Channel[];
  /** Channels to brokers of known routes. */
  knownBrokers(): readonly Channel[];
  /** Whether a broker of a known route cannot be used now, so that news are likely. */
  expectsNews(): boolean;
  /** A topic's route is new or changed. */
  onRoute(route: Route): void;
  /** All routes were asked for again. */
  onRefreshed(): void;
}

interface Entry {
  readonly topic: string;
  readonly answers: RouteAnswers;
  /** Servers that are being asked: one that is silent is not asked again meanwhile. */
  readonly asking: Map<string, Promise<Asked>>;
  route: Route | undefined;
  /** The route as a text to compare. */
  routeText: string;
  fetching: Promise<Route> | undefined;
  usedAtMs: number;
}

/**
 * Why a round of questions is made.
 * - `calm`: it is time. Named servers are asked, and their word counts alone.
 * - `uneasy`: a broker is away. Named servers are asked, and nobody's word is forgotten.
 * - `urgent`: a call found no broker that serves it. The brokers that hold the topic are asked too.
 */
type Mood = "calm" | "uneasy" | "urgent";

interface Asked {
  readonly address: string;
  readonly named: boolean;
  readonly error: ClientError | undefined;
}

const refreshPeriodMs = 30_000;
/** How soon after the last time routes are asked for again while something is wrong: at first, and in the end. */
const spacingMinMs = 100;
const spacingMaxMs = 1_000;
const spacingGrowth = 1.05;
/** After so long without trouble the next one is again asked about at once. */
const calmMs = 3_000;
/** How long to wait for the slower servers once one has answered; later answers still count when they come. */
const slowerServersMs = 150;
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
  #spacingMs = spacingMinMs;
  #isUrgent = false;
  #closed = false;

  constructor(owner: RouteOwner) {
    this.#owner = owner;
  }

  /** Starts the periodic refresh. */
  start(): void {
    this.#stopRefresh = every(refreshPeriodMs, () => void this.#refreshAll("calm"));
  }

  /** The route of a topic: the known one, else asked for. Rejects with TOPIC_NOT_FOUND, UNREACHABLE, TIMEOUT, … */
  get(topic: string, signal?: AbortSignal): Route | Promise<Route> {
    const entry = this.#entry(topic);
    entry.usedAtMs = Date.now();
    return entry.route ?? abortable(this.#fetch(entry), signal);
  }

  /** The route of a topic when it is known. */
  known(topic: string): Route | undefined {
    return this.#entries.get(topic)?.route;
  }

  /** Every route that is known. */
  routes(): readonly Route[] {
    return [...this.#entries.values()].flatMap((entry) => entry.route ?? []);
  }

  #entry(topic: string): Entry {
    let entry = this.#entries.get(topic);
    if (entry === undefined) {
      entry = {
        topic,
        answers: new RouteAnswers(),
        asking: new Map(),
        route: undefined,
        routeText: "",
        fetching: undefined,
        usedAtMs: 0,
      };
      this.#entries.set(topic, entry);
    }
    return entry;
  }

  /** A call found no broker that serves it: asks for all routes at once, at most each 100 ms, and less often with time. */
  refreshNow(): void {
    this.#isUrgent = true;
    this.refreshSoon();
  }

  /** A broker is away: the same, without bothering other brokers. */
  refreshSoon(): void {
    if (this.#closed || this.#cancelSoon !== undefined) return;
    const sinceMs = Date.now() - this.#refreshedAtMs;
    if (sinceMs > calmMs) this.#spacingMs = spacingMinMs;
    this.#cancelSoon = after(Math.max(0, this.#spacingMs - sinceMs), () => {
      this.#cancelSoon = undefined;
      this.#spacingMs = Math.min(spacingMaxMs, this.#spacingMs * spacingGrowth);
      const mood = this.#isUrgent ? "urgent" : "uneasy";
      this.#isUrgent = false;
      void this.#refreshAll(mood);
    });
  }

  async #refreshAll(mood: Mood): Promise<void> {
    this.#refreshedAtMs = Date.now();
    const oldest = this.#refreshedAtMs - unusedMaxMs;
    for (const [topic, entry] of this.#entries) {
      if (entry.usedAtMs < oldest && entry.fetching === undefined) this.#entries.delete(topic);
    }
    const rounds = [...this.#entries.values()].map((entry) =>
      this.#ask(entry, mood).catch(toError),
    );
    await Promise.all(rounds);
    if (this.#closed) return;
    this.#owner.onRefreshed();
    const isAnyAway = this.routes().some((route) => route.awayNames.length > 0);
    if (isAnyAway || this.#owner.expectsNews()) this.refreshSoon();
  }

  #fetch(entry: Entry): Promise<Route> {
    entry.fetching ??= this.#ask(entry, "calm").finally(() => {
      entry.fetching = undefined;
      if (entry.route === undefined) this.#entries.delete(entry.topic);
    });
    return entry.fetching;
  }

  /** One round of questions. The route is taken over with each answer; resolves shortly after the first good one. */
  async #ask(entry: Entry, mood: Mood): Promise<Route> {
    const named = this.#owner.accessPoints();
    const others = this.#othersThan(named);
    const asked = named.map((channel) => this.#askOnce(entry, channel, true));
    const askMore = (channels: readonly Channel[]): void => {
      asked.push(...channels.map((channel) => this.#askOnce(entry, channel, false)));
    };
    const holders =
      mood === "urgent" ? others.filter((channel) => holds(entry.route, channel)) : [];
    askMore(holders);
    // A broker may create a topic that it is asked about: those without it are asked when nobody else answers.
    const rest = others.filter((channel) => !holders.includes(channel));
    if (rest.length > 0 && !(await isAnsweredSoon(asked))) askMore(rest);
    void this.#conclude(entry, asked, mood);
    const errors = await firstAnswers(asked);
    if (entry.route !== undefined) return entry.route;
    throw mostTelling(errors) ?? noBroker(entry.topic, named);
  }

  #othersThan(named: readonly Channel[]): readonly Channel[] {
    const names = new Set(named.map((channel) => channel.address));
    return this.#owner.knownBrokers().filter((channel) => !names.has(channel.address));
  }

  /** At the end of a round it is known who failed. When all did, the last known route stays: better old than nothing. */
  async #conclude(entry: Entry, asked: readonly Promise<Asked>[], mood: Mood): Promise<void> {
    const results = await Promise.all(asked);
    const good = results.filter(({ error }) => error === undefined);
    if (good.length === 0) return;
    entry.answers.dropFailed(
      results.filter(({ error }) => error !== undefined).map(({ address }) => address),
    );
    if (mood === "calm" && good.some(({ named }) => named)) entry.answers.dropUnnamed();
    this.#publish(entry);
  }

  #askOnce(entry: Entry, channel: Channel, named: boolean): Promise<Asked> {
    const { address } = channel;
    let asking = entry.asking.get(address);
    if (asking === undefined) {
      asking = this.#askOne(entry, channel, named)
        .then((error) => ({ address, named, error }))
        .finally(() => entry.asking.delete(address));
      entry.asking.set(address, asking);
    }
    return asking;
  }

  /** Asks one server and takes its answer into the route; the failure if there is one. Never rejects. */
  async #askOne(entry: Entry, channel: Channel, named: boolean): Promise<ClientError | undefined> {
    const { topic } = entry;
    const { address } = channel;
    try {
      const answer = await this.#query(topic, channel);
      const queues = answer.messageQueues ?? [];
      entry.answers.take({ address, named, queues, nowMs: Date.now() });
      this.#publish(entry);
      return undefined;
    } catch (error) {
      if (error instanceof ClientError) return error;
      const text = `QueryRoute: ${toError(error).message}`;
      return new ClientError("PROTOCOL", text, { address, topic, cause: error });
    }
  }

  async #query(topic: string, channel: Channel): Promise<rocketmq.v2.IQueryRouteResponse> {
    const bytes = await channel.unary(
      QueryRoute.path,
      QueryRoute.request.encode(this.#owner.request(topic, channel.endpoints)),
      { timeoutMs: this.#owner.requestTimeoutMs, topic },
    );
    const answer = QueryRoute.response.decode(bytes);
    const error = statusError(answer.status, "QueryRoute", { address: channel.address, topic });
    if (error !== undefined) throw error;
    return answer;
  }

  #publish(entry: Entry): void {
    if (this.#closed) return;
    const route = entry.answers.route(entry.topic, Date.now());
    if (route.brokers.length === 0) return;
    const text = JSON.stringify(route);
    if (text === entry.routeText) return;
    entry.route = route;
    entry.routeText = text;
    this.#owner.onRoute(route);
  }

  /** Ends all refreshing. */
  close(): void {
    this.#closed = true;
    this.#stopRefresh?.();
    this.#cancelSoon?.();
  }
}

function holds(route: Route | undefined, channel: Channel): boolean {
  return route?.brokers.some(({ endpoints }) => endpoints.facade === channel.address) === true;
}

async function goodOnly(asked: Promise<Asked>): Promise<void> {
  const { error } = await asked;
  if (error !== undefined) throw error;
}

/** Whether one of the servers gives a good answer within a moment. */
function isAnsweredSoon(asked: readonly Promise<Asked>[]): Promise<boolean> {
  const answered = Promise.any(asked.map(goodOnly)).then(
    () => true,
    () => false,
  );
  return Promise.race([answered, pause(slowerServersMs).then(() => false)]);
}

/** Resolves shortly after the first good answer, or when all have failed, with the failures so far. */
async function firstAnswers(asked: readonly Promise<Asked>[]): Promise<readonly ClientError[]> {
  const errors: ClientError[] = [];
  const all = asked.map((one) => one.then(({ error }) => void (error && errors.push(error))));
  const enough = Promise.any(asked.map(goodOnly)).then(
    () => pause(slowerServersMs),
    () => undefined,
  );
  await Promise.race([Promise.all(all), enough]);
  return [...errors];
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    after(delayMs, resolve);
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
