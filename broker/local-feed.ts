// What follows the topics of this broker, whichever storage has them now: the NameServers' picture, and the counters of
// what is gone.
import type { BrokerConfiguration } from "../base/index.ts";
import type { Registrar } from "../registrar/index.ts";
import type { Metadata } from "./metadata/index.ts";
import { feedRegistrar, type RegistrationFeed } from "./registration-feed.ts";
import type { Traffic } from "./remoting/index.ts";
import type { Replica } from "./replica.ts";

/** What is fed, and from where. */
export interface LocalFeedOptions {
  readonly replica: Replica;
  readonly traffic: Traffic;
  readonly registrar: Registrar | undefined;
  readonly config: BrokerConfiguration;
  /** The port that clients dial. */
  readonly grpcPort: number;
}

/** Feeds from construction to `close`. */
export class LocalFeed {
  readonly #options: LocalFeedOptions;
  readonly #stopListening: () => void;
  readonly #registration: RegistrationFeed | undefined;
  #metadata: Metadata | undefined;
  #stops: (() => void)[] = [];
  #fed = "";

  constructor(options: LocalFeedOptions) {
    this.#options = options;
    const { replica, registrar, config, grpcPort: port } = options;
    this.#registration =
      registrar &&
      feedRegistrar({
        registrar,
        config,
        standing: () => replica.standing,
        metadata: () => replica.local?.metadata,
        port,
        haPort: replica.server.port,
      });
    this.#stopListening = replica.onChange(() => this.#follow());
    this.#follow();
  }

  /** Leaves the NameServers. */
  async close(): Promise<void> {
    this.#stopListening();
    this.#stop();
    this.#registration?.close();
    await this.#options.registrar?.close();
  }

  #stop(): void {
    for (const stop of this.#stops.splice(0)) stop();
  }

  #follow(): void {
    const { replica } = this.#options;
    const { standing } = replica;
    const metadata = replica.slot.current?.metadata;
    const fed = `${standing.kind} ${standing.epoch}`;
    if (metadata === this.#metadata && fed === this.#fed) return;
    this.#metadata = metadata;
    this.#fed = fed;
    this.#stop();
    this.#registration?.update();
    if (metadata === undefined) return;
    this.#stops.push(metadata.onChange((event) => this.#forget(event)));
  }

  #forget({ kind, name, config }: Parameters<Parameters<Metadata["onChange"]>[0]>[0]): void {
    if (config !== undefined) return;
    if (kind === "topic") this.#options.traffic.forgetTopic(name);
    else this.#options.traffic.forgetGroup(name);
  }
}
