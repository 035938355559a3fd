export type { DeliveryCounters } from "./counters.ts";
export { type DeadLetterRequest, Delivery, type DeliveryOptions } from "./delivery.ts";
export type { DeliveryFigures, LaneProgress } from "./figures.ts";
export { type Filter, matchAll, matches, parseFilter } from "./filter.ts";
export type { LiteChange, LiteLoss, LiteStart, LiteSync } from "./lite/lite-sync.ts";
export type { LiteTopics } from "./lite/lite-topics.ts";
export type { LiteTimes } from "./lite/lite-upkeep.ts";
export type { GroupPlace, OffsetReset, Offsets, ResetOutcome } from "./offsets.ts";
export { brokerOfMessageGroup } from "./order/message-group-broker.ts";
export { messageGroupHash, queueOfMessageGroup } from "./order/message-group-hash.ts";
export type {
  DeliveryEntries,
  DeliveryFollower,
  DeliveryMetadata,
  DeliveryQueue,
  DeliveryStore,
  ProgressSource,
  RecordPlace,
} from "./ports.ts";
export type { PulledMessage } from "./pull/pull-reader.ts";
export type { Pulled, PullRequest, Pulls } from "./pull/pulls.ts";
export type { QueueBounds, QueuePlace } from "./queue-bounds.ts";
export { handleBroker } from "./receipt-handle.ts";
export type { Delivered, Lease, ReceiveRequest } from "./request.ts";
export type { GivenAgain, MessagePlace, MessageStanding, Tracking } from "./tracking.ts";
