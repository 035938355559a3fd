export {
  type AttributeRule,
  type ConsumeFrom,
  consumeFromKey,
  fifoBrokersKey,
  fifoFailoverKey,
  liteBindTopicKey,
  liteClientQuotaKey,
  liteModelKey,
  liteResetExclusiveKey,
  liteResetUnsubscribeKey,
  type MessageType,
  messageTypeKey,
} from "./attributes.ts";
export {
  defaultRetryMaxTimes,
  defaultRetryPolicy,
  type GroupConfig,
  type GroupDraft,
  makeGroup,
  type RetryPolicy,
} from "./group-config.ts";
export { encodeHeldChanges } from "./held-codec.ts";
export {
  type HeldChange,
  type HeldEntry,
  type HeldEvent,
  type HeldKey,
  type HeldKind,
  heldKinds,
} from "./held-entry.ts";
export type { HeldPage, HeldPlace, HeldState } from "./held-state.ts";
export { memoryMetadata } from "./memory-metadata.ts";
export {
  Metadata,
  type MetadataEvent,
  type MetadataListener,
  type MetadataOptions,
} from "./metadata.ts";
export { decodeMetadataChange, type MetadataChange } from "./metadata-codec.ts";
export {
  checkGroupName,
  checkTopicName,
  deadLetterTopic,
  givenUpTopic,
  isDerivedTopic,
} from "./names.ts";
export {
  type PendingEntry,
  type PendingOrder,
  type ProgressChange,
  pendingFlags,
  type QueueProgress,
} from "./progress-change.ts";
export { decodeProgress, encodeProgress } from "./progress-codec.ts";
export {
  type LevelSource,
  levelEncodings,
  levelFolder,
  type StateLevel,
} from "./state-database.ts";
export type { LoggedQueue, LoggedRecord, StateLog } from "./state-log.ts";
export { type StateOptions, StateStore } from "./state-store.ts";
export type { QueueRange } from "./state-values.ts";
export {
  brokersOfTopic,
  deliveredQueueNums,
  isLite,
  liteExpirationMs,
  permission,
  type TopicConfig,
  type TopicDraft,
  takesMessageGroups,
} from "./topic-config.ts";
