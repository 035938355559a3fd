// Keeps the NameServers' picture of this broker new: what it is in its group, and which topics it serves.
import type { BrokerConfiguration } from "../base/index.ts";
import type { Registrar, Registration } from "../registrar/index.ts";
import type { Standing } from "./ha/index.ts";
import type { Metadata, TopicConfig } from "./metadata/index.ts";

/** What is published, and to whom. */
export interface RegistrationFeedOptions {
  readonly registrar: Pick<Registrar, "publish">;
  readonly config: BrokerConfiguration;
  /** What this broker is now. */
  readonly standing: () => Standing;
  /** Topics that it serves now; undefined while it serves none. */
  readonly metadata: () => Metadata | undefined;
  /** The port that clients dial. */
  readonly port: number;
  /** The port that slaves dial; 0 = none. */
  readonly haPort: number;
}

/** Publishes until it is closed. */
export interface RegistrationFeed {
  /** Tells what the broker is now: to be called after each change of standing. */
  update(): void;
  /** Ends it; the registrar stays. */
  close(): void;
}

/**
 * Publishes now, after each change of a topic and of the configuration, and when told to. A broker that is not yet
 * anything publishes nothing; one that is nothing any more is a slave without topics, so that no route leads to it.
 */
export function feedRegistrar(options: RegistrationFeedOptions): RegistrationFeed {
  const feed = new Feed(options);
  feed.update();
  return feed;
}

class Feed implements RegistrationFeed {
  readonly #options: RegistrationFeedOptions;
  readonly #forgetConfig: () => void;
  #forgetMetadata: (() => void) | undefined;
  #followed: Metadata | undefined;
  #permission: number;
  #told = "";
  /** Publications so far: NameServers take a table only when its counter is new. */
  #counter = 0;

  constructor(options: RegistrationFeedOptions) {
    this.#options = options;
    this.#permission = options.config.values.brokerPermission;
    this.#forgetConfig = options.config.onChange(() => {
      const { brokerPermission } = options.config.values;
      if (brokerPermission === this.#permission) return;
      this.#permission = brokerPermission;
      this.#publish();
    });
  }

  update(): void {
    const metadata = this.#options.metadata();
    const { kind, epoch } = this.#options.standing();
    const told = `${kind} ${epoch}`;
    if (metadata === this.#followed && told === this.#told) return;
    this.#told = told;
    if (metadata !== this.#followed) {
      this.#forgetMetadata?.();
      this.#followed = metadata;
      this.#forgetMetadata = metadata?.onChange((event) => {
        if (event.kind === "topic") this.#publish();
      });
    }
    this.#publish();
  }

  close(): void {
    this.#forgetConfig();
    this.#forgetMetadata?.();
  }

  #publish(): void {
    const { registrar, standing, config, port, haPort } = this.#options;
    const now = standing();
    if (now.kind === "none" && this.#counter === 0) return;
    const isServing = now.kind === "master" || now.kind === "acting";
    const { brokerClusterName, brokerName, brokerId, brokerIP1 } = config.values;
    this.#counter += 1;
    const registration: Registration = {
      clusterName: brokerClusterName,
      brokerName,
      brokerId,
      duty: now.kind === "none" ? "slave" : now.kind,
      host: brokerIP1,
      port,
      haPort,
      version: { epoch: now.epoch, counter: this.#counter },
      topics: isServing ? this.#topics() : [],
    };
    registrar.publish(registration);
  }

  #topics(): readonly TopicConfig[] {
    const topics = [...(this.#followed?.topics() ?? [])];
    const permission = this.#permission;
    if (permission === 6) return topics;
    return topics.map((topic) => ({ ...topic, perm: topic.perm & permission }));
  }
}
