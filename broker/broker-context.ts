// What the handlers of requests stand on: the parts of the broker as they are at the moment of a call.
import { type BrokerConfiguration, type Clock, type Logger, MqError } from "../base/index.ts";
import type { ClientTable } from "./clients/index.ts";
import type { Cluster } from "./cluster/index.ts";
import type { Standing } from "./ha/index.ts";
import type { Metadata } from "./metadata/index.ts";
import type {
  AdminContext,
  BrokerStatus,
  HaPort,
  RemotingContext,
  Traffic,
} from "./remoting/index.ts";
import type { LocalParts, Replica } from "./replica.ts";
import type { Store } from "./store/index.ts";

/** What does not change while the broker runs. */
export interface BrokerContextOptions {
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly clients: ClientTable;
  readonly traffic: Traffic;
  readonly replica: Replica;
  readonly ha: HaPort;
  readonly cluster: Cluster;
  readonly listenPort: () => number;
  readonly isStopping: () => boolean;
  readonly brokerStatus: () => BrokerStatus;
}

/** The context of all calls. A part that is not there now throws NOT_MASTER when it is asked for. */
export class BrokerContext implements RemotingContext, AdminContext {
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly clients: ClientTable;
  readonly traffic: Traffic;
  readonly ha: HaPort;
  readonly cluster: Cluster;
  readonly #options: BrokerContextOptions;

  constructor(options: BrokerContextOptions) {
    this.#options = options;
    this.config = options.config;
    this.clock = options.clock;
    this.logger = options.logger;
    this.clients = options.clients;
    this.traffic = options.traffic;
    this.ha = options.ha;
    this.cluster = options.cluster;
  }

  local(): LocalParts | undefined {
    return this.#options.replica.local;
  }

  standing(): Standing {
    return this.#options.replica.standing;
  }

  listenPort(): number {
    return this.#options.listenPort();
  }

  isStopping(): boolean {
    return this.#options.isStopping();
  }

  brokerStatus(): BrokerStatus {
    return this.#options.brokerStatus();
  }

  get store(): Store {
    return this.#options.replica.slot.required().store;
  }

  get metadata(): Metadata {
    const { metadata } = this.#options.replica.slot.required();
    if (metadata !== undefined) return metadata;
    throw new MqError("NOT_MASTER", "this broker has no topics yet: it waits for its master's log");
  }

  get delivery(): AdminContext["delivery"] {
    return this.#options.replica.local?.delivery ?? { progress: () => [] };
  }

  get held(): AdminContext["held"] {
    return this.#options.replica.slot.current?.state?.held;
  }

  get index(): AdminContext["index"] {
    return this.#options.replica.slot.current?.index;
  }
}
