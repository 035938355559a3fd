export { Broker, type BrokerOptions } from "./broker.ts";
export { nodeDisk } from "./store/index.ts";
