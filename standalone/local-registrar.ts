// Registers a broker with the NameServer of the same process, and asks it, without a network between them.
import { type Clock, formatAddress } from "../base/index.ts";
import type { LocalBroker } from "../nameserver/index.ts";
import {
  type BrokerSeen,
  mastersOf,
  type NameServerAnswer,
  type NameServerStatus,
  type Registrar,
  type ReplicaSeen,
} from "../registrar/index.ts";

const address = "in this process";

/** A broker as the NameServer holds it. */
type Held = ReturnType<LocalBroker["brokers"]>[number];

/** A registrar over `local`; closes it. */
export function localRegistrar(local: LocalBroker, clock: Clock): Registrar {
  const listeners = new Set<() => void>();
  let status: NameServerStatus = {
    address,
    state: "connecting",
    sinceMs: clock.now(),
    reason: "nothing published yet",
  };
  let brokerName = "";
  const replicas = (): readonly ReplicaSeen[] => local.brokers(brokerName).map(replicaOf);
  return {
    publish: (registration) => {
      const refusal = local.publish(registration);
      brokerName = registration.brokerName;
      const state = refusal === undefined ? "registered" : "refused";
      const sinceMs = state === status.state ? status.sinceMs : clock.now();
      status = { ...status, state, sinceMs, reason: refusal ?? "" };
      for (const listener of listeners) listener();
    },
    status: () => [status],
    replicas,
    mastersSeen: () => mastersOf(replicas()),
    settledCount: () => (status.state === "registered" ? 1 : 0),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    firstAnswer: async () => {
      if (status.state === "registered") return { kind: "registered" };
      if (status.state === "connecting") return { kind: "silent" };
      return { kind: "refused", address, reason: status.reason };
    },
    askTopic: (topic) => {
      const places = local.places(topic);
      return [said(places.map((place) => ({ ...seen(place.broker), topic: place.topic })))];
    },
    askBrokers: (name) => [said(local.brokers(name).map(seen))],
    close: async () => local.close(),
  };
}

async function said<Seen extends BrokerSeen>(
  brokers: readonly Seen[],
): Promise<NameServerAnswer<Seen>> {
  return { address, brokers, isSettled: true };
}

function replicaOf(broker: Held): ReplicaSeen {
  const { host, port, haAddress, brokerId, duty, epoch } = seen(broker);
  const grpcHost = host === "" ? broker.observedHost : host;
  return {
    brokerId,
    duty,
    epoch,
    grpcAddress: formatAddress({ host: grpcHost, port }),
    haAddress,
    nameServers: [address],
  };
}

function seen(broker: Held): BrokerSeen {
  const { clusterName, brokerName, brokerId, duty, host, observedHost, port, haPort } = broker;
  const haHost = host === "" ? observedHost : host;
  const haAddress = haPort === 0 ? "" : formatAddress({ host: haHost, port: haPort });
  const { epoch } = broker.version;
  return {
    clusterName,
    brokerName,
    brokerId,
    duty,
    epoch,
    host,
    observedHost,
    port,
    haAddress,
  };
}
