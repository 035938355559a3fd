// The door of the wire contract: messages by package, services with their codecs, and codecs over
// bytes for the calls that must be fast. RocketMQ's Admin service has its own door, ./admin.ts.
import * as cometmq from "./cometmq.ts";
import * as google from "./google.ts";
import * as rocketmq from "./rocketmq.ts";

export {
  type Codec,
  codecOf,
  type EnumObject,
  type MessageClass,
  type Method,
  type MethodKind,
  ProtoError,
} from "./codec.ts";
export { loadFileDescriptors } from "./descriptors.ts";
export { brokerAdminService } from "./generated/broker-admin-service.ts";
export { Code } from "./generated/messaging.ts";
export { messagingService } from "./generated/messaging-service.ts";
export { nameServerService } from "./generated/name-server-service.ts";
export {
  type AckEntryView,
  type AckMessageView,
  type AckResultView,
  type DeliveredMessageView,
  forEachUserProperty,
  type MessageProperties,
  type MessageView,
  type PickedValues,
  ReceiveMessageWriter,
  readAckMessageRequest,
  readMessageProperties,
  readSendMessageRequest,
  type SendResultView,
  type StatusView,
  type SystemPropertyName,
  SystemPropertyPicker,
  UserPropertyPicker,
  writeAckMessageResponse,
  writeSendMessageResponse,
} from "./hot/index.ts";
export {
  durationOfMs,
  msOfDuration,
  msOfTimestamp,
  type SecondsAndNanos,
  timestampOfMs,
} from "./time.ts";
export { cometmq, google, rocketmq };
