// Keeps the NameServers' picture of this broker's topics new.
import type { BrokerConfiguration } from "../base/index.ts";
import type { Registrar } from "../registrar/index.ts";
import type { Metadata } from "./metadata/index.ts";

/** What is published, and to whom. */
export interface RegistrationFeedOptions {
  readonly registrar: Registrar;
  readonly config: BrokerConfiguration;
  readonly metadata: Metadata;
  /** The port that clients dial. */
  readonly port: number;
  /** The store's epoch. */
  readonly epoch: number;
}

/** Publishes the table now and after each change of a topic. Returns what ends it. */
export function feedRegistrar(options: RegistrationFeedOptions): () => void {
  const { registrar, config, metadata } = options;
  const publish = (): void => {
    const { brokerClusterName, brokerName, brokerId, brokerIP1, haListenPort } = config.values;
    registrar.publish({
      clusterName: brokerClusterName,
      brokerName,
      brokerId,
      host: brokerIP1,
      port: options.port,
      haPort: haListenPort,
      version: { epoch: options.epoch, counter: metadata.version },
      topics: [...metadata.topics()],
    });
  };
  publish();
  return metadata.onChange((event) => {
    if (event.kind === "topic") publish();
  });
}
