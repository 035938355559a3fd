export { type AdminContext, type BrokerStatus, brokerAdminMethods } from "./admin/index.ts";
export type { RemotingContext } from "./context.ts";
export { messagingMethods } from "./methods.ts";
export { type ConsumerCount, Traffic, type TrafficCount } from "./traffic.ts";
