// The brokers a client talks to: one link each, made at first use, closed when no route names it.
import type { rocketmq } from "@cometmq/proto";
import { BrokerLink, type LinkOwner } from "./broker-link.ts";
import { Channel, type TlsOptions } from "./channel.ts";
import type { Endpoints } from "./endpoints.ts";
import type { RequestMetadata } from "./request-metadata.ts";
import { Bell, every } from "./timing.ts";

const heartbeatPeriodMs = 10_000;
const silencePeriodMs = 250;

/** Links by address. */
export class LinkPool {
  /** Rings when a link becomes usable or unusable. */
  readonly changed: Bell = new Bell();
  readonly #links = new Map<string, BrokerLink>();
  /** Connections of closed links on which calls still wait. */
  readonly #leaving = new Set<Channel>();
  /** Connections to the servers the application named, until a route shows that one is a broker. */
  readonly #spares = new Map<string, Channel>();
  readonly #owner: LinkOwner;
  readonly #tls: TlsOptions | undefined;
  readonly #metadata: RequestMetadata;
  #stopHeartbeats: (() => void) | undefined;
  #stopChecks: (() => void) | undefined;
  #checkedAtMs = 0;

  constructor(options: {
    readonly owner: LinkOwner;
    readonly tls: TlsOptions | undefined;
    readonly metadata: RequestMetadata;
  }) {
    this.#owner = options.owner;
    this.#tls = options.tls;
    this.#metadata = options.metadata;
  }

  /** A connection to a server that may or may not be a broker, for calls that any server answers. */
  channel(endpoints: Endpoints): Channel {
    const { facade } = endpoints;
    const known = this.#links.get(facade)?.channel ?? this.#spares.get(facade);
    if (known !== undefined) return known;
    const channel = this.#newChannel(endpoints);
    this.#spares.set(facade, channel);
    return channel;
  }

  #newChannel(endpoints: Endpoints): Channel {
    return new Channel({ endpoints, tls: this.#tls, metadata: this.#metadata });
  }

  /** The link to a broker; opens it at first use. */
  link(endpoints: Endpoints): BrokerLink {
    const { facade } = endpoints;
    let link = this.#links.get(facade);
    if (link === undefined) {
      link = new BrokerLink(this.#spares.get(facade) ?? this.#newChannel(endpoints), this.#owner);
      this.#spares.delete(facade);
      this.#links.set(facade, link);
      link.open();
      this.#stopHeartbeats ??= every(heartbeatPeriodMs, () => this.#beatAll());
      this.#stopChecks ??= every(silencePeriodMs, () => this.#checkAll());
    }
    return link;
  }

  /** All links there are. */
  links(): readonly BrokerLink[] {
    return [...this.#links.values()];
  }

  #beatAll(): void {
    for (const link of this.#links.values()) void link.heartbeat();
  }

  #checkAll(): void {
    const nowMs = Date.now();
    // A process that was held up has not read what came meanwhile: nobody is suspected now.
    const isLate = nowMs - this.#checkedAtMs > 2 * silencePeriodMs;
    this.#checkedAtMs = nowMs;
    if (isLate) return;
    for (const link of this.#links.values()) link.checkSilence(nowMs);
    for (const channel of this.#leaving) {
      const { requestsMs, pollsMs } = channel.silence(nowMs);
      if (requestsMs > this.#owner.requestTimeoutMs / 2) channel.abandon();
      if (requestsMs === 0 && pollsMs === 0) this.#leaving.delete(channel);
    }
  }

  /** Closes the links that are not in `facades`. */
  retain(facades: ReadonlySet<string>): void {
    for (const [facade, link] of this.#links) {
      if (facades.has(facade)) continue;
      this.#links.delete(facade);
      link.close();
      this.#leaving.add(link.channel);
    }
  }

  /** Tells all brokers the newest settings. */
  sendSettings(): void {
    for (const link of this.#links.values()) link.sendSettings();
  }

  /** Says good-bye to all brokers. Takes at most a second. */
  async terminate(request: rocketmq.v2.INotifyClientTerminationRequest): Promise<void> {
    this.#stopHeartbeats?.();
    await Promise.all(this.links().map((link) => link.terminate(request)));
  }

  /** Closes all links. */
  close(): void {
    this.#stopHeartbeats?.();
    this.#stopChecks?.();
    // Whoever still waits for an answer is told at once.
    for (const link of this.#links.values()) link.channel.abandon();
    this.retain(new Set());
    this.#leaving.clear();
    for (const channel of this.#spares.values()) channel.close();
    this.#spares.clear();
  }
}
