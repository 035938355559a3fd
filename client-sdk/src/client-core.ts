// What every client is made of: options, links to brokers, routes and server settings, and the order
// in which they start and stop. Producers and consumers each hold one.
import type { rocketmq } from "@cometmq/proto";
import { JoinedSignal } from "./abort-listeners.ts";
import { type BrokerStanding, bestOfNames, chooseBroker } from "./broker-choice.ts";
import type { BrokerLink } from "./broker-link.ts";
import { ClientError, toError } from "./client-error.ts";
import { type Endpoints, endpointsMessage } from "./endpoints.ts";
import type { FilterExpression } from "./filter-expression.ts";
import { LinkPool } from "./link-pool.ts";
import type { CheckedOptions } from "./options.ts";
import { createClientId, RequestMetadata } from "./request-metadata.ts";
import { type Route, type RouteBroker, readableBrokers } from "./route.ts";
import { RouteCache } from "./route-cache.ts";
import {
  type ClientKind,
  clientType,
  defaultServerSettings,
  type ServerSettings,
  settingsMessage,
  withServerSettings,
} from "./settings.ts";
import { abortable, Bell, every, sleep } from "./timing.ts";

/** What kind of client this is. The collections are read anew whenever settings are sent. */
export interface ClientRole {
  readonly kind: ClientKind;
  readonly topics: ReadonlySet<string>;
  /** Empty for a producer. */
  readonly consumerGroup: string;
  readonly subscriptions: ReadonlyMap<string, FilterExpression>;
  readonly longPollingMs: number;
  readonly attemptsMax: number;
  /** A broker asks how a transaction ended. */
  readonly onOrphan?: (
    link: BrokerLink,
    command: rocketmq.v2.IRecoverOrphanedTransactionCommand,
  ) => void;
  /** The client subscribes to a lite topic no more: another one of its group does. */
  readonly onUnsubscribeLite?: (liteTopic: string) => void;
}

type State = "new" | "starting" | "running" | "closing" | "closed";

const settingsPeriodMs = 300_000;
const startRetryMs = 200;
/** Codes that another try at start-up cannot mend. */
const startRetryCodes: ReadonlySet<string> = new Set([
  "UNREACHABLE",
  "TIMEOUT",
  "INTERNAL_ERROR",
  "INTERNAL_SERVER_ERROR",
  "TOO_MANY_REQUESTS",
  "PROXY_TIMEOUT",
  "HA_NOT_AVAILABLE",
]);
/** How often a call that waits for a broker looks again, at the latest. */
const lookAgainMs = 250;
/** Codes that say that another broker, or another address of the same, may be the right one. */
const routeDoubtCodes: ReadonlySet<string> = new Set([
  "HA_NOT_AVAILABLE",
  "TOPIC_NOT_FOUND",
  "FORBIDDEN",
]);
const untried: ReadonlySet<string> = new Set();

/** The inside of a client. */
export class ClientCore {
  readonly clientId: string = createClientId();
  readonly options: CheckedOptions;
  readonly links: LinkPool;
  readonly #role: ClientRole;
  readonly #routes: RouteCache;
  readonly #closing = new AbortController();
  readonly #settingsBell = new Bell();
  #settings = defaultServerSettings;
  #settingsSeen = false;
  #refusal: Error | undefined;
  #state: State = "new";
  #started: Promise<void> | undefined;
  #closed: Promise<void> | undefined;
  #stopSettings: (() => void) | undefined;

  constructor(options: CheckedOptions, role: ClientRole) {
    this.options = options;
    this.#role = role;
    this.links = new LinkPool({
      owner: {
        requestTimeoutMs: options.requestTimeoutMs,
        settings: () => this.#ownSettings(),
        heartbeat: () => ({ clientType: clientType[role.kind], ...this.#group() }),
        onSettings: (link, settings) => this.#onSettings(link, settings),
        onRefused: (link, error) => this.#onRefused(link, error),
        onOrphan: (link, command) => role.onOrphan?.(link, command),
        onUnsubscribeLite: (liteTopic) => role.onUnsubscribeLite?.(liteTopic),
        onChange: (link) => this.#onLinkChange(link),
      },
      tls: options.tls,
      metadata: new RequestMetadata({
        clientId: this.clientId,
        namespace: options.namespace,
        credentials: options.credentials,
      }),
    });
    this.#routes = new RouteCache({
      requestTimeoutMs: options.requestTimeoutMs,
      request: (topic, server) => ({
        topic: this.resource(topic),
        endpoints: endpointsMessage([server]),
      }),
      accessPoints: () => options.endpoints.map((endpoints) => this.links.channel(endpoints)),
      knownBrokers: () => this.links.links().map((link) => link.channel),
      expectsNews: () => this.links.links().some((link) => !link.usable),
      onRoute: (route) => this.#onRoute(route),
      onRefreshed: () => this.#dropUnusedLinks(),
    });
  }

  /** Aborted when shutdown begins. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get running(): boolean {
    return this.#state === "running";
  }

  /** What servers decided, or the defaults. */
  get settings(): ServerSettings {
    return this.#settings;
  }

  /** A name in this client's namespace. */
  resource(name: string): rocketmq.v2.IResource {
    return { resourceNamespace: this.options.namespace, name };
  }

  #group(): { group?: rocketmq.v2.IResource } {
    const { consumerGroup } = this.#role;
    return consumerGroup === "" ? {} : { group: this.resource(consumerGroup) };
  }

  #ownSettings(): rocketmq.v2.ISettings {
    const { kind, topics, consumerGroup, subscriptions, longPollingMs, attemptsMax } = this.#role;
    return settingsMessage({
      kind,
      topics: [...topics],
      consumerGroup,
      subscriptions,
      longPollingMs,
      attemptsMax,
      namespace: this.options.namespace,
      accessPoint: this.options.endpoints,
      requestTimeoutMs: this.options.requestTimeoutMs,
    });
  }

  /** Throws CLOSED unless started and not shut down. */
  assertRunning(): void {
    if (this.#state === "running") return;
    throw new ClientError(
      "CLOSED",
      this.#state === "new" || this.#state === "starting"
        ? "the client is not started: await startup() first"
        : "the client was shut down",
    );
  }

  /** Finds routes and connects. Fails within about two request timeouts; a client that failed to start is closed. */
  startup(signal?: AbortSignal): Promise<void> {
    if (this.#state === "closing" || this.#state === "closed") {
      return Promise.reject(new ClientError("CLOSED", "the client was shut down: make a new one"));
    }
    this.#started ??= this.#start(signal);
    return this.#started;
  }

  async #start(outer: AbortSignal | undefined): Promise<void> {
    this.#state = "starting";
    using joined = new JoinedSignal([outer, this.closing]);
    const { signal } = joined;
    try {
      const { topics } = this.#role;
      if (topics.size === 0) await this.#connectAny(signal);
      else await Promise.all([...topics].map((topic) => this.#firstRoute(topic, signal)));
      if (topics.size > 0) await this.#firstSettings(signal);
    } catch (error) {
      await this.close(async () => {});
      throw error;
    }
    if (this.#state !== "starting") throw new ClientError("CLOSED", "the client was shut down");
    this.#state = "running";
    this.#routes.start();
    this.#stopSettings = every(settingsPeriodMs, () => this.links.sendSettings());
    this.options.logger.info("started", this.#role.kind, this.clientId);
  }

  async #connectAny(signal: AbortSignal): Promise<void> {
    const { endpoints, requestTimeoutMs } = this.options;
    const connected = endpoints.map((one) => this.links.channel(one).connected(requestTimeoutMs));
    try {
      await abortable(Promise.any(connected), signal);
    } catch (error) {
      throw error instanceof AggregateError ? toError(error.errors[0]) : error;
    }
  }

  async #firstRoute(topic: string, signal: AbortSignal): Promise<void> {
    const endMs = Date.now() + this.options.requestTimeoutMs;
    for (;;) {
      try {
        await this.#routes.get(topic, signal);
        return;
      } catch (error) {
        const again = error instanceof ClientError && startRetryCodes.has(error.code);
        if (!again || Date.now() + startRetryMs >= endMs) throw error;
        await sleep(startRetryMs, signal);
      }
    }
  }

  async #firstSettings(signal: AbortSignal): Promise<void> {
    const endMs = Date.now() + this.options.requestTimeoutMs;
    while (!this.#settingsSeen) {
      if (this.#refusal !== undefined) throw this.#refusal;
      if (await this.#settingsBell.wait(endMs - Date.now(), signal)) continue;
      throw new ClientError(
        "TIMEOUT",
        `no broker answered the settings of this client within ${this.options.requestTimeoutMs} ms`,
        {
          address: this.links
            .links()
            .map((link) => link.channel.address)
            .join(";"),
        },
      );
    }
  }

  #onSettings(link: BrokerLink, settings: rocketmq.v2.ISettings): void {
    this.#settings = withServerSettings(this.#settings, settings);
    this.#settingsSeen = true;
    this.options.logger.debug?.("settings of", link.channel.address, this.#settings);
    this.#settingsBell.ring();
  }

  #onRefused(link: BrokerLink, error: Error): void {
    this.#refusal = error;
    this.options.logger.warn("telemetry refused by", link.channel.address, error.message);
    this.#settingsBell.ring();
  }

  #onLinkChange(link: BrokerLink): void {
    this.links.changed.ring();
    if (link.usable) {
      this.options.logger.info("connected again to", link.channel.address);
      return;
    }
    this.options.logger.debug?.("not usable", link.channel.address);
    this.#routes.refreshSoon();
  }

  #onRoute(route: Route): void {
    for (const broker of route.brokers) this.links.link(broker.endpoints);
    this.links.changed.ring();
  }

  #dropUnusedLinks(): void {
    const wanted = new Set<string>();
    for (const route of this.#routes.routes()) {
      for (const broker of route.brokers) wanted.add(broker.endpoints.facade);
    }
    if (wanted.size > 0) this.links.retain(wanted);
  }

  /** The route of a topic; a promise only when it must be asked for. */
  route(topic: string, signal?: AbortSignal): Route | Promise<Route> {
    return this.#routes.get(topic, signal);
  }

  /** The route of a topic when it is known; asks nobody. */
  knownRoute(topic: string): Route | undefined {
    return this.#routes.known(topic);
  }

  /** A call to a broker failed: doubts the connection or the route, as the error says. */
  reportFailure(link: BrokerLink, error: unknown): void {
    link.reportFailure(error);
    this.reportRefusal(link, error);
  }

  /** A broker answered with an error: doubts the route when the error says so. */
  reportRefusal(link: BrokerLink, error: unknown): void {
    if (!(error instanceof ClientError) || !routeDoubtCodes.has(error.code)) return;
    if (error.code === "HA_NOT_AVAILABLE" && !error.stored) link.noteRefusal();
    this.routeDoubted();
  }

  /** Says that a route seems to be old. */
  routeDoubted(): void {
    this.#routes.refreshNow();
  }

  #standing(broker: RouteBroker, tried: ReadonlySet<string>): BrokerStanding {
    const link = this.links.link(broker.endpoints);
    return {
      usable: link.usable,
      tried: tried.has(broker.endpoints.facade),
      refusedMsAgo: link.refusedMsAgo(Date.now()),
    };
  }

  /** One address for each name, one that works where there is a choice. */
  bestAddresses(brokers: readonly RouteBroker[]): readonly RouteBroker[] {
    return bestOfNames(brokers, (broker) => this.#standing(broker, untried));
  }

  /** Whether there is a usable broker whose name none of `tried` has. */
  hasOther(brokers: readonly RouteBroker[], tried: ReadonlySet<string>): boolean {
    const names = new Set(
      brokers.filter(({ endpoints }) => tried.has(endpoints.facade)).map(({ name }) => name),
    );
    return brokers.some(
      ({ name, endpoints }) => !names.has(name) && this.links.link(endpoints).usable,
    );
  }

  /** Where a broker of this name is now, for what was received from it when it was at `otherwise`. */
  addressOf(topic: string, brokerName: string, otherwise: Endpoints): Endpoints {
    const known = this.#routes.known(topic)?.brokers ?? [];
    const named = readableBrokers(known).filter(({ name }) => name === brokerName);
    return this.bestAddresses(named)[0]?.endpoints ?? otherwise;
  }

  /**
   * A usable broker of the topic among those that `choose` takes from the route, not one of `tried` while
   * another is there. Waits for one up to `waitMaxMs` and asks for news of the route meanwhile; undefined when none came.
   */
  async usableBroker(options: {
    readonly topic: string;
    readonly choose: (route: Route) => readonly RouteBroker[];
    readonly turn: number;
    readonly tried: ReadonlySet<string>;
    readonly waitMaxMs: number;
    readonly signal?: AbortSignal | undefined;
  }): Promise<RouteBroker | undefined> {
    const endMs = Date.now() + options.waitMaxMs;
    for (;;) {
      const brokers = options.choose(await this.route(options.topic, options.signal));
      const broker = chooseBroker(brokers, options.turn, (one) =>
        this.#standing(one, options.tried),
      );
      if (broker !== undefined) return broker;
      const leftMs = endMs - Date.now();
      if (leftMs <= 0) return undefined;
      this.#routes.refreshNow();
      await this.links.changed.wait(Math.min(leftMs, lookAgainMs), options.signal);
    }
  }

  /** The link to a broker. */
  link(endpoints: Endpoints): BrokerLink {
    return this.links.link(endpoints);
  }

  /** Runs `drain`, says good-bye to the brokers and closes everything. Idempotent. */
  close(drain: () => Promise<void>): Promise<void> {
    this.#closed ??= this.#close(drain);
    return this.#closed;
  }

  async #close(drain: () => Promise<void>): Promise<void> {
    const wasRunning = this.#state === "running";
    this.#state = "closing";
    try {
      if (wasRunning) await drain();
    } finally {
      this.#closing.abort(new ClientError("CLOSED", "the client was shut down"));
      this.#routes.close();
      this.#stopSettings?.();
      await this.links.terminate(this.#group());
      this.links.close();
      this.#state = "closed";
      this.options.logger.info("shut down", this.#role.kind, this.clientId);
    }
  }
}
