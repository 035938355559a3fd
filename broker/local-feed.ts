// What follows the topics of this broker, whichever storage has them now: the NameServers' picture, and the counters of
// what is gone.
import type { BrokerConfiguration } from "../base/index.ts";
import type { Registrar } from "../registrar/index.ts";
import type { Metadata, MetadataEvent } from "./metadata/index.ts";
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
  #forgetMetadata: (() => void) | undefined;

  constructor(options: LocalFeedOptions) {
    const { replica, registrar, config, grpcPort } = options;
    this.#options = options;
    if (registrar !== undefined) {
      this.#registration = feedRegistrar({
        registrar,
        config,
        standing: () => replica.standing,
        metadata: () => replica.local?.metadata,
        port: grpcPort,
        haPort: replica.server.port,
      });
    }
    this.#stopListening = replica.onChange(() => this.#follow());
    this.#follow();
  }

  /** Leaves the NameServers. */
  async close(): Promise<void> {
    this.#stopListening();
    this.#forgetMetadata?.();
    this.#registration?.close();
    await this.#options.registrar?.close();
  }

  #follow(): void {
    this.#registration?.update();
    const metadata = this.#options.replica.slot.current?.metadata;
    if (metadata === this.#metadata) return;
    this.#metadata = metadata;
    this.#forgetMetadata?.();
    this.#forgetMetadata = metadata?.onChange((event) => this.#forget(event));
  }

  #forget({ kind, name, config }: MetadataEvent): void {
    if (config !== undefined) return;
    if (kind === "topic") this.#options.traffic.forgetTopic(name);
    else this.#options.traffic.forgetGroup(name);
  }
}
