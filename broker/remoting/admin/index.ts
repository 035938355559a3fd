export type { AdminContext } from "./admin-context.ts";
export { brokerAdminMethods } from "./admin-methods.ts";
export type { BrokerStatus } from "./broker-status.ts";
export type {
  ControllerMember,
  ControllerState,
  HaMaster,
  HaPort,
  HaSlave,
  HaStanding,
  HaStatus,
  LogGap,
  SyncMember,
  SyncState,
} from "./ha-port.ts";
