export type { LocalBroker } from "./local-broker.ts";
export { NameServer, type NameServerOptions } from "./name-server.ts";
