export { AssertionError, assert } from "./assert.ts";
export { background, onBackgroundFailure } from "./background.ts";
export {
  type Brand,
  type Epoch,
  epoch,
  type Position,
  position,
  type QueueOffset,
  queueOffset,
} from "./brand.ts";
export { type CancelTimer, type Clock, systemClock } from "./clock.ts";
export {
  type Address,
  type BrokerConfig,
  type BrokerConfiguration,
  brokerRole,
  type ConfigEntry,
  type ConfigInput,
  type ConfigRole,
  type ConfigSource,
  Configuration,
  formatAddress,
  listenHost,
  type NamesrvConfig,
  namesrvRole,
  type ProcessConfig,
  parseAddress,
  type StandaloneConfig,
  standaloneRole,
  type TlsMode,
} from "./config/index.ts";
export {
  type ErrorCode,
  type ErrorFacts,
  type ErrorRow,
  errorTable,
  MqError,
  toMqError,
} from "./errors.ts";
export { callDeadlineMaxMs, limits, type TransportLimits, transportLimits } from "./limits.ts";
export {
  type LogFields,
  type Logger,
  type LogLevel,
  openLogger,
  type RootLogger,
  silentLogger,
} from "./logger.ts";
export { type Random, systemRandom } from "./random.ts";
export {
  type SipState,
  sipBlock,
  sipFinish,
  sipHash,
  sipStart,
} from "./sip-hash.ts";
export { softwareVersion } from "./version.ts";
