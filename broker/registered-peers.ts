// The group as the NameServers see it, through the broker's own registration with them.

import type { BrokerSeen, Registrar, ReplicaSeen } from "../registrar/index.ts";
import { addressOf, type ReplicaPlace } from "./ha/index.ts";
import type { Peers } from "./peers.ts";

/** Peers of the broker with this name and id. */
export function registeredPeers(
  registrar: Registrar,
  own: { readonly brokerName: string; readonly brokerId: number; readonly clusterName: string },
): Peers {
  const isOther = ({ brokerId }: { readonly brokerId: number }): boolean =>
    brokerId !== own.brokerId;
  return {
    replicas: () => registrar.replicas().filter(isOther).map(placeOf),
    master: () => registrar.mastersSeen().filter(isOther).map(placeOf)[0],
    reachableCount: () => registrar.settledCount(),
    ask: async (timeoutMs) => {
      const answers = await Promise.all(registrar.askBrokers(own.brokerName, timeoutMs));
      const seen = answers.flatMap((answer) => answer?.brokers ?? []);
      const ours = seen.filter((broker) => broker.clusterName === own.clusterName);
      const places = ours.map(placeSeen);
      const byPlace = new Map(
        places.map((place) => [`${place.brokerId} ${place.haAddress}`, place]),
      );
      return [...byPlace.values()];
    },
  };
}

function placeOf({ brokerId, grpcAddress, haAddress }: ReplicaSeen): ReplicaPlace {
  return { brokerId, grpcAddress, haAddress };
}

function placeSeen({ brokerId, host, observedHost, port, haAddress }: BrokerSeen): ReplicaPlace {
  return { brokerId, grpcAddress: addressOf(host === "" ? observedHost : host, port), haAddress };
}
