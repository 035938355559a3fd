export type { Client, ClientConnection, ClientRow, Membership } from "./client.ts";
export { ClientTable, type ClientTableOptions, type GoneListener } from "./client-table.ts";
export {
  type ClientIdentity,
  type HeaderReader,
  identify,
  isNodeClient,
  orderedBatchSize,
  type RetryDialect,
  requireClientId,
  retryDialect,
} from "./identity.ts";
export type { QueueShares, SharedQueue, ShareQuestion } from "./queue-shares.ts";
export {
  type ClientRole,
  clientTypes,
  consumerSettings,
  producerSettings,
  readSettings,
  type ServerSettings,
  type Subscription,
} from "./settings.ts";
export { wishText } from "./subscription-differences.ts";
export type { TelemetrySession } from "./telemetry-session.ts";
