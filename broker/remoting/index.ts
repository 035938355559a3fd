export {
  type AdminContext,
  type BrokerStatus,
  brokerAdminMethods,
  type ControllerMember,
  type ControllerState,
  type HaMaster,
  type HaPort,
  type HaSlave,
  type HaStanding,
  type HaStatus,
  type LogGap,
  type SyncMember,
  type SyncState,
} from "./admin/index.ts";
export type { LocalParts, RemotingContext } from "./context.ts";
export { messagingMethods } from "./methods.ts";
export { orphanedTransactions } from "./orphaned-transactions.ts";
export { type ConsumerCount, Traffic, type TrafficCount } from "./traffic.ts";
