export { type BrokerConfig, type BrokerConfiguration, brokerRole } from "./broker.ts";
export {
  type ConfigEntry,
  type ConfigInput,
  type ConfigRole,
  type ConfigSource,
  type ConfigTable,
  Configuration,
} from "./configuration.ts";
export { type Address, type ConfigKey, formatAddress, parseAddress } from "./keys.ts";
export { type NamesrvConfig, namesrvRole } from "./namesrv.ts";
export { listenHost, type ProcessConfig, type TlsMode } from "./process.ts";
export { type StandaloneConfig, standaloneRole } from "./standalone.ts";
