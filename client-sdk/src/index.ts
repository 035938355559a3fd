// @cometmq/client: producers and consumers for CometMQ and RocketMQ 5, with the names of the official Node.js client.

export { BroadcastConsumer, type BroadcastConsumerOptions } from "./broadcast-consumer.ts";
export {
  ClientError,
  type ClientErrorCode,
  type ClientSideCode,
  type StatusName,
} from "./client-error.ts";
export { ConsumeResult, ConsumeResultSuspend } from "./consume-result.ts";
export type { MessageListener } from "./consume-service.ts";
export type { Address, Endpoints } from "./endpoints.ts";
export { FilterExpression, FilterType } from "./filter-expression.ts";
export { LitePushConsumer, type LitePushConsumerOptions } from "./lite-push-consumer.ts";
export { LiteSimpleConsumer, type LiteSimpleConsumerOptions } from "./lite-simple-consumer.ts";
export type { SubscribeLiteOptions } from "./lite-subscriptions.ts";
export { type MessageOptions, MessageType } from "./message.ts";
export { MessageView } from "./message-view.ts";
export { OffsetOption } from "./offset-option.ts";
export type { Abortable, ClientLogger, ClientOptions, ConsumerOptions } from "./options.ts";
export { Producer, type ProducerOptions, type SendOptions } from "./producer.ts";
export {
  type AssignmentListener,
  PullConsumer,
  type PullConsumerOptions,
} from "./pull-consumer.ts";
export type { PollOptions, ReadingOptions } from "./pull-options.ts";
export { PushConsumer, type PushConsumerOptions } from "./push-consumer.ts";
export type { SessionCredentials } from "./request-metadata.ts";
export { type MessageQueue, SendReceipt } from "./send-receipt.ts";
export {
  type IterateOptions,
  SimpleConsumer,
  type SimpleConsumerOptions,
} from "./simple-consumer.ts";
export type { QueuePosition, SeekTarget, TopicQueue } from "./topic-queue.ts";
export { Transaction, type TransactionChecker, TransactionResolution } from "./transaction.ts";
