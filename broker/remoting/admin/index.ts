export type { AdminContext } from "./admin-context.ts";
export { brokerAdminMethods } from "./admin-methods.ts";
export type { BrokerStatus } from "./broker-status.ts";
