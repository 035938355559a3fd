// The other brokers of the cluster, for the handlers of requests: where things are, and how to reach who has them.
import { messagingService } from "@cometmq/proto";
import { type BrokerConfiguration, background, type Clock, limits } from "../../base/index.ts";
import type { Standing } from "../ha/index.ts";
import type { Metadata } from "../metadata/index.ts";
import { ClusterView, type ClusterViewOptions } from "./cluster-view.ts";
import { Forwarder } from "./forwarder.ts";
import { type Headers, hopHeaders } from "./hop.ts";
import { Passengers } from "./passengers.ts";

/** What it stands on. */
export interface ClusterOptions {
  /** Undefined: there are no NameServers, and this broker knows of itself alone. */
  readonly registrar: ClusterViewOptions["registrar"];
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  /** What is served here now; undefined while nothing is. */
  local(): { readonly metadata: Metadata; readonly canSend: boolean } | undefined;
  standing(): Standing;
  /** Dials other brokers; made here when there is none. */
  readonly forwarder?: Forwarder;
  /** Calls that are passed on at a time; `limits.forwardedCallsMax` by default. */
  readonly forwardedCallsMax?: number | undefined;
}

/** A small call about a client that nobody waits for. */
export interface Notice {
  readonly path: string;
  readonly request: Uint8Array;
  readonly headers: Headers;
}

/** Dials nobody before it has to. */
export class Cluster {
  readonly view: ClusterView;
  readonly forwarder: Forwarder;
  readonly passengers: Passengers;
  readonly #options: ClusterOptions;
  readonly #never: AbortSignal = new AbortController().signal;
  #look: Promise<void> | undefined;

  constructor(options: ClusterOptions) {
    const { clock, config } = options;
    this.#options = options;
    this.view = new ClusterView(options);
    const isTls = config.values["tls.server.mode"] === "enforcing";
    const callCountMax = options.forwardedCallsMax;
    this.forwarder = options.forwarder ?? new Forwarder({ clock, isTls, callCountMax });
    this.passengers = new Passengers(clock);
  }

  /** Resolves a moment from now: for calls that wait for a master to appear. */
  soon(): Promise<void> {
    this.#look ??= new Promise((resolve) => {
      this.#options.clock.after(limits.masterLookMs, () => {
        this.#look = undefined;
        resolve();
      });
    });
    return this.#look;
  }

  /** Tells the brokers that serve a client something about it. Failures are nobody's business: the next notice comes soon. */
  notify(clientId: string, notice: Notice): void {
    this.#tell(clientId, this.passengers.addresses(clientId), notice);
  }

  /** Tells the brokers that serve a client for the last time. */
  notifyLast(clientId: string, notice: Notice): void {
    this.#tell(clientId, this.passengers.take(clientId), notice);
  }

  /** Tells all other brokers of a name, master or slaves, something about a client that is connected to one of them. */
  async notifyNamed(brokerName: string, clientId: string, notice: Notice): Promise<void> {
    this.#tell(clientId, await this.view.replicas(brokerName), notice);
  }

  /** The client has gone without a word: those who serve it through this broker hear of it. Costs nothing when none does. */
  clientGone(clientId: string): void {
    const headers = {
      "x-mq-client-id": clientId,
      [hopHeaders.from]: this.#options.config.values.brokerName,
      [hopHeaders.gone]: "1",
    };
    const { path } = messagingService.methods.NotifyClientTermination;
    this.notifyLast(clientId, { path, request: new Uint8Array(), headers });
  }

  /** Ends the polls that are held at other brokers, as `Delivery.endPolls` ends those held here. */
  endPolls(clientId?: string): void {
    this.forwarder.endStreams(clientId);
  }

  /** Closes all connections to other brokers. */
  close(): void {
    this.forwarder.close();
  }

  #tell(clientId: string, addresses: readonly string[], notice: Notice): void {
    for (const address of addresses) {
      const { path, request, headers } = notice;
      const forward = { address, path, request, headers, clientId };
      background(
        this.forwarder
          .unary({ ...forward, remainingMs: noticeTimeoutMs, signal: this.#never })
          .catch(() => this.passengers.drop(clientId, address)),
      );
    }
  }
}

const noticeTimeoutMs = 3_000;
