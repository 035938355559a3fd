// A group of brokers that elect their master through real members of etcd.
import { formatAddress } from "../../../base/index.ts";
import type { EtcdCluster } from "../etcd-cluster.ts";
import type { BrokerPlace, HaBroker, Settings } from "./ha-broker.ts";
import type { HaCluster } from "./ha-cluster.ts";

/** Starts `count` brokers of a name; resolves when one rules and all the others are in sync. */
export async function startElected(
  cluster: HaCluster,
  etcd: EtcdCluster,
  options: {
    readonly brokerName: string;
    readonly count?: number;
    readonly settings?: Settings;
    /** Where each of them runs. */
    readonly places?: readonly BrokerPlace[];
    /** Called with each broker before it is started. */
    readonly prepare?: (broker: HaBroker) => Promise<void>;
  },
): Promise<readonly HaBroker[]> {
  const { brokerName, count = 3, settings = {}, places = [] } = options;
  const brokers = Array.from({ length: count }, (_, index) => {
    const place = places[index];
    return cluster.add({
      brokerName,
      brokerId: index + 1,
      settings: {
        brokerRole: "SYNC_MASTER",
        enableControllerMode: "true",
        controllerAddr: etcd.addresses.map(formatAddress).join(";"),
        ...settings,
      },
      ...(place === undefined ? {} : { place }),
    });
  });
  await Promise.all(
    brokers.map(async (broker) => {
      await options.prepare?.(broker);
      await broker.start();
    }),
  );
  await cluster.whole(brokerName, count - 1);
  return brokers;
}
